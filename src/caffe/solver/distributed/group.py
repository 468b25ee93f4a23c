"""The processes of one training: rank, number, and collective operations that never pickle."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

from caffe.core import config, glog
from caffe.core.local_processes import RENDEZVOUS, rank_and_size
from caffe.errors import CaffeError
from caffe.solver.distributed import rendezvous

BATCHES = ("each", "shared")
_state: dict[str, Group | None] = {"current": None}


class Group:
    """The processes that train together.

    Parameters
    ----------
    rank : int
        Number of this process, 0 to size - 1.
    size : int
        Number of processes.
    batch : {"each", "shared"}
        "each": every process has the prototxt's batch, as in BVLC Caffe. "shared": the processes divide it.
    """

    def __init__(self, rank: int, size: int, batch: str = "each") -> None:
        self.rank, self.size, self.batch = rank, size, batch

    @property
    def divisor(self) -> int:
        """The number by which the prototxt's batch is divided."""
        return self.size if self.batch == "shared" else 1

    def sum(self, tensor: torch.Tensor, wait: bool = True) -> Any:
        """Sum `tensor` over the processes in place; without `wait`, return the work to wait for with `finish`."""
        with _reported():
            return dist.all_reduce(tensor, async_op=not wait)

    @staticmethod
    def finish(work: Any) -> None:
        """Wait for an operation that `sum` started."""
        with _reported():
            work.wait()

    def broadcast(self, tensor: torch.Tensor) -> None:
        """Copy the tensor of process 0 to all processes."""
        with _reported():
            dist.broadcast(tensor, 0)

    def broadcast_bytes(self, data: bytes) -> bytes:
        """Return the bytes of process 0."""
        length = torch.tensor([len(data)])
        self.broadcast(length)
        content = torch.zeros(int(length), dtype=torch.uint8)
        if self.rank == 0:
            content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else content)
        self.broadcast(content)
        return content.numpy().tobytes()

    def broadcast_json(self, value: Any) -> Any:
        """Return the value of process 0, which JSON can express."""
        return json.loads(self.broadcast_bytes(json.dumps(value).encode()))

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Return the tensors of all processes, which have the same shape, in the order of the ranks."""
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        with _reported():
            dist.all_gather(parts, tensor)
        return parts

    def gather_json(self, value: Any) -> list[Any]:
        """Return the values of all processes, in the order of the ranks."""
        data = json.dumps(value).encode()
        lengths = [int(length) for length in self.gather(torch.tensor([len(data)]))]
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        parts = self.gather(padded)
        return [json.loads(part[:length].numpy().tobytes()) for part, length in zip(parts, lengths)]


def current() -> Group | None:
    """Return the group that this process has joined; None if it trains alone."""
    return _state["current"]


@contextlib.contextmanager
def joined(batch: str = "each") -> Iterator[Group | None]:
    """Join the processes that torchrun's environment describes, for the duration of the context.

    RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are torch.distributed's variables. Without them, and for a single
    process, the result is None. The backend is gloo for CPU memory and NCCL for CUDA memory. Processes other than 0 log
    errors only.

    Parameters
    ----------
    batch : {"each", "shared"}
        See `Group`.

    Raises
    ------
    CaffeError
        If the other processes cannot be reached.
    """
    rank, size = rank_and_size()
    if size == 1:
        yield None
        return
    _connect(rank, size)
    group = _state["current"] = Group(rank, size, batch)
    before = config.solver_count(), config.solver_rank()
    config.set_solver_count(size)
    config.set_solver_rank(rank)
    level = os.environ.get("GLOG_minloglevel")  # noqa: SIM112  glog's own spelling
    if rank:
        os.environ["GLOG_minloglevel"] = level or "2"  # noqa: SIM112
    glog.info(f"Training in {size} processes, batch: {batch}", "parallel.cpp:1")
    try:
        yield group
    finally:
        _leave(before, level)


def _connect(rank, size):
    """Start torch.distributed."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    method = os.environ.get(RENDEZVOUS, "env://")
    try:
        if rendezvous.agent_store_is_kept():
            store = rendezvous.fresh(next(dist.rendezvous(method, rank, size))[0], rank, size)
            dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        else:
            dist.init_process_group(backend, method, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        raise CaffeError(f"process {rank} of {size} cannot reach the others: {_first_line(error)}") from None


def _leave(before, level):
    _state["current"] = None
    config.set_solver_count(before[0])
    config.set_solver_rank(before[1])
    os.environ.pop("GLOG_minloglevel", None)
    if level is not None:
        os.environ["GLOG_minloglevel"] = level  # noqa: SIM112
    with contextlib.suppress(RuntimeError):  # the others may be gone
        dist.destroy_process_group()


@contextlib.contextmanager
def _reported():
    try:
        yield
    except RuntimeError as error:
        raise CaffeError(
            f"another process of this training has ended or cannot be reached: {_first_line(error)}; see its output. "
            "The same command with --resume continues from the last snapshot"
        ) from None


def _first_line(error):
    return str(error).strip().split("\n")[0].split(". This is typically")[0][:300]
