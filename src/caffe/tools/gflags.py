"""Flags as gflags took them, so that the commands of the Caffe years go on working.

`-flag v`, `-flag=v`, `--flag v` and `--flag=v` are the same; a boolean is `--flag`, `--noflag` or
`--flag=true|false` and takes no second word; a hyphen may stand for an underscore; the last of a repeated
flag counts.
"""

from __future__ import annotations

import argparse
import importlib

from caffe.errors import CaffeError, did_you_mean

_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")


class Switch(argparse.Action):
    """A boolean flag of two spellings, --name and --noname; made by `boolean`."""

    def __init__(self, option_strings, dest, default=False, help=None):
        super().__init__(option_strings, dest, nargs=0, default=default, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, option_string != "--no" + self.dest)


def boolean(parser, name, default=False, help=None):
    """Add the boolean flag `--name` / `--noname` to an argparse parser (or group)."""
    names = "--" + name, "--no" + name
    return parser.add_argument(*names, action=Switch, dest=name, default=default, help=help)


def normalise(argv):
    """[verb, words…] with gflags spellings -> the same with argparse's; the verb's own parser knows them.

    An unknown verb is handed back as it came: the dispatcher names it.
    """
    try:
        module = importlib.import_module("caffe.tools." + argv[0].replace("-", "_"))
    except ModuleNotFoundError as error:
        if str(error.name).startswith("caffe.tools."):
            return list(argv)
        raise
    if not hasattr(module, "add_arguments"):
        return list(argv)
    parser = argparse.ArgumentParser(add_help=True)
    module.add_arguments(parser)
    return [argv[0], *for_argparse(argv[1:], parser)]


def for_argparse(words, parser):
    """Rewrite gflags words for `parser`; CaffeError names every unknown flag at once."""
    known = {name.lstrip("-"): action for action in parser._actions for name in action.option_strings}
    out, faults, words = [], [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            out += ["--", *words]
            break
        if not _is_flag(word):
            out.append(word)
            continue
        try:
            out += _flag(word, words, known)
        except CaffeError as fault:
            faults.append(str(fault))
    if faults:
        raise CaffeError("; ".join(faults))
    return out


def _is_flag(word):
    """A negative number or a lone hyphen is a value."""
    return len(word) > 1 and word[0] == "-" and not word[1:2].isdigit() and word[1] != "."


def _flag(word, rest, known):
    name, equals, value = word.lstrip("-").partition("=")
    spelled = _spelling(name, known)
    if spelled is None:
        names = [other for other in known if not (other.startswith("no") and other[2:] in known)]
        raise CaffeError(f"unknown command line flag '{name}'{did_you_mean(name, names)}")
    action = known[spelled]
    dashes = "-" if "-" + spelled in action.option_strings else "--"
    if action.nargs == 0:
        return _switch(name, spelled, dashes, equals, value, known)
    if action.nargs is not None:  # argparse's own business: several values
        return [dashes + spelled + equals + value]
    if not equals:
        if not rest:
            raise CaffeError(f"flag '--{spelled}' is missing its value")
        value = rest.pop(0)
    return [dashes + spelled + "=" + value] if dashes == "--" else [dashes + spelled, value]


def _spelling(name, known):
    for spelled in (name, name.replace("-", "_"), name.replace("_", "-")):
        if spelled in known:
            return spelled
    return None


def _switch(name, spelled, dashes, equals, value, known):
    if not equals or value.lower() in _TRUE:
        return [dashes + spelled]
    if value.lower() not in _FALSE:
        raise CaffeError(f"boolean flag '--{name}': received '{value}'; true or false is allowed")
    return ["--no" + spelled] if "no" + spelled in known else []
