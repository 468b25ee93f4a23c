"""Solver: trains a net as Caffe's solver.cpp and sgd_solver.cpp do, with the same log lines."""

from __future__ import annotations

import collections
import contextlib
import math
import os
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch

from caffe.core import config, glog, malloc
from caffe.errors import CaffeError
from caffe.kernels import library as kernels
from caffe.net import debug_info
from caffe.net.freeing import Freeing
from caffe.proto import caffe_pb2
from caffe.proto.read import read_solver
from caffe.solver import distributed, divergence, fused_sgd, net_factory, policies, prefix_lock, resume
from caffe.solver.distributed.synchronizer import Synchronizer
from caffe.solver.divergence import DivergenceMonitor
from caffe.solver.loss_scale import LossScale
from caffe.solver.test_outputs import TestOutputs
from caffe.solver.update_rules import UPDATE_RULES
from caffe.weights import paths as weight_paths
from caffe.weights import snapshot

SOURCE = "solver.cpp:239"


class Solver:
    """Trains a net as described by a solver prototxt.

    `net`, `test_nets`, `iter`, `param` and `lr` are pycaffe's attributes. A signal handler may set `stop_requested` and
    `snapshot_requested`; they take effect after the current iteration.

    Parameters
    ----------
    solver_file : str
        Path of the solver prototxt.
    """

    type = ""  # set by subclasses; if empty, the type of the solver file is used

    def __init__(self, solver_file: str | os.PathLike[str]) -> None:
        file = read_solver(str(solver_file))
        self._init_from_param(file.param)

    @classmethod
    def from_param(cls, param: Any) -> Solver:
        """Create a solver from a SolverParameter in memory."""
        solver = cls.__new__(cls)
        solver._init_from_param(param)
        return solver

    def _init_from_param(self, param):
        self.param = param
        self._check(param)
        group = distributed.current()
        if param.random_seed >= 0:
            config.set_random_seed(param.random_seed)
        elif group is not None:  # equal nets and record orders in all processes
            config.set_random_seed(group.broadcast_json(config.next_seed()))
        if param.HasField("solver_mode") and param.solver_mode == caffe_pb2.SolverParameter.GPU:
            _use_gpu(param.device_id)
        self.rule = UPDATE_RULES[self.type or param.type](param)
        self.net = net_factory.train_net(param, 1 if group is None else group.divisor)
        self.test_nets = net_factory.test_nets(param)
        for net in self.test_nets if param.debug_info else ():
            debug_info.set_enabled(net, True)
        self.iter, self.current_step = 0, 0
        self._losses: collections.deque[float] = collections.deque(maxlen=max(1, param.average_loss))
        self._callbacks = []
        self.history = [
            torch.zeros(w.blob.shape, device=self.net.device)
            for _ in range(self.rule.histories)
            for w in self.net.learnable_weights
        ]
        self._fused = config.fast() and fused_sgd.is_supported(self)
        if config.fast():
            malloc.retain_freed_memory()
            if config.device().type == "cpu" and kernels.is_available():
                glog.info("Native kernels are in use where they support the layer.", "solver.cpp:57")
        self.stop_requested = self.snapshot_requested = False
        self.loss_scale, self._grads_finite = LossScale(), True  # used with fp16
        self.divergence_monitor = None  # set by `solve`
        self._prefix_locks: dict[str, Callable[[], Any]] = {}  # by prefix: the function that releases it
        self.synchronizer = None if group is None else Synchronizer(group, self)
        for path in param.weights:
            self.load_weights(path)
        glog.info("Solver scaffolding done.", "solver.cpp:57")

    def _check(self, param):
        policies.check(param)
        rule = self.type or param.type
        if rule not in UPDATE_RULES:
            known = ", ".join(UPDATE_RULES)
            raise CaffeError(f"unknown solver type '{rule}' (known: {known})")
        if param.iter_size < 1:
            raise CaffeError(f"iter_size must be positive, received {param.iter_size}")
        if param.regularization_type not in ("L1", "L2"):
            raise CaffeError(f"unknown regularization_type '{param.regularization_type}' (known: L1, L2)")
        folder = os.path.dirname(param.snapshot_prefix)
        if param.snapshot_prefix and folder:
            os.makedirs(folder, exist_ok=True)  # Caffe aborts if the folder is missing

    def load_weights(self, text: str) -> None:
        """Copy weights into the train net and all test nets; `text` is a comma-separated list of files.

        With several processes, only process 0 reads them; the others receive its weights.
        """
        if self.synchronizer is not None and self.synchronizer.group.rank:
            return
        for path in weight_paths.split(text):
            for net in (self.net, *self.test_nets):
                net.copy_from(path)

    @property
    def _nets(self):
        return {"train": self.net, **{f"test_{i}": net for i, net in enumerate(self.test_nets)}}

    # -- pycaffe's interface ---------------------------------------------------------------------

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""
        return policies.learning_rate(self.param, self.iter, policies.advance(self.param, self.iter, self.current_step))

    @property
    def type_name(self) -> str:
        """The solver type, such as SGD or Nesterov."""
        return type(self.rule).__name__

    def add_callback(self, on_start: Callable[[], Any], on_gradients_ready: Callable[[], Any]) -> None:
        """Call `on_start()` before each iteration and `on_gradients_ready()` between backward and update."""
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net: Any) -> None:
        """Make `net` (Net) use the memory of this solver's weights, by layer name, as pycaffe's share_weights."""
        net.share_with(self.net)

    def free_blobs(self, checkpointing: bool = False) -> None:
        """Free each blob in every step as soon as no later layer of the step needs it.

        Losses, weights and their gradients stay the same bit for bit. `caffe train` does this; a program that reads
        blobs between steps must not. Outputs, losses, tops of data layers and blobs of Python layers are kept.

        Parameters
        ----------
        checkpointing : bool
            Keep only a few blobs in the forward pass, and compute the others again in the backward pass
            (caffe.net.freeing): less memory, at most one forward pass more per step.
        """
        if checkpointing:
            malloc.return_freed_memory()
        self.net.freeing = Freeing(self.net, checkpointing)
        for net in self.test_nets:
            net.freeing = Freeing(net)

    def solve(self, resume_file: str | None = None) -> None:
        """Train up to max_iter and write a final snapshot.

        Parameters
        ----------
        resume_file : str, optional
            A solverstate to resume from.

        Raises
        ------
        CaffeError
            If the training diverges, `resume_file` does not belong to this solver, or another process trains with this
            snapshot_prefix.
        """
        if self.param.snapshot or self.param.snapshot_after_train:
            self._lock_prefix()
        try:
            self._solve(resume_file)
        finally:
            self._unlock_prefixes()

    def _solve(self, resume_file):
        glog.info(f"Solving {self.net.name}", "solver.cpp:279")
        glog.info(f"Learning Rate Policy: {self.param.lr_policy}", "solver.cpp:280")
        self.divergence_monitor = self.divergence_monitor or DivergenceMonitor(
            divergence.worst_loss(self.net), divergence.loss_types(self.net)
        )
        if resume_file:
            self.restore(resume_file)
        self.step(self.param.max_iter - self.iter)
        p = self.param
        self.stop_requested = self._requests()[0]
        if p.snapshot_after_train and (not p.snapshot or self.iter % p.snapshot):
            self.snapshot()
        if self.stop_requested:
            glog.info("Optimization stopped early.", "solver.cpp:327")
            return
        if p.display and self.iter % p.display == 0:
            self._losses.append(self.net.forward_range(0, len(self.net.layers) - 1, record=False))
            glog.info(f"Iteration {self.iter}, loss = {_number(self.smoothed_loss)}", "solver.cpp:317")
        if p.test_interval and self.iter % p.test_interval == 0:
            self.test_all()
        glog.info("Optimization Done.", "solver.cpp:331")

    def step(self, count: int) -> None:
        """Run `count` iterations."""
        p = self.param
        if self.synchronizer is not None:
            self.synchronizer.start()
        self._lap = (time.monotonic(), self.iter)
        for _ in range(count):
            if p.test_interval and self.iter % p.test_interval == 0 and (self.iter or p.test_initialization):
                self.test_all()
                if self._requests()[0]:
                    break
            for on_start, _ in self._callbacks:
                on_start()
            self._losses.append(self._forward_backward())
            if p.display and self.iter % p.display == 0:
                self._display()
            if self.divergence_monitor is not None:
                self.divergence_monitor.check(self.iter, self._losses[-1])
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            if self._grads_finite:
                self.apply_update()
            self.iter += 1
            stop, snapshot = self._requests()
            if snapshot or (p.snapshot and self.iter % p.snapshot == 0):
                self.snapshot_requested = False
                self.snapshot()
            if stop:
                break

    def _requests(self):
        """Return whether to stop and whether to write a snapshot; several processes do what they agreed on."""
        source = self.synchronizer
        return (self.stop_requested, self.snapshot_requested) if source is None else (source.stop, source.snapshot)

    # -- one iteration ---------------------------------------------------------------------------

    def _forward_backward(self):
        last, p = len(self.net.layers) - 1, self.param
        if p.debug_info:  # only for displayed iterations
            debug_info.set_enabled(self.net, bool(p.display) and self.iter % p.display == 0)
        self.net.clear_param_diffs()
        try:
            loss = self._passes(last)
        except Exception as error:
            if self.synchronizer is not None:
                self.synchronizer.fail(error)
            raise
        if self.synchronizer is not None:
            loss = self.synchronizer.finish(loss)
        self._grads_finite = self.net.precision != "fp16" or self.loss_scale.unscale(self.net.learnable_weights)
        if not self._grads_finite:
            scale = _number(self.loss_scale.scale)
            glog.info(
                f"Iteration {self.iter}: a diff overflowed half precision; update skipped, loss scale set to {scale}",
                SOURCE,
            )
        return loss

    def _passes(self, last):
        """Run iter_size times forward and backward, and return the mean loss."""
        count, loss = self.param.iter_size, 0.0
        for number in range(count):
            loss += self.net.forward_range(0, last) if self.net.freeing is None else self.net.freeing.forward()
            if self.synchronizer is not None and number == count - 1:
                self.synchronizer.begin()
            self._backward(last)
        return loss / count

    def _backward(self, last):
        with self.loss_scale.applied(self.net) if self.net.precision == "fp16" else contextlib.nullcontext():
            self.net.backward_range(last, 0) if self.net.freeing is None else self.net.freeing.backward()
            if self.net.debug_reporter is not None:
                self.net.debug_reporter.log_norms()

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the last `average_loss` iterations."""
        return sum(self._losses) / max(1, len(self._losses))

    @torch.no_grad()
    def apply_update(self) -> None:
        """Clip, normalize and regularize the diffs of the weights, apply the update rule, and update the weights."""
        p = self.param
        self.current_step = policies.advance(p, self.iter, self.current_step)
        rate = policies.learning_rate(p, self.iter, self.current_step)
        if p.display and self.iter % p.display == 0:
            glog.info(f"Iteration {self.iter}, lr = {_number(rate)}", "sgd_solver.cpp:112")
        weights = self.net.learnable_weights
        self._clip(weights)
        if p.iter_size > 1:
            for weight in weights:
                weight.blob.grad.div_(p.iter_size)
        if self._fused:
            fused_sgd.update(weights, self.history, rate, p.momentum, p.weight_decay)
        else:
            self._update(weights, rate)

    def _update(self, weights, rate):
        """Update one weight at a time; the reference for fused_sgd."""
        p = self.param
        for i, weight in enumerate(weights):
            data, gradient = weight.blob.tensor, weight.blob.grad
            decay = p.weight_decay * weight.decay_mult
            if decay:
                if p.regularization_type == "L2":
                    gradient.add_(data, alpha=decay)
                else:
                    gradient.add_(data.sign(), alpha=decay)
            history = self.history[i :: len(weights)]
            self.rule.update(rate * weight.lr_mult, history, gradient, self.iter)
            data.sub_(gradient)

    def _clip(self, weights):
        limit = self.param.clip_gradients
        if limit < 0:
            return
        norm = math.sqrt(sum(float(w.blob.grad.square().sum()) for w in weights))
        if norm > limit:
            glog.info(
                f"Gradient clipping: scaling down gradients (L2 norm {_number(norm)} > {_number(limit)}) "
                f"by scale factor {_number(limit / norm)}",
                "sgd_solver.cpp:93",
            )
            for weight in weights:
                weight.blob.grad.mul_(limit / norm)

    def _display(self):
        now = time.monotonic()
        start, first = self._lap
        seconds, count = now - start, self.iter - first
        self._lap = (now, self.iter)
        speed = _number(count / seconds if seconds else 0)
        glog.info(
            f"Iteration {self.iter} ({speed} iter/s, {_number(seconds)}s/{count or self.param.display} iters), "
            f"loss = {_number(self.smoothed_loss)}",
            SOURCE,
        )
        self._log_outputs("Train", [(name, self.net.blobs[name].data.ravel()) for name in self.net.outputs], self.net)

    def _log_outputs(self, label, outputs, net):
        number = 0
        weights = net.blob_loss_weights
        for name, values in outputs:
            weight = weights.get(name, 0.0)
            for value in values:
                note = f" (* {_number(weight)} = {_number(weight * value)} loss)" if weight else ""
                glog.info(f"    {label} net output #{number}: {name} = {_number(value)}{note}", "solver.cpp:258")
                number += 1

    # -- testing ---------------------------------------------------------------------------------

    def test_all(self) -> list[dict[str, Any]]:
        """Run every test net for its test_iter batches; returns a list of dicts of mean outputs."""
        return [self.test(i) for i in range(len(self.test_nets))]

    def test(self, index: int = 0) -> dict[str, Any]:
        """Run test net `index` for its test_iter batches; logs and returns the mean of each output."""
        net = self.test_nets[index]
        glog.info(f"Iteration {self.iter}, Testing net (#{index})", "solver.cpp:347")
        net.share_with(self.net)
        outputs = TestOutputs(net, self.param.ap_version)
        loss = 0.0
        for batch_loss, values in self._test_batches(index):
            loss += batch_loss
            outputs.add(values)
        if self._requests()[0]:
            glog.info("Test interrupted.", "solver.cpp:396")
            return {}
        count = self.param.test_iter[index]
        if self.param.test_compute_loss:
            glog.info(f"Test loss: {_number(loss / count)}", "solver.cpp:400")
        if self.param.show_per_class_result:
            for label, precision in outputs.per_class():
                glog.info(f"class{label}: {_number(precision)}", "solver.cpp:519")
        means = outputs.results()
        self._log_outputs("Test", means.items(), net)
        return means

    def _test_batches(self, index):
        """Yield the loss and the outputs, by name, of each test batch; ends early if a stop is requested."""
        if self.synchronizer is not None:
            with self.synchronizer.statistics.averaged():
                yield from self.synchronizer.test_batches(index)
            return
        net = self.test_nets[index]
        for _ in range(self.param.test_iter[index]):
            loss = net.forward_range(0, len(net.layers) - 1, record=False)
            yield loss, {name: net.blobs[name].data.ravel().astype("float64") for name in net.outputs}
            if self.stop_requested:
                return

    # -- files -----------------------------------------------------------------------------------

    def _stem(self):
        return f"{self.param.snapshot_prefix}_iter_{self.iter}"

    def _lock_prefix(self):
        """Lock the snapshot_prefix for this process until `solve` returns or the solver is deleted."""
        prefix = self.param.snapshot_prefix
        if prefix not in self._prefix_locks and (self.synchronizer is None or not self.synchronizer.group.rank):
            self._prefix_locks[prefix] = weakref.finalize(self, prefix_lock.hold(prefix))

    def _unlock_prefixes(self):
        while self._prefix_locks:
            self._prefix_locks.popitem()[1]()

    def snapshot(self) -> None:
        """Write <prefix>_iter_N.caffemodel and .solverstate (with a further `.h5` for HDF5), and the resume file.

        With several processes, all call this and process 0 writes. Raises CaffeError if another process trains with the
        same snapshot_prefix.
        """
        if self.synchronizer is None:
            self._write_snapshot(None)
            return
        ranks = self.synchronizer.gather_state()
        with self.synchronizer.statistics.averaged():
            if self.synchronizer.group.rank == 0:
                self._write_snapshot(ranks)

    def _write_snapshot(self, ranks):
        self._lock_prefix()
        hdf5 = self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5
        suffix, file_format = (".h5", "HDF5") if hdf5 else ("", "binary proto")
        model, state = self._stem() + ".caffemodel" + suffix, self._stem() + ".solverstate" + suffix
        glog.info(f"Snapshotting to {file_format} file {model}", "solver.cpp:454")
        self.net.save_hdf5(model) if hdf5 else self.net.save(model)
        scale = self.loss_scale
        loss_scale = [float(scale.scale), float(scale.good_iterations)]
        resume.save(resume.path_of(state), self._nets, {"losses": list(self._losses), "loss_scale": loss_scale}, ranks)
        glog.info(f"Snapshotting solver state to {file_format} file {state}", "sgd_solver.cpp:273")
        history = [h.cpu().numpy() for h in self.history]
        snapshot.write_solverstate(state, snapshot.SolverState(self.iter, model, self.current_step, history))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Resume from a solverstate (also one of real Caffe) and the weights that it refers to.

        Parameters
        ----------
        path : str
            A .solverstate or .solverstate.h5 file.

        Raises
        ------
        CaffeError
            If the file belongs to another net or solver type.
        """
        if self.synchronizer is not None:
            self.synchronizer.restore(str(path))
            return
        self.read_state(path)
        self.restore_position(None, path)

    def read_state(self, path: str | os.PathLike[str]) -> None:
        """Read weights, histories and iteration of a solverstate; the first part of `restore`."""
        state = _read_state(str(path))
        if state.learned_net:
            self.net.copy_from(_find_weights(state.learned_net, str(path)))
        if len(state.history) != len(self.history):
            raise CaffeError(
                f"{path} holds {len(state.history)} history blobs, this {self.type_name} solver has "
                f"{len(self.history)}: it belongs to another net or solver type"
            )
        for tensor, values in zip(self.history, state.history):
            tensor.copy_(torch.from_numpy(values.copy()).reshape(tensor.shape))
        self.iter, self.current_step = int(state.iter), int(state.current_step)

    def restore_position(self, data: bytes | None, path: str | os.PathLike[str]) -> None:
        """Restore record positions, random numbers and losses from the resume file; `data` is its content, if read."""
        sync = self.synchronizer
        more = () if sync is None else (data or b"", sync.group, sync.statistics)
        solver_state = resume.load(resume.path_of(path), self._nets, *more)
        self._losses.clear()
        self._losses.extend(solver_state["losses"] if solver_state else ())
        self.loss_scale = LossScale(*solver_state["loss_scale"]) if solver_state else LossScale()
        note = "" if solver_state is not None else " (no resume file: data start at record 0, as in Caffe)"
        glog.info(f"Restoring previous solver status from {path}{note}", "solver.cpp:284")


def _use_gpu(device):
    try:
        config.set_device(device)
        config.set_mode_gpu()
    except CaffeError:
        config.set_mode_cpu()
        glog.warning("solver_mode is GPU, but there is no CUDA device; training on the CPU", "caffe.cpp:205")


def _number(value):
    """Format a float as a C++ stream does, with six significant digits."""
    return f"{value:.6g}"


def _read_state(path):
    if path.endswith((".caffemodel", ".caffemodel.h5")):
        state = path.replace(".caffemodel", ".solverstate")
        raise CaffeError(
            f"{path} holds weights only. To resume training, pass the solver state (--snapshot {state}); "
            f"to fine-tune from these weights, pass --weights {path}"
        )
    return snapshot.read_solverstate(path)


def _find_weights(weights, state):
    """Return the path of the weights of a solverstate: as stored, or in the folder of the solverstate."""
    if os.path.exists(weights):
        return weights
    sibling = os.path.join(os.path.dirname(state), os.path.basename(weights))
    if os.path.exists(sibling):
        return sibling
    raise CaffeError(f"{state} refers to the weights '{weights}', which exist neither there nor at '{sibling}'")
