"""The flags that gflags and glog add to every program of Caffe, and the flags of Caffe's other commands.

gflags defines one set of flags for a whole program: `caffe train` accepts the flags of `caffe test` and ignores them.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from collections.abc import Collection

from caffe.errors import CaffeError, did_you_mean

CAFFE = dict.fromkeys(
    ["gpu", "solver", "model", "phase", "stage", "snapshot", "weights", "sigint_effect", "sighup_effect"], "string"
) | dict.fromkeys(("level", "iterations"), "int32")
VERBS = ("train", "test", "time", "device_query")
_GLOG = {
    "bool": (
        "alsologtostderr colorlogtostderr colorlogtostdout drop_log_memory log_prefix log_utc_time log_year_in_prefix "
        "logtostderr logtostdout stop_logging_if_full_disk symbolize_stacktrace timestamp_in_logfile_name"
    ),
    "int32": (
        "logbuflevel logbufsecs logcleansecs logemaillevel logfile_mode max_log_size minloglevel stderrthreshold v"
    ),
    "string": "alsologtoemail log_backtrace_at log_dir log_link logmailer vmodule",
}
GLOG = {name: kind for kind, names in _GLOG.items() for name in names.split()}
_HELP = ("help", "helpfull", "helpshort", "helpxml")
_HELP_ON = ("helpon", "helpmatch")  # with a value
_COMPLETION = {"tab_completion_columns": "int32", "tab_completion_word": "string"}
_FILES = ("flagfile", "fromenv", "tryfromenv", "undefok")
_BOOLEANS = {"1": 1, "t": 1, "true": 1, "y": 1, "yes": 1, "0": 0, "f": 0, "false": 0, "n": 0, "no": 0}
_MAX_FILE = 1 << 20
_MAX_FILES = 100  # a flag file that names itself would never end


class UnknownFlag(CaffeError):
    """A flag that no program has; `name` may be allowed by `--undefok`."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        hint = did_you_mean(name, [flag for flag in known if not (flag.startswith("no") and flag[2:] in known)])
        super().__init__(f"unknown command line flag '{name}'{hint}")
        self.name = name


class CommonFlags:
    """Takes the flags that a command does not define itself.

    Parameters
    ----------
    ignored : dict of str to str
        Flags of other commands with their types; they are checked and have no effect.
    """

    def __init__(self, ignored: dict[str, str]) -> None:
        self.types = {**GLOG, **_COMPLETION, **ignored}
        self.allowed: set[str] = set()  # by --undefok
        self._files = 0

    def take(self, word: str, rest: list[str], known: Collection[str]) -> list[str]:
        """Apply the flag `word`, taking its value from `rest` if it is separate; return words for argparse.

        Raises
        ------
        UnknownFlag
            If there is no such flag; `known` are the command's own, for a suggestion.
        """
        name, equals, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if name in _HELP:
            return ["--help"]
        if name == "version":
            return _print_version()
        kind = "string" if name in _FILES + _HELP_ON else self.types.get(name)
        if kind is None and name.startswith("no") and self.types.get(name[2:]) == "bool" and not equals:
            name, equals, value, kind = name[2:], "=", "false", "bool"
        if kind is None:
            raise UnknownFlag(word.lstrip("-").partition("=")[0], [*known, *self.types])
        if kind == "bool":
            value = value if equals else "true"
        elif not equals:
            value = _next(name, rest)
        return self._apply(name, _checked(name, kind, value), rest)

    def _apply(self, name, value, rest):
        if name in _HELP_ON:
            return ["--help"]
        if name == "undefok":
            self.allowed.update(value.split(","))
        elif name == "flagfile":
            rest[:0] = [word for path in value.split(",") for word in self._read(path.strip())]
        elif name in ("fromenv", "tryfromenv"):
            rest[:0] = _from_environment(value.split(","), required=name == "fromenv")
        elif name in GLOG:
            os.environ["GLOG_" + name] = value
        return []

    def _read(self, path):
        """Return the flags of a flag file; lines without a hyphen name the programs that the next flags are for."""
        self._files += 1
        if self._files > _MAX_FILES:
            raise CaffeError(f"--flagfile {path}: more than {_MAX_FILES} flag files; does a file name itself?")
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                text = stream.read(_MAX_FILE + 1)
        except OSError as error:
            raise CaffeError(f"--flagfile {path}: {error.strerror}") from None
        if len(text) > _MAX_FILE:
            raise CaffeError(f"--flagfile {path}: longer than {_MAX_FILE} characters; is it a file of flags?")
        return _flag_lines(text)


def _flag_lines(text):
    words, programs, in_names = [], ["*"], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("-"):
            in_names = False
            if any(fnmatch.fnmatch(_program(), pattern) for pattern in programs):
                words.append(line)
        elif line and not line.startswith("#"):
            programs = [*(programs if in_names else []), *line.replace(",", " ").split()]
            in_names = True
    return words


def _print_version():
    from caffe.utils.cli import commands

    print(f"{_program()} version {commands.version()}")
    raise SystemExit(0)


def _program():
    return os.path.basename(sys.argv[0])


def _next(name, rest):
    if not rest:
        raise CaffeError(f"flag '--{name}' is missing its value")
    return rest.pop(0)


def _checked(name, kind, value):
    if kind == "bool" and value.lower() not in _BOOLEANS:
        raise CaffeError(f"boolean flag '--{name}': expected true or false, received '{value}'")
    if kind == "int32" and not re.fullmatch(r"[+-]?[0-9]{1,10}", value.strip()):
        raise CaffeError(f"illegal value '{value}' specified for int32 flag '{name}'")
    return str(_BOOLEANS[value.lower()]) if kind == "bool" else value


def _from_environment(names, required):
    words = []
    for name in names:
        value = os.environ.get("FLAGS_" + name)
        if value is not None:
            words.append(f"--{name}={value}")
        elif required:
            raise CaffeError(f"FLAGS_{name} not found in environment (--fromenv)")
    return words


def others(command: str) -> dict[str, str]:
    """Return the flags of Caffe's other commands, which `caffe COMMAND` ignores."""
    return CAFFE if command in VERBS else {}


def command_first(argv: list[str]) -> list[str]:
    """Move the command of `-solver x train` to the front; a command line without a command stays as it is."""
    takes_value = {**CAFFE, **GLOG, **_COMPLETION, **dict.fromkeys(_FILES + _HELP_ON, "string")}
    at = 0
    while at < len(argv):
        word = argv[at]
        if not word.startswith("-") or word == "-":
            return [word, *argv[:at], *argv[at + 1 :]]
        name, equals, _ = word.lstrip("-").partition("=")
        separate = not equals and takes_value.get(name.replace("-", "_"), "bool") != "bool"
        at += 2 if separate else 1
    return argv
