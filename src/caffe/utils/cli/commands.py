"""Command dispatcher of all programs: one module per command; the first line of its docstring is its help."""

from __future__ import annotations

import argparse
import ast
import errno
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence

from caffe.errors import CaffeError, did_you_mean
from caffe.utils.cli import verbosity
from caffe.utils.cli.safe_text import SafeStream


def main(package: str, program: str, argv: Sequence[str] | None = None) -> int:
    """Run `program COMMAND ...`; the commands are the modules of `package`.

    A command module defines `add_arguments(parser)` and `run(args) -> int | None`; it is imported only when it runs.
    `two-words` and `two_words` are the same command. If the package defines `normalise(argv) -> argv`, the arguments
    pass through it first (gflags' `-flag v`). If it defines `WORD_BREAK`, command names are shown with that character
    instead of a hyphen (Caffe has convert_imageset).

    Parameters
    ----------
    package : str
        Dotted name of the package of commands.
    program : str
        Program name for messages.
    argv : sequence of str, optional
        Arguments after the program name; sys.argv[1:] by default.

    Returns
    -------
    int
        Exit status. An error that the user can fix (CaffeError, or a file the system cannot open or write) prints one
        line to standard error and gives the error's `exit_status` (1 for files); Ctrl-C gives 130, wrong usage 2. A
        bug keeps its traceback.
    """
    return _guarded(program, lambda: _main(package, program, argv))


def _main(package, program, argv):
    argv = list(sys.argv[1:] if argv is None else argv)
    files = command_files(package)
    module = importlib.import_module(package)
    word_break = getattr(module, "WORD_BREAK", "-")
    if not argv or argv[0] in ("-h", "--help", "-help", "help"):
        print(help_text(program, files, word_break), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] in ("--version", "-version"):
        print(f"{program} {version()}")
        return 0
    if argv[0] == "completion":
        return _print_completion(package, program, files, word_break, argv[1:])
    try:
        argv = _normalised(module, argv)
    except CaffeError as error:
        print(f"{program} {argv[0]}: error: {error}", file=sys.stderr)
        return error.exit_status
    command = argv[0].replace("-", "_")
    if command not in files:
        hint = did_you_mean(command.replace("_", word_break), [name.replace("_", word_break) for name in files])
        print(f"{program}: error: no command '{argv[0]}'{hint} (see {program} --help)", file=sys.stderr)
        return 2
    return run_command(package, command, f"{program} {argv[0]}", argv[1:])


def _print_completion(package, program, files, word_break, argv):
    from caffe.utils.cli import completion

    if len(argv) != 1 or argv[0] not in completion.SHELLS:
        print(f"usage: {program} completion {'|'.join(completion.SHELLS)}", file=sys.stderr)
        return 2
    text = completion.script(argv[0], program, package, files, lambda name: name.replace("_", word_break))
    print(text, end="")
    return 0


def named(package: str, argv: Sequence[str] | None = None) -> int:
    """Run the command whose name the program has: `convert_imageset ...` runs `caffe convert_imageset ...`."""
    program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return _guarded(program, lambda: _named(package, program, argv))


def run_as(package: str, command: str, program: str, argv: Sequence[str]) -> int:
    """Run one command of a package as the program `program` (`mvNCCheck ...` runs `ncs check ...`)."""
    return _guarded(program, lambda: run_command(package, command, program, argv))


def _named(package, program, argv):
    module = importlib.import_module(package)
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        argv = _normalised(module, [program] + argv)[1:]
    except CaffeError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return error.exit_status
    return run_command(package, program.replace("-", "_"), program, argv)


def _normalised(module, argv):
    return module.normalise(argv) if hasattr(module, "normalise") else argv


def _guarded(program, function):
    """Return `function()`; report Ctrl-C and output errors outside of a command in one line."""
    _make_output_lossless()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(SafeStream, streams)
    try:
        try:
            return function()
        finally:
            sys.stdout, sys.stderr = streams
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT):
            raise
        _discard_output()
        print(f"{program}: error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1


def _discard_output():
    """Redirect standard output to null: the interpreter flushes it at exit, which must not raise again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(package: str, command: str, program: str, argv: Sequence[str]) -> int:
    """Import one command, parse its arguments and run it; return the exit status."""
    try:
        module = importlib.import_module(f"{package}.{command}")
        parser = argparse.ArgumentParser(
            prog=program, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(parser)
        if getattr(importlib.import_module(package), "VERBOSITY_FLAGS", False):
            verbosity.add_flags(parser)
        args = parser.parse_args(argv)
        verbosity.set_level(getattr(args, "verbosity", verbosity.NORMAL))
        return module.run(args) or 0
    except CaffeError as error:
        _flush()
        if verbosity.level() == verbosity.VERBOSE:
            import traceback

            traceback.print_exc()
        print(f"{program}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        _flush()
        print(f"{program}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `program | head`
        _discard_output()
        return 141
    except MemoryError:
        _flush()
        print(f"{program}: error: not enough memory", file=sys.stderr)
        return 1
    except OSError as error:  # a read-only folder, a full disk: the user's to fix, so no traceback
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        _flush()
        prefix = "" if error.filename is None else f"{error.filename}: "
        print(f"{program}: error: {prefix}{error.strerror}", file=sys.stderr)
        return 1


def _make_output_lossless():
    """Escape characters that the terminal's encoding cannot represent, such as undecodable bytes of file names."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def command_files(package: str) -> dict[str, str]:
    """Map command names to files: the modules of `package` that define `run`, found without importing them."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    files = {}
    for module in pkgutil.iter_modules(spec.submodule_search_locations):
        path = os.path.join(module.module_finder.path, module.name + ".py")  # type: ignore[union-attr]
        if not module.ispkg and not module.name.startswith("_") and _defines_run(path):
            files[module.name] = path
    return files


def help_text(program: str, files: Mapping[str, str], word_break: str = "-") -> str:
    """Return the text of `program --help`: every command with the first line of its docstring."""
    width = max([len(name) for name in files], default=0)
    lines = [f"usage: {program} COMMAND [options]", ""]
    for name, path in sorted(files.items()):
        lines.append(f"  {name.replace('_', word_break):<{width}}  {_first_line(path)}")
    return "\n".join(lines + ["", f"`{program} COMMAND --help` shows the options of a command."])


def version() -> str:
    """Return the version of the installed distribution, or "unknown" in a bare checkout."""
    from importlib import metadata

    try:
        return metadata.version("caffe2ncs")
    except metadata.PackageNotFoundError:
        return "unknown"


def _tree(path):
    with open(path, encoding="utf-8") as stream:
        return ast.parse(stream.read(), path)


def _defines_run(path):
    return any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in _tree(path).body)


def _first_line(path):
    return (ast.get_docstring(_tree(path)) or "").split("\n")[0]


def _flush():
    sys.stdout.flush()
    sys.stderr.flush()
