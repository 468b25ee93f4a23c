"""One dispatcher for every program of the house: a verb is a file, its first docstring line is its help."""

from __future__ import annotations

import argparse
import ast
import errno
import importlib
import importlib.util
import os
import pkgutil
import sys

from caffe.errors import CaffeError, did_you_mean
from caffe.safe_text import SafeStream


def main(package, program, argv=None):
    """Run `program VERB ...`, return the exit status; the verbs are the files of `package` (a dotted name).

    A verb file has `add_arguments(parser)` and `run(args) -> int | None`; it is imported only when called.
    `two-words` and `two_words` are the same verb. What a user can put right (CaffeError) becomes one message
    on standard error and the error's `exit_status`, and so does a file that the system refuses (1); Ctrl-C gives 130; a bug
    keeps its traceback.
    A package which defines `normalise(argv) -> argv` is asked first (gflags accept `-flag v`); one which sets
    `WORD_BREAK` shows its verbs with it instead of a hyphen (Caffe says convert_imageset).
    """
    return _guarded(program, lambda: _main(package, program, argv))


def _main(package, program, argv):
    argv = list(sys.argv[1:] if argv is None else argv)
    files = command_files(package)
    home = importlib.import_module(package)
    word_break = getattr(home, "WORD_BREAK", "-")
    if not argv or argv[0] in ("-h", "--help", "-help", "help"):
        print(help_text(program, files, word_break), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] in ("--version", "-version"):
        print(f"{program} {version()}")
        return 0
    if hasattr(home, "normalise"):
        argv = home.normalise(argv)
    verb = argv[0].replace("-", "_")
    if verb not in files:
        near = did_you_mean(verb.replace("_", word_break), [name.replace("_", word_break) for name in files])
        fault = f"{program}: error: no verb '{argv[0]}'{near} (see {program} --help)"
        print(fault, file=sys.stderr)
        return 2
    return run_command(package, verb, f"{program} {argv[0]}", argv[1:])


def named(package, argv=None):
    """Run the verb the program was started as: `convert_imageset ...` is `caffe convert_imageset ...`."""
    program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return _guarded(program, lambda: _named(package, program, argv))


def _named(package, program, argv):
    home = importlib.import_module(package)
    argv = list(sys.argv[1:] if argv is None else argv)
    if hasattr(home, "normalise"):
        argv = home.normalise([program] + argv)[1:]
    return run_command(package, program.replace("-", "_"), program, argv)


def _guarded(program, function):
    """What `function` returns; Ctrl-C outside of a verb and an output that cannot be written are one line, too."""
    _print_anything()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(SafeStream, before)
    try:
        try:
            return function()
        finally:
            sys.stdout, sys.stderr = before
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT):
            raise
        _drop_output()
        print(f"{program}: error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1


def _drop_output():
    """Have what standard output still holds go nowhere: the interpreter would complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(package, verb, program, argv):
    """Import one verb, parse its arguments and run it; returns the exit status."""
    try:
        module = importlib.import_module(f"{package}.{verb}")
        parser = argparse.ArgumentParser(
            prog=program, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(parser)
        return module.run(parser.parse_args(argv)) or 0
    except CaffeError as error:
        _flush()
        print(f"{program}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        _flush()
        print(f"{program}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of `program | head` has left; closing stdout must not complain
        _drop_output()
        return 141
    except MemoryError:
        _flush()
        print(f"{program}: error: the memory does not suffice", file=sys.stderr)
        return 1
    except OSError as error:  # a folder that may not be written, a full disk: no traceback explains it better
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        _flush()
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"{program}: error: {place}{error.strerror}", file=sys.stderr)
        return 1


def _print_anything():
    """Let file names of any bytes be printed, also where the terminal knows ASCII only."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def command_files(package):
    """Name -> file of the verbs of `package`: its modules with a function `run`, found without imports."""
    folders = importlib.util.find_spec(package).submodule_search_locations
    found = {}
    for module in pkgutil.iter_modules(folders):
        path = os.path.join(module.module_finder.path, module.name + ".py")
        if not module.ispkg and not module.name.startswith("_") and _defines_run(path):
            found[module.name] = path
    return found


def help_text(program, files, word_break="-"):
    """The page of `program --help`: every verb with the first line of its file."""
    width = max([len(name) for name in files], default=0)
    lines = [f"usage: {program} VERB [options]", ""]
    for name, path in sorted(files.items()):
        lines.append("  %-*s  %s" % (width, name.replace("_", word_break), _first_line(path)))
    return "\n".join(lines + ["", f"`{program} VERB --help` tells the options of a verb."])


def version():
    """The version of the installed distribution, or "unknown" in a bare checkout."""
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
