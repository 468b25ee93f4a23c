"""Run a command in a forked process, trace its system calls, and kill it at one of them."""

from __future__ import annotations

import collections
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from fnmatch import fnmatch
from pathlib import Path

# Calls that change what a later run finds, and those that start processes.
CALLS = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "link", "symlink", "fsync")
CALLS += ("fdatasync", "ftruncate", "syncfs", "fork", "vfork", "clone", "clone3")
TEMPORARY = re.compile(r"(^|/)\.[^/]+\.\w+-\d+\.\w{8}[^/]*(/|$)|(^|/)\.[^/]+\.lock$")  # of caffe.utils.atomic_io; locks
VARYING = re.compile(r"\.log$|_curves\.png$|__pycache__")  # they contain the time
IN_TEMPORARY_DIRECTORY = tempfile.gettempdir()


def available():
    """Return why strace cannot be used here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    run = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    return None if run.returncode == 0 else f"strace cannot trace: {run.stderr.strip()[-100:]}"


class Trial:
    """A case prepared in `folder`: its state before the command, and after an uninterrupted run of it."""

    def __init__(self, case, folder):
        self.case, self.folder = case, folder
        self.base = folder / "base"
        self.base.mkdir()
        (self.base / "mine.txt").write_text("a file of the user")
        case.prepare(self.base)
        for command in case.before:
            _check(run(self.base, command), command, self.base)
        case.change(self.base)
        self.before = tree(self.base)
        log = folder / "trace"
        work = self._copy()
        _check(run(work, case.command, ["-o", str(log), "-e", "trace=" + ",".join(CALLS)]), case.command, work)
        self.after = tree(work)
        assert self.after != self.before, f"{case.name} changes nothing"
        self.points = _points(log.read_text(errors="replace"))

    def _copy(self):
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.base, work, symlinks=True)
        return work

    def kill(self, point):
        """Kill the command at `point`, (call, number), run it again, and return what is wrong."""
        call, number = point
        work = self._copy()
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        run(work, self.case.command, ["-o", os.devnull, "-e", f"trace={call}", "-e", inject])
        self.case.read(work)
        faults = self._lost(tree(work))
        for whole in self.case.folders if self.case.once else ():
            shutil.rmtree(work / whole, ignore_errors=True)
        status, output = run(work, self.case.command)
        if status:
            return [*faults, f"the second run ended with {status}: {output[-300:]}"]
        return faults + _differences(tree(work), self.after)

    def _lost(self, found):
        """Return what the kill damaged: files that are neither as before nor as after the command."""
        found = {name: data for name, data in found.items() if not TEMPORARY.search(name)}
        faults = []
        for whole in self.case.folders:
            parts = [
                {name: tree_[name] for name in tree_ if name.startswith(whole + "/")} for tree_ in self._trees(found)
            ]
            if parts[0] not in parts[1:] and not (self.case.may_vanish and not parts[0]):
                faults.append(f"{whole} is neither the old nor the new directory")
        for pattern in self.case.sets:
            sets = [{name: tree_[name] for name in tree_ if fnmatch(name, pattern)} for tree_ in self._trees(found)]
            if sets[0] not in sets[1:]:
                faults.append(f"{pattern} is neither the old nor the new set of files")
        others = [n for n in {*found, *self.before} if not n.startswith(tuple(f + "/" for f in self.case.folders))]
        for name in sorted(others):
            states = [self.before.get(name), self.after.get(name)]
            if found.get(name) not in states and not (self.case.may_vanish and name not in found):
                faults.append(f"{name} is neither as before nor as after the command")
        return faults

    def _trees(self, found):
        return found, self.before, self.after


def spread(points, count):
    """Return up to `count` of the points at even distances."""
    if len(points) <= count:
        return list(points)
    return [points[i * len(points) // count] for i in range(count)]


def tree(folder):
    """Map the relative path of every file and link below `folder` to its contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if VARYING.search(name):
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def _differences(found, expected):
    return [
        f"after the second run, {name} "
        + ("is missing" if name not in found else "differs" if name in expected else "is left")
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]


def _points(log):
    """Return (call, number) for every call; strace counts the calls of each thread by name."""
    counts = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log, re.MULTILINE))
    most = {}
    for (_, call), count in counts.items():
        most[call] = max(count, most.get(call, 0))
    return [(call, number) for call in CALLS for number in range(1, most.get(call, 0) + 1)]


def run(folder, command, strace=None):
    """Run a command, (package, arguments...), in `folder`; return its exit status and its output.

    A fork of this process runs it, since the packages are loaded already. `strace` are options to trace it with.
    """
    with tempfile.TemporaryFile("w+") as output:
        go, ready = os.pipe()
        child = os.fork()
        if not child:
            os.close(ready)
            _run_here(folder, command, output, go)
        os.close(go)
        try:
            tracer = _attach(child, strace) if strace else None
        finally:
            os.close(ready)  # the child starts
        _, status = os.waitpid(child, 0)
        _end_group(child)
        if tracer is not None:
            tracer.wait()
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def _run_here(folder, command, output, go):
    status = 99
    try:
        os.setpgid(0, 0)
        os.read(go, 1)
        for number in (1, 2):
            os.dup2(output.fileno(), number)
        os.chdir(folder)
        package, *arguments = command
        sys.argv = [package, *arguments]
        status = importlib.import_module(package).main(arguments)
        sys.stdout.flush()
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status if isinstance(status, int) else bool(status))


def _attach(child, options):
    tracer = subprocess.Popen(["strace", "-qq", "-f", "-p", str(child), *options], stderr=subprocess.PIPE, text=True)
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if tracer.poll() is not None:
            raise RuntimeError(f"strace: {tracer.stderr.read()}")
        time.sleep(0.002)
    return tracer


def _end_group(child):
    """End the processes that a killed command left behind."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _check(result, command, folder):
    status, output = result
    if status:
        raise RuntimeError(f"{' '.join(command)} in {folder} ended with {status}:\n{output[-2000:]}")
