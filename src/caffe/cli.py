"""One dispatcher for every program of the house: a verb is a file, its first docstring line is its help."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import pkgutil
import sys

from caffe.errors import CaffeError, did_you_mean


def main(package, program, argv=None):
    """Run `program VERB ...` and return the exit status; the verbs are the files of `package` (a dotted name).

    A verb file has `add_arguments(parser)` and `run(args) -> int | None`; it is imported only when called.
    `two-words` and `two_words` are the same verb. What a user can put right (CaffeError) becomes one message
    on standard error and the error's `exit_status`; Ctrl-C gives 130; a bug keeps its traceback.
    A package which defines `normalise(argv) -> argv` is asked first (gflags accept `-flag v`).
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    files = verb_files(package)
    home = importlib.import_module(package)
    if hasattr(home, "normalise"):
        argv = home.normalise(argv)
    if not argv or argv[0] in ("-h", "--help", "-help", "help"):
        print(help_text(program, files), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] in ("--version", "-version"):
        print("%s %s" % (program, version()))
        return 0
    verb = argv[0].replace("-", "_")
    if verb not in files:
        near = did_you_mean(spelled(verb), [spelled(name) for name in files])
        print("%s: error: no verb '%s'%s (see %s --help)" % (program, argv[0], near, program), file=sys.stderr)
        return 2
    return run_verb(package, verb, "%s %s" % (program, argv[0]), argv[1:])


def named(package, argv=None):
    """Run the verb which the program was started as: `convert_imageset ...` is `caffe convert_imageset ...`."""
    program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    home = importlib.import_module(package)
    argv = list(sys.argv[1:] if argv is None else argv)
    if hasattr(home, "normalise"):
        argv = home.normalise([program] + argv)[1:]
    return run_verb(package, program.replace("-", "_"), program, argv)


def run_verb(package, verb, program, argv):
    """Import one verb, parse its arguments and run it; returns the exit status."""
    module = importlib.import_module("%s.%s" % (package, verb))
    parser = argparse.ArgumentParser(
        prog=program, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        return module.run(args) or 0
    except CaffeError as error:
        _flush()
        print("%s: error: %s" % (program, error), file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        _flush()
        print("%s: stopped" % program, file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of `program | head` has left; Python must not complain when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def verb_files(package):
    """Name -> file of the verbs of `package`: its modules with a function `run`, found without importing them."""
    folders = importlib.util.find_spec(package).submodule_search_locations
    found = {}
    for module in pkgutil.iter_modules(folders):
        path = os.path.join(module.module_finder.path, module.name + ".py")
        if not module.ispkg and not module.name.startswith("_") and _defines_run(path):
            found[module.name] = path
    return found


def help_text(program, files):
    """The page of `program --help`: every verb with the first line of its file."""
    width = max([len(name) for name in files], default=0)
    lines = ["usage: %s VERB [options]" % program, ""]
    lines += ["  %-*s  %s" % (width, spelled(name), _first_line(path)) for name, path in sorted(files.items())]
    return "\n".join(lines + ["", "`%s VERB --help` tells the options of a verb." % program])


def spelled(verb):
    """A verb as it is shown: Caffe's own names keep their underscores (convert_imageset), ours have a hyphen."""
    return verb if verb in _CAFFE_NAMES else verb.replace("_", "-")


def version():
    """The version of the installed distribution, or "unknown" in a bare checkout."""
    from importlib import metadata

    try:
        return metadata.version("caffe2ncs")
    except metadata.PackageNotFoundError:
        return "unknown"


_CAFFE_NAMES = {
    "device_query", "convert_imageset", "compute_image_mean", "extract_features", "upgrade_net_proto_text",
    "upgrade_net_proto_binary", "upgrade_solver_proto_text", "draw_net", "parse_log", "plot_training_log",
}


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
