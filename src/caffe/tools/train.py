"""Train a net as configured by a solver file, or resume training.

Ctrl-C takes a snapshot and stops (--sigint_effect); SIGHUP takes a snapshot (--sighup_effect). The run log and the
curves are written next to the snapshots. `--resume` continues from the newest snapshot; the result is bit-identical to
an uninterrupted run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from caffe.core import local_processes
from caffe.errors import CaffeError

if TYPE_CHECKING:
    from caffe.solver import Solver

EFFECTS = ("stop", "snapshot", "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's flags and this project's extensions."""
    parser.add_argument("--solver", required=True, help="solver prototxt")
    parser.add_argument("--snapshot", default="", help="solverstate to resume from")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume from the newest solverstate of the solver's snapshot_prefix, if there is one",
    )
    parser.add_argument(
        "--weights",
        default="",
        help="caffemodel(s) to start from, separated by commas; excludes --snapshot",
    )
    parser.add_argument(
        "--gpu", default="", help="CUDA device: an id, a list or all, one process per device; default: solver_mode"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that train together on the CPU (default: 1)")
    parser.add_argument(
        "--batch",
        choices=("each", "shared"),
        default="each",
        help="with several processes: each has the net's batch, as in Caffe (default), or they divide it",
    )
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by commas")
    parser.add_argument("--phase", default="", help="accepted for compatibility; training uses TRAIN and TEST")
    parser.add_argument("--iterations", type=int, default=0, help="no effect on training, as in Caffe; see --max_iter")
    parser.add_argument(
        "--max_iter", type=int, default=0, help="train to this iteration instead of the solver's max_iter"
    )
    parser.add_argument("--sigint_effect", choices=EFFECTS, default="stop", help="effect of Ctrl-C (default: stop)")
    parser.add_argument(
        "--sighup_effect", choices=EFFECTS, default="snapshot", help="effect of SIGHUP (default: snapshot)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16", "tf32", "fp16"),
        default="float32",
        help="bf16: faster matrix products in bfloat16, slightly different results; tf32 and fp16 need CUDA",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument(
        "--gradient_checkpointing",
        action="store_true",
        help="save memory: keep few blobs in the forward pass and compute the others again; results stay the same",
    )


def run(args: argparse.Namespace) -> int:
    """Read the solver file and train; return 130 after Ctrl-C."""
    ignored = {signal.SIGINT: args.sigint_effect, getattr(signal, "SIGHUP", None): args.sighup_effect}
    with _ignored([number for number, effect in ignored.items() if effect == "none" and number is not None]):
        count = processes(args)
        if count > 1:
            return start(count, **_flags(args))
        from caffe.solver import distributed

        with distributed.joined(args.batch):
            return _run(args)


def processes(args: argparse.Namespace) -> int:
    """Return how many processes to start: 1 if this is one of several already."""
    if args.workers < 1:
        raise CaffeError(f"--workers must be at least 1, received {args.workers}")
    if args.workers > 1 and args.gpu:
        raise CaffeError("use --workers for processes on the CPU or --gpu for one process per device, not both")
    if local_processes.rank_and_size()[1] > 1:
        return 1
    if args.gpu == "all":
        from caffe.core import config

        return config.device_count()
    return max(args.workers, len(args.gpu.split(",")))


def start(count: int, **flags: Any) -> int:
    """Run `caffe train` in `count` processes of this machine and return the exit status; `flags` are its arguments."""
    words = [f"--{name}={value}" for name, value in flags.items() if value and value is not True]
    words += [f"--{name}" for name, value in flags.items() if value is True]
    return local_processes.run(["-m", "caffe", "train", *words], count)


def _flags(args):
    """Return the flags of `caffe train` in `args`; another program may have further ones."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    known = {action.dest for action in parser._actions} - {"workers", "help"}
    return {name: value for name, value in vars(args).items() if name in known}


@contextlib.contextmanager
def _ignored(numbers):
    """Ignore signals from the start, while the libraries load."""
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(args: argparse.Namespace) -> int:
    from caffe import solver
    from caffe.core import config
    from caffe.proto.read import read_solver

    if args.snapshot and args.weights:
        raise CaffeError("use --snapshot to resume training or --weights to start from trained weights, not both")
    param = read_solver(args.solver).param
    _override(param, args)
    if args.gpu:
        param.device_id = config.use_gpu(args.gpu, local_processes.local_rank())
    elif local_processes.rank_and_size()[1] > 1:
        param.device_id = local_processes.local_rank()
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    trainer = solver.SOLVERS.get(param.type, solver.Solver).from_param(param)
    trainer.net.set_precision(args.precision)
    state = args.snapshot or (_newest(param) if args.resume else "")
    if trainer.synchronizer is not None:
        state = trainer.synchronizer.newest(state)
    if args.weights and not state:
        trainer.load_weights(args.weights)
    trainer.free_blobs(checkpointing=args.gradient_checkpointing)
    return train(trainer, state, args.sigint_effect, args.sighup_effect)


def _override(param, args):
    from caffe.core import glog

    if args.max_iter:
        param.max_iter = args.max_iter
    elif args.iterations:
        glog.warning("--iterations has no effect on training; use --max_iter to end it earlier", "caffe.cpp:160")
    if args.level:
        param.train_state.level = args.level
    param.train_state.stage.extend(s for s in args.stage.split(",") if s)


def _newest(param):
    from caffe.solver.latest_snapshot import newest

    return newest(param.snapshot_prefix, "solverstate") or ""


def train(trainer: Solver, state: str, sigint: str = "stop", sighup: str = "snapshot") -> int:
    """Run `trainer` to its end with run log, progress bar, curves and signal handling.

    Parameters
    ----------
    trainer : Solver
    state : str
        Path of the solverstate to resume from, or "".
    sigint, sighup : {"stop", "snapshot", "none"}
        Effects of the signals.

    Returns
    -------
    int
        Exit status: 130 if a signal stopped the training, else 0.
    """
    from caffe.solver import memory_log, run_log

    memory_log.add_to(trainer)
    prefix, sync = trainer.param.snapshot_prefix, trainer.synchronizer
    if sync is not None and sync.group.rank:
        prefix += f".rank{sync.group.rank}"
        with run_log.kept(prefix, append=bool(state)), _SignalHandlers(trainer, sigint, sighup):
            trainer.solve(state or None)
        return 130 if trainer.stop_requested else 0
    with run_log.kept(prefix, append=bool(state)) as log, _SignalHandlers(trainer, sigint, sighup):
        try:
            with _Progress(trainer):
                trainer.solve(state or None)
        finally:
            curves = run_log.draw_curves(log, prefix + "_curves.png")
    print("Log {}{}".format(log, f", curves {curves}" if curves else ""), file=sys.stderr)
    return 130 if trainer.stop_requested else 0


class _Progress:
    """Progress bar below the log lines, shown on a terminal only."""

    def __init__(self, trainer):
        from caffe.utils.cli.progress import Progress

        self.trainer = trainer
        self.bar = Progress("Training", trainer.param.max_iter, "iterations", every=float("inf"))

    def __enter__(self):
        from caffe.core import glog

        if not self.bar.live:  # without a terminal the log lines suffice
            return self
        self.stop = glog.before(self.bar.clear)
        self.started = False
        self.trainer.add_callback(self._start, self._step)
        self.bar.__enter__()
        return self

    def _start(self):
        if not self.started:
            self.started, self.bar.done, self.bar.first = True, self.trainer.iter, self.trainer.iter

    def _step(self):
        self.bar.step(1, note=f"loss {self.trainer.smoothed_loss:.4g}")

    def __exit__(self, exc_type, exc, traceback):
        if self.bar.live:
            self.stop()
            self.bar.__exit__(exc_type, exc, traceback)


class _SignalHandlers:
    """Handles Ctrl-C and SIGHUP after the current iteration; restores the previous handlers on exit."""

    def __init__(self, trainer, sigint, sighup):
        self.trainer = trainer
        self.effects = {
            signal.SIGINT: sigint,
            signal.SIGTERM: sigint if sigint != "none" else None,  # not a signal of Caffe's: it can still end the run
            getattr(signal, "SIGHUP", None): sighup,
        }
        self.previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number, effect in self.effects.items():
                if (
                    number is not None and effect is not None
                ):  # "none" ignores the signal, as in Caffe (solver.cpp, GetRequestedAction)
                    handler = signal.SIG_IGN if effect == "none" else self._handle
                    self.previous[number] = signal.signal(number, handler)

    def _handle(self, number, frame):
        if self.effects[number] == "snapshot":
            self.trainer.snapshot_requested = True
        elif self.trainer.stop_requested:
            raise KeyboardInterrupt  # second Ctrl-C: stop immediately
        else:
            os.write(2, b"\nStopping after this iteration; press Ctrl-C again to stop immediately.\n")
            self.trainer.stop_requested = True

    def __exit__(self, *_):
        for number, handler in self.previous.items():
            signal.signal(number, handler)
