"""Log files in `log_dir`, named and begun as glog's, so that scripts that look for `caffe.INFO` find it."""

from __future__ import annotations

import datetime
import getpass
import os
import socket
import sys
from typing import TextIO

SEVERITIES = ("INFO", "WARNING", "ERROR")


class LogFiles:
    """The files of one process: a line goes to the file of its severity and to those of all lower ones."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._streams: dict[str, TextIO | None] = {}

    def write(self, severity: int, line: str) -> None:
        """Append `line`; a file that cannot be created is reported once, as glog does."""
        for name in SEVERITIES[: severity + 1]:
            if name not in self._streams:
                self._streams[name] = self._create(name)
            stream = self._streams[name]
            if stream is not None:
                stream.write(line + "\n")
                stream.flush()

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams.values():
            if stream is not None:
                stream.close()
        self._streams.clear()

    def _create(self, severity: str) -> TextIO | None:
        now, program = datetime.datetime.now(), _program()
        host = socket.gethostname() or "unknown"
        name = f"{program}.{host}.{_user()}.log.{severity}.{now:%Y%m%d-%H%M%S}.{os.getpid()}"
        path = os.path.join(self.folder, name)
        try:
            stream = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - open until the end
            _link(name, os.path.join(self.folder, f"{program}.{severity}"))
        except OSError as error:
            print(f"Could not create log file: {path}: {error.strerror}", file=sys.stderr)
            return None
        stream.write(
            f"Log file created at: {now:%Y/%m/%d %H:%M:%S}\nRunning on machine: {host}\n"
            "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg\n"
        )
        return stream


def _link(name: str, link: str) -> None:
    """Point the symbolic link `caffe.INFO` to the newest file; a regular file of that name stays."""
    if os.path.lexists(link) and not os.path.islink(link):
        return
    temporary = f"{link}.{os.getpid()}"
    os.symlink(name, temporary)
    os.replace(temporary, link)


def _program() -> str:
    name = os.path.basename(sys.argv[0] if sys.argv and sys.argv[0] else "caffe")
    return "caffe" if name in ("__main__.py", "-c") else name


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "invalid-user"
