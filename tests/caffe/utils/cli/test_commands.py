"""The command dispatcher, with a package of test commands."""

import itertools
import subprocess
import sys

import pytest

from caffe.utils.cli import commands

GREET = '''"""Print a greeting.

More text.
"""
import errno

from caffe.errors import CaffeError

def add_arguments(parser):
    parser.add_argument("--name", default="you")

def run(args):
    if args.name == "fault":
        raise CaffeError("list.txt:3: no such name")
    if args.name == "status":
        error = CaffeError("no stick")
        error.exit_status = 7
        raise error
    if args.name == "stop":
        raise KeyboardInterrupt
    if args.name == "bug":
        raise ZeroDivisionError("a bug")
    if args.name == "file":
        open("/proc/none/x")
    if args.name == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if args.name == "odd":
        raise OSError(errno.EINVAL, "Invalid argument")
    print("hello", args.name)
'''
_names = itertools.count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A uniquely named package: the commands say-hello and broken (raises when imported), and a helper module."""
    name = f"commands_of_test_{next(_names)}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "say_hello.py").write_text(GREET)
    (folder / "broken.py").write_text('"""Never imported for help."""\n1 / 0\ndef run(args): pass\n')
    (folder / "helper.py").write_text('"""Not a command."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_help_lists_the_commands_without_importing_them(package, capsys):
    assert commands.main(package, "tool", ["--help"]) == 0
    out = capsys.readouterr().out
    assert "  say-hello  Print a greeting.\n" in out and "Never imported for help." in out
    assert "helper" not in out


def test_missing_command_is_a_usage_error(package, capsys):
    assert commands.main(package, "tool", []) == 2
    captured = capsys.readouterr()
    assert "usage: tool COMMAND" in captured.err and not captured.out


@pytest.mark.parametrize("command", ["say-hello", "say_hello"])
def test_both_spellings_run(package, command, capsys):
    assert commands.main(package, "tool", [command, "--name", "Caffe"]) == 0
    assert capsys.readouterr().out == "hello Caffe\n"


@pytest.mark.parametrize(
    "name, status, text",
    [
        ("fault", 1, "tool say-hello: error: list.txt:3: no such name\n"),
        ("status", 7, "tool say-hello: error: no stick\n"),
        ("stop", 130, "tool say-hello: stopped\n"),
        ("file", 1, "tool say-hello: error: /proc/none/x: No such file or directory\n"),
        ("full", 1, "tool say-hello: error: No space left on device\n"),
    ],
)
def test_user_errors_print_one_line(package, name, status, text, capsys):
    assert commands.main(package, "tool", ["say-hello", "--name", name]) == status
    assert capsys.readouterr().err == text


def test_bug_keeps_its_traceback(package):
    with pytest.raises(ZeroDivisionError):
        commands.main(package, "tool", ["say-hello", "--name", "bug"])
    with pytest.raises(OSError, match="Invalid argument"):
        commands.main(package, "tool", ["say-hello", "--name", "odd"])


def test_unknown_command_suggests_the_closest(package, capsys):
    assert commands.main(package, "tool", ["say-helo"]) == 2
    text = "tool: error: no command 'say-helo'; did you mean 'say-hello'? (see tool --help)\n"
    assert capsys.readouterr().err == text


def test_flags_are_normalised_by_the_package(package, capsys):
    import importlib

    module = importlib.import_module(package)
    module.normalise = lambda argv: [word.replace("-name", "--name") for word in argv]
    assert commands.main(package, "tool", ["say-hello", "-name=gflags"]) == 0
    assert capsys.readouterr().out == "hello gflags\n"


def test_tool_runs_under_its_own_name(package, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/say_hello", "--name", "me"])
    assert commands.named(package) == 0
    assert capsys.readouterr().out == "hello me\n"


@pytest.mark.parametrize("program", ["caffe", "ncs", "agegender"])
def test_help_imports_no_heavy_packages(program):
    code = (
        f"import sys, runpy; sys.argv = [{program!r}, '--help']\n"
        f"try: runpy.run_module({program!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'openvino', 'onnx', 'matplotlib', 'cv2', 'google.protobuf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert f"usage: {program} COMMAND" in process.stdout


def test_full_output_is_reported_in_one_line():
    command = [sys.executable, "-m", "caffe", "--help"]
    with open("/dev/full", "w") as full:
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert process.stderr.splitlines() == ["caffe: error: the output cannot be written: No space left on device"]


def test_out_of_memory_is_reported_in_one_line(tmp_path, monkeypatch, capsys):
    package = tmp_path / "greedy_commands"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "go.py").write_text("def add_arguments(parser): pass\ndef run(args):\n    raise MemoryError\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert commands.main("greedy_commands", "program", ["go"]) == 1
    assert capsys.readouterr().err == "program go: error: not enough memory\n"


def test_names_that_are_not_utf8_are_printed():
    code = "from caffe.utils.cli import commands; commands._make_output_lossless(); print('f\\udce9')"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert process.stdout == b"f\\udce9\n"
