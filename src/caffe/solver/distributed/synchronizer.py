"""What a Solver does together with the other processes: gradients, requests, tests and state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from caffe.errors import CaffeError
from caffe.solver import resume
from caffe.solver.distributed.buckets import GradientBuckets
from caffe.solver.distributed.group import Group
from caffe.solver.distributed.statistics import Statistics

EXTRA = 4  # numbers in the last bucket: loss, stop, snapshot, failed
UNSHARABLE = ("HDF5Output",)


class Synchronizer:
    """Connects one solver to its group.

    Attributes
    ----------
    stop, snapshot : bool
        What any process requested, as all agreed in the last iteration or test.
    """

    def __init__(self, group: Group, solver: Any) -> None:
        self.group, self.solver = group, solver
        _refuse(solver)
        self.buckets = GradientBuckets(group, solver.net, EXTRA)
        self.statistics = Statistics(group, solver.net)
        self.stop = self.snapshot = False
        self._started = False
        self._shared = [self._share_batches(i) for i in range(len(solver.test_nets))]
        reseed(solver.net, group.rank)

    def _share_batches(self, index):
        """Let this process run every size-th test batch; False if the net cannot skip batches."""
        nodes, count = self.solver.test_nets[index].nodes, self.solver.param.test_iter[index]
        sources = [node.layer for node in nodes if not node.bottoms or node.layer.type == "Python"]
        if not all(hasattr(layer, "share_batches") for layer in sources):
            return False
        if any(node.layer.needs_every_batch for node in nodes):
            return False
        for layer in sources:
            layer.share_batches(self.group.rank, self.group.size, count)
        return True

    # -- training --------------------------------------------------------------------------------

    def start(self) -> None:
        """Give all processes the weights and the solver state of process 0, once."""
        if self._started:
            return
        self._started = True
        blobs = [blob for node in self.solver.net.nodes for blob in node.layer.blobs]
        for tensor in [*(blob.tensor.detach() for blob in blobs), *self.solver.history]:
            self.group.broadcast(tensor)

    def begin(self) -> None:
        """Send buckets during the next backward."""
        self.solver.net.backward_observer = self.buckets.layer_done

    def finish(self, loss: float) -> float:
        """Average the diffs and the loss; learn what the other processes request. Returns the mean loss."""
        self.solver.net.backward_observer = None
        solver = self.solver
        requests = [loss, float(solver.stop_requested), float(solver.snapshot_requested), 0.0]
        total, stop, snapshot, failed = self.buckets.finish(requests)
        if failed:
            self._raise_failure("")
        self.stop, self.snapshot = stop > 0, snapshot > 0
        return total / self.group.size

    def fail(self, error: Exception) -> None:
        """Let the other processes know that this one cannot finish its iteration."""
        self.solver.net.backward_observer = None
        with contextlib.suppress(CaffeError):  # they may be gone; the caller raises `error`
            self.buckets.finish([0.0, 0.0, 0.0, 1.0])
            self.group.gather_json(str(error))

    def _raise_failure(self, own):
        messages = self.group.gather_json(own)
        rank, text = next((i, text) for i, text in enumerate(messages) if text)
        raise CaffeError(f"process {rank} of {self.group.size} failed: {text}")

    # -- testing ---------------------------------------------------------------------------------

    def test_batches(self, index: int) -> Iterator[tuple[float, dict[str, np.ndarray]]]:
        """Run the batches of a test net on all processes; yield loss and outputs of each, in the order of one process.

        If any process is asked to stop, nothing is yielded and `stop` is set.
        """
        net, count = self.solver.test_nets[index], self.solver.param.test_iter[index]
        rows: list[list[np.ndarray]] = []  # loss and outputs of the batches that ran here
        step = self.group.size if self._shared[index] else 1
        for first in range(0, count, step):
            number = first + (self.group.rank if step > 1 else 0)
            self._test_batch(net, rows if number < count else None)
            if self.stop:
                return
        for row in rows if step == 1 else self._gathered(rows, count, 1 + len(net.outputs)):
            yield float(row[0][0]), dict(zip(net.outputs, row[1:]))

    def _test_batch(self, net, rows):
        """Run a batch and append its values to `rows`; None: the other processes run the last batches."""
        flags = torch.tensor([float(self.solver.stop_requested), 0.0])
        failure = None
        if rows is not None:
            try:
                loss = net.forward_range(0, len(net.layers) - 1, record=False)
                outputs = [net.blobs[name].data.ravel().astype("float64") for name in net.outputs]
                rows.append([np.array([loss]), *outputs])
            except Exception as error:
                failure, flags[1] = error, 1.0
        self.group.sum(flags)
        if flags[1]:
            if failure is not None:
                self.group.gather_json(str(failure))
                raise failure
            self._raise_failure("")
        self.stop = bool(flags[0])

    def _gathered(self, rows, count, width):
        """Yield the rows of all processes in the order of the batches; outputs may differ in length (detections)."""
        rank, size = self.group.rank, self.group.size
        lengths = torch.zeros(count, width, dtype=torch.int64)
        for i, row in enumerate(rows):
            lengths[rank + i * size] = torch.tensor([len(part) for part in row])
        self.group.sum(lengths)
        totals = [int(lengths[r::size].sum()) for r in range(size)]
        local = torch.zeros(max(totals), dtype=torch.float64)
        if rows:
            local[: totals[rank]] = torch.from_numpy(np.concatenate([part for row in rows for part in row]))
        parts, ends = [part.numpy() for part in self.group.gather(local)], [0] * size
        for number in range(count):
            source = number % size
            row = []
            for length in lengths[number].tolist():
                row.append(parts[source][ends[source] : ends[source] + length])
                ends[source] += length
            yield row

    # -- state -----------------------------------------------------------------------------------

    def gather_state(self) -> resume.Ranks:
        """Return what every process adds to the resume file."""
        nets = self.solver._nets
        generators = torch.cat([net.generator.get_state() for net in nets.values()])
        local = self.statistics.local().cpu()
        return resume.Ranks(
            self.group.gather_json(resume.layer_states(nets)),
            [part.numpy() for part in self.group.gather(generators)],
            [part.numpy() for part in self.group.gather(local)] if len(local) else [],
        )

    def restore(self, path: str) -> None:
        """Restore the solver from a snapshot that process 0 reads."""
        solver, rank = self.solver, self.group.rank
        message, data = "", b""
        if rank == 0:
            try:
                solver.read_state(path)
                data = resume.read(resume.path_of(path))
            except CaffeError as error:
                message = str(error)
        message = self.group.broadcast_json(message)
        if message:
            raise CaffeError(message)
        self._started = False
        self.start()
        solver.iter, solver.current_step = self.group.broadcast_json([solver.iter, solver.current_step])
        data = self.group.broadcast_bytes(data)
        solver.restore_position(data or None, path)

    def newest(self, path: str) -> str:
        """Return the path that process 0 has chosen."""
        return self.group.broadcast_json(path)


def reseed(net: Any, rank: int) -> None:
    """Give process `rank` random numbers of its own for dropout and fillers; process 0 keeps those of one process."""
    if rank:
        net.generator.manual_seed((net.generator.initial_seed() + rank * 0x9E3779B97F4A7C15) % 2**63)


def _refuse(solver):
    for net in (solver.net, *solver.test_nets):
        for node in net.nodes:
            if node.layer.type in UNSHARABLE:
                raise CaffeError(
                    f"layer '{node.layer.name}' ({node.layer.type}): all processes would write the same file; "
                    "use one process"
                )
