"""gflags' command-line syntax on top of argparse, so that existing Caffe command lines work.

`-flag v`, `-flag=v`, `--flag v` and `--flag=v` are equivalent. A boolean is `--flag`, `--noflag` or
`--flag=true|false`; it takes no separate value. Hyphens and underscores are interchangeable. The last occurrence of a
flag wins.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from caffe.errors import CaffeError
from caffe.tools.flags import common_flags

_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")


class Switch(argparse.Action):
    """argparse action of a boolean flag with two spellings, --name and --noname; added by `boolean`."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, default: bool = False, help: str | None = None
    ) -> None:
        super().__init__(option_strings, dest, nargs=0, default=default, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, option_string != "--no" + self.dest)


def boolean(
    parser: argparse.ArgumentParser, name: str, default: bool = False, help: str | None = None
) -> argparse.Action:
    """Add the boolean flag `--name` / `--noname` to an argparse parser (or group)."""
    return parser.add_argument("--" + name, "--no" + name, action=Switch, dest=name, default=default, help=help)


def normalise(argv: Sequence[str]) -> list[str]:
    """Convert [command, arguments…] from gflags' to argparse's spelling, using the command's own parser.

    Flags may precede the command. gflags' and glog's own flags take effect here (see `common_flags`).
    Arguments of an unknown command are returned unchanged; the dispatcher reports the error.
    """
    argv = common_flags.command_first(list(argv))
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
    return [argv[0], *for_argparse(argv[1:], parser, common_flags.others(argv[0]))]


def for_argparse(
    words: Sequence[str], parser: argparse.ArgumentParser, ignored: dict[str, str] | None = None
) -> list[str]:
    """Convert gflags arguments for `parser`; raise one CaffeError that lists every unknown flag.

    `ignored` are flags of other commands with their types, which have no effect.
    """
    common = common_flags.CommonFlags(ignored or {})
    known = {name.lstrip("-"): action for action in parser._actions for name in action.option_strings}
    out, errors, words = [], [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            out += ["--", *words]
            break
        if not _is_flag(word):
            out.append(word)
            continue
        try:
            out += _flag(word, words, known, common)
        except CaffeError as error:
            errors.append(error)
    messages = [str(error) for error in errors if getattr(error, "name", None) not in common.allowed]
    if messages:
        raise CaffeError("; ".join(messages))
    return out


def _is_flag(word):
    """Return whether `word` is a flag; a negative number and a lone hyphen are values."""
    return len(word) > 1 and word[0] == "-" and not word[1:2].isdigit() and word[1] != "."


def _flag(word, rest, known, common):
    name, equals, value = word.lstrip("-").partition("=")
    spelling = _spelling(name, known)
    if spelling is None:
        return common.take(word, rest, known)
    action = known[spelling]
    dashes = "-" if "-" + spelling in action.option_strings else "--"
    if action.nargs == 0:
        return _switch(name, spelling, dashes, equals, value, known)
    if action.nargs is not None:  # several values: argparse collects them
        return [dashes + spelling + equals + value]
    if not equals:
        if not rest:
            raise CaffeError(f"flag '--{spelling}' is missing its value")
        value = rest.pop(0)
    return [dashes + spelling + "=" + value] if dashes == "--" else [dashes + spelling, value]


def _spelling(name, known):
    for spelling in (name, name.replace("-", "_"), name.replace("_", "-")):
        if spelling in known:
            return spelling
    return None


def _switch(name, spelling, dashes, equals, value, known):
    if not equals or value.lower() in _TRUE:
        return [dashes + spelling]
    if value.lower() not in _FALSE:
        raise CaffeError(f"boolean flag '--{name}': expected true or false, received '{value}'")
    return ["--no" + spelling] if "no" + spelling in known else []
