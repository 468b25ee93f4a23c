"""Several processes of one command on this machine, with the environment that torchrun gives its workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.utils import safe_path

RENDEZVOUS = "CAFFE_RENDEZVOUS"  # a torch.distributed init method; torchrun's workers use env://
GRACE = 10.0  # seconds in which the others may end by themselves after one has failed


def rank_and_size() -> tuple[int, int]:
    """Return torch.distributed's RANK and WORLD_SIZE; (0, 1) without them."""
    values = []
    for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")):
        text = os.environ.get(name, default)
        if not text.isdigit():
            raise CaffeError(f"environment variable {name}: expected a number, received '{text}'")
        values.append(int(text))
    rank, size = values
    if not 0 <= rank < size:
        raise CaffeError(f"environment: RANK is {rank}, but WORLD_SIZE is {size}")
    return rank, size


def local_rank() -> int:
    """Return the number of this process on its machine (LOCAL_RANK)."""
    text = os.environ.get("LOCAL_RANK", "0")
    return int(text) if text.isdigit() else 0


def run(argv: Sequence[str], count: int) -> int:
    """Run `python ARGV` in `count` processes that can join each other, and return the exit status.

    They meet through a file and talk over the loopback interface. Signals are passed on. If one process fails, the
    others get GRACE seconds before they are terminated. The output of processes other than 0 has a prefix.

    Parameters
    ----------
    argv : sequence of str
        Arguments of the Python interpreter.
    count : int

    Returns
    -------
    int
        The first status that is not 0, or 0; 128 + n for a process that signal n ended.
    """
    with tempfile.TemporaryDirectory(prefix="caffe-") as folder:
        children: list[subprocess.Popen] = []
        try:
            with _signals(children):
                for rank in range(count):
                    children.append(_start(argv, rank, count, folder))
                readers = [threading.Thread(target=_prefixed, args=(i, child)) for i, child in enumerate(children) if i]
                for reader in readers:
                    reader.start()
                status = _wait(children)
                for reader in readers:
                    reader.join()
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
    return status


def _start(argv, rank, count, folder):
    threads = str(max(1, (os.cpu_count() or 1) // count))
    variables = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        RENDEZVOUS: f"file://{folder}/rendezvous",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
    }
    if sys.platform == "linux":
        variables["GLOO_SOCKET_IFNAME"] = "lo"
    return subprocess.Popen(
        [sys.executable, *argv],
        env={**os.environ, **variables, **safe_path.variables()},
        stdout=subprocess.DEVNULL if rank else None,
        stderr=subprocess.PIPE if rank else None,
        start_new_session=True,
    )


def _prefixed(rank, child):
    for line in child.stderr:
        print(f"[process {rank}] " + line.decode("utf-8", "replace"), end="", file=sys.stderr, flush=True)


def _wait(children):
    """Wait for all; return the status of the process that failed first."""
    status, since, sent = 0, None, None
    while any(child.poll() is None for child in children):
        failed = [child.returncode for child in children if child.returncode]
        if failed and since is None:
            status, since = failed[0], time.monotonic()
        waited = 0.0 if since is None else time.monotonic() - since
        due = signal.SIGKILL if waited > 2 * GRACE else signal.SIGTERM if waited > GRACE else None
        if due != sent:
            sent = due
            _send(children, due)
        time.sleep(0.05)
    status = status or next((child.returncode for child in children if child.returncode), 0)
    return status if status >= 0 else 128 - status


def _send(children, number):
    for child in children:
        if child.poll() is None:
            child.send_signal(number)


@contextlib.contextmanager
def _signals(children: list[subprocess.Popen]) -> Iterator[None]:
    """Pass signals on to the children, which have sessions of their own, so that each arrives once."""
    previous: dict[int, Any] = {}

    def forward(number: int, frame: Any) -> None:
        _send(children, number)

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
