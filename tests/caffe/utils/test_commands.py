"""The dispatcher on a package of verbs made for the purpose."""

import itertools
import subprocess
import sys

import pytest

from caffe.utils import commands

GREET = '''"""Say hello to somebody.

More words.
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
def verbs(tmp_path, monkeypatch):
    """A package of its own name: the verbs say-hello and broken (raises when imported), a helper module."""
    name = "verbs_of_test_%d" % next(_names)
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "say_hello.py").write_text(GREET)
    (folder / "broken.py").write_text('"""Never imported for help."""\n1 / 0\ndef run(args): pass\n')
    (folder / "helper.py").write_text('"""Not a verb."""\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_help_lists_the_verbs_without_importing_them(verbs, capsys):
    assert commands.main(verbs, "tool", ["--help"]) == 0
    out = capsys.readouterr().out
    assert "  say-hello  Say hello to somebody.\n" in out and "Never imported for help." in out
    assert "helper" not in out


def test_no_verb_is_a_usage_error(verbs, capsys):
    assert commands.main(verbs, "tool", []) == 2
    captured = capsys.readouterr()
    assert "usage: tool VERB" in captured.err and not captured.out


@pytest.mark.parametrize("verb", ["say-hello", "say_hello"])
def test_both_spellings_run(verbs, verb, capsys):
    assert commands.main(verbs, "tool", [verb, "--name", "Caffe"]) == 0
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
def test_what_a_user_can_put_right_is_one_line(verbs, name, status, text, capsys):
    assert commands.main(verbs, "tool", ["say-hello", "--name", name]) == status
    assert capsys.readouterr().err == text


def test_a_bug_keeps_its_traceback(verbs):
    with pytest.raises(ZeroDivisionError):
        commands.main(verbs, "tool", ["say-hello", "--name", "bug"])
    with pytest.raises(OSError, match="Invalid argument"):
        commands.main(verbs, "tool", ["say-hello", "--name", "odd"])


def test_unknown_verb_names_the_closest(verbs, capsys):
    assert commands.main(verbs, "tool", ["say-helo"]) == 2
    text = "tool: error: no verb 'say-helo'; did you mean 'say-hello'? (see tool --help)\n"
    assert capsys.readouterr().err == text


def test_flags_are_normalised_by_the_package(verbs, capsys):
    import importlib

    home = importlib.import_module(verbs)
    home.normalise = lambda argv: [word.replace("-name", "--name") for word in argv]
    assert commands.main(verbs, "tool", ["say-hello", "-name=gflags"]) == 0
    assert capsys.readouterr().out == "hello gflags\n"


def test_a_tool_runs_under_its_own_name(verbs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/say_hello", "--name", "me"])
    assert commands.resolve(verbs) == 0
    assert capsys.readouterr().out == "hello me\n"


@pytest.mark.parametrize("program", ["caffe", "ncs", "agegender"])
def test_help_of_the_three_programs_imports_nothing_heavy(program):
    code = (
        f"import sys, runpy; sys.argv = [{program!r}, '--help']\n"
        f"try: runpy.run_module({program!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'openvino', 'onnx', 'matplotlib', 'cv2', 'google.protobuf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"usage: {program} VERB" in done.stdout


def test_an_output_that_cannot_be_written_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "caffe", "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["caffe: error: the output cannot be written: No space left on device"]


def verb_that(tmp_path, monkeypatch, code):
    (tmp_path / "verbs").mkdir()
    (tmp_path / "verbs" / "__init__.py").write_text("")
    (tmp_path / "verbs" / "go.py").write_text(f"def add_arguments(parser): pass\ndef run(args):\n    {code}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "verbs", raising=False)
    monkeypatch.delitem(sys.modules, "verbs.go", raising=False)
    return commands.main("verbs", "program", ["go"])


def test_memory_that_does_not_suffice_is_one_line(tmp_path, monkeypatch, capsys):
    assert verb_that(tmp_path, monkeypatch, "raise MemoryError") == 1
    assert capsys.readouterr().err == "program go: error: the memory does not suffice\n"


def test_names_of_any_bytes_are_printed(tmp_path):
    code = "from caffe import cli; cli._print_anything(); print('f\\udce9')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.stdout == b"f\\udce9\n"
