"""Train a net, or go on training one, as a solver file says.

Ctrl-C snapshots and stops (--sigint_effect), SIGHUP snapshots (--sighup_effect). Beside the snapshots stand the run log
and the curves. `--resume` goes on from the newest snapshot, bit for bit as if the run had not been stopped.
"""

from __future__ import annotations

import os
import signal
import sys

from caffe.errors import CaffeError

EFFECTS = ("stop", "snapshot", "none")


def add_arguments(parser):
    parser.add_argument("--solver", required=True, help="solver prototxt")
    parser.add_argument("--snapshot", default="", help="solverstate to go on from")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest solverstate of the solver's snapshot_prefix, if any",
    )
    parser.add_argument(
        "--weights",
        default="",
        help="caffemodel(s) to start from, a comma list; not together with --snapshot",
    )
    parser.add_argument(
        "--gpu", default="", help="CUDA device: id, list (its first) or all; without it solver_mode decides"
    )
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, a comma list")
    parser.add_argument("--phase", default="", help="accepted; training runs TRAIN and TEST")
    parser.add_argument(
        "--iterations",
        type=int,
        default=0,
        help="train up to this iteration instead of the solver's max_iter",
    )
    parser.add_argument("--sigint_effect", choices=EFFECTS, default="stop", help="what Ctrl-C does (default: stop)")
    parser.add_argument(
        "--sighup_effect", choices=EFFECTS, default="snapshot", help="what SIGHUP does (default: snapshot)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16", "tf32", "fp16"),
        default="float32",
        help="bf16: faster products in bfloat16, results differ slightly from Caffe's; tf32 and fp16 are for CUDA",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")


def run(args):
    from caffe import solver
    from caffe.core import config
    from caffe.proto.read import read_solver

    if args.snapshot and args.weights:
        raise CaffeError("give --snapshot to resume a training or --weights to start from trained weights, not both")
    param = read_solver(args.solver).param
    _override(param, args)
    if args.gpu:
        param.device_id = config.use_gpu(args.gpu)
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    trainer = solver.SOLVERS.get(param.type, solver.Solver).from_param(param)
    trainer.net.set_precision(args.precision)
    state = args.snapshot or (_newest(param) if args.resume else "")
    if args.weights and not state:
        for net in (trainer.net, *trainer.test_nets):
            net.copy_from(args.weights)
    return train(trainer, state, args.sigint_effect, args.sighup_effect)


def _override(param, args):
    if args.iterations:
        param.max_iter = args.iterations
    if args.level:
        param.train_state.level = args.level
    param.train_state.stage.extend(s for s in args.stage.split(",") if s)


def _newest(param):
    from caffe.solver.latest_snapshot import newest

    return newest(param.snapshot_prefix, "solverstate") or ""


def train(trainer, state, sigint="stop", sighup="snapshot"):
    """Run `trainer` (Solver) to its end from `state` (solverstate path or ""), with log, progress, curves and signals."""
    from caffe.solver import run_log

    prefix = trainer.param.snapshot_prefix
    with run_log.kept(prefix, append=bool(state)) as log, _signals(trainer, sigint, sighup):
        try:
            with _Progress(trainer):
                trainer.solve(state or None)
        finally:
            curves = run_log.draw_curves(log, prefix + "_curves.png")
    print("Log {}{}".format(log, f", curves {curves}" if curves else ""), file=sys.stderr)
    return 130 if trainer.stop_requested else 0


class _Progress:
    """The progress bar under the log lines of a training on a terminal."""

    def __init__(self, trainer):
        from caffe.utils.progress import Progress

        self.trainer = trainer
        self.bar = Progress("Training", trainer.param.max_iter, "iterations", every=float("inf"))

    def __enter__(self):
        from caffe.core import glog

        if not self.bar.live:  # the log's own lines are enough
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

    def __exit__(self, kind, error, trace):
        if self.bar.live:
            self.stop()
            self.bar.__exit__(kind, error, trace)


class _signals:
    """Ctrl-C and SIGHUP act as asked, after the iteration under way; the old handlers come back."""

    def __init__(self, trainer, sigint, sighup):
        self.trainer = trainer
        self.effects = {
            signal.SIGINT: sigint,
            signal.SIGTERM: sigint,
            getattr(signal, "SIGHUP", None): sighup,
        }
        self.old = {}

    def __enter__(self):
        import threading

        if threading.current_thread() is threading.main_thread():
            for number, effect in self.effects.items():
                if number is not None and effect != "none":
                    self.old[number] = signal.signal(number, self._act)

    def _act(self, number, frame):
        if self.effects[number] == "snapshot":
            self.trainer.snapshot_requested = True
        elif self.trainer.stop_requested:
            raise KeyboardInterrupt  # asked twice: now
        else:
            os.write(2, b"\nStopping after this iteration; once more stops at once.\n")
            self.trainer.stop_requested = True

    def __exit__(self, *_):
        for number, handler in self.old.items():
            signal.signal(number, handler)
