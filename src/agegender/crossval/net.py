"""One net on one fold: its prototxt files, its training, its evaluation."""

from __future__ import annotations

import argparse
import dataclasses
import glob
import hashlib
import json
import os

from agegender.crossval.plan import Plan
from agegender.datasets.adience import Lists
from agegender.datasets.adience_lists import TASKS
from agegender.evaluate import folds
from caffe.proto import caffe_pb2, text
from caffe.proto.read import read_net, read_solver
from caffe.utils.atomic_io import write_bytes


@dataclasses.dataclass(frozen=True)
class FoldNet:
    """The net of `task` that is tested on fold `fold`.

    `lists` are its own lists, `averaged` those whose training images its mean averages.
    """

    plan: Plan
    fold: int
    task: str
    lists: Lists
    averaged: Lists

    def lmdb(self, part: str) -> str:
        """Return its LMDB of `part`."""
        return self.plan.lmdb(self.fold, self.task, part)

    def file(self, name: str = "") -> str:
        """Return the path of one of its files."""
        return self.plan.model(self.fold, self.task, name)

    @property
    def weights(self) -> str:
        """The last caffemodel of its training."""
        return self.file(f"caffenet_train_iter_{self.plan.length(self.task)}.caffemodel")

    @property
    def snapshot_prefix(self) -> str:
        """The snapshot_prefix of its solver."""
        return self.file("caffenet_train")

    @property
    def snapshots(self) -> str:
        """The glob pattern of its snapshots."""
        return glob.escape(self.snapshot_prefix) + "_iter_*"

    def fingerprint(self) -> str:
        """Return a digest of everything that decides its result: lists, nets and training settings."""
        plan, digest = self.plan, hashlib.sha256()
        settings = [plan.images, plan.policy, plan.seed, plan.compat, plan.precision, plan.length(self.task)]
        digest.update(json.dumps([*settings, self.averaged.train, *self.lists]).encode())
        for path in plan.definition(self.task):
            with open(path, "rb") as stream:
                digest.update(stream.read())
        return digest.hexdigest()

    def result(self) -> dict | None:
        """Return {crops: confusion matrix} if it was evaluated under this plan."""
        try:
            with open(self.file("result.json"), encoding="utf-8") as stream:
                stored = json.load(stream)
        except (OSError, ValueError, RecursionError):
            return None
        return stored["matrices"] if stored.get("fingerprint") == self.fingerprint() else None

    def write(self) -> tuple[str, str]:
        """Write train_val.prototxt and solver.prototxt for `caffe train`: the given files with this fold's paths."""
        net_path, solver_path = self.plan.definition(self.task)
        net, solver = read_net(net_path).param, read_solver(solver_path).param
        for layer in net.layer:
            if layer.type == "Data":
                layer.data_param.source = self.lmdb("train" if _is_of(layer, caffe_pb2.TRAIN) else "val")
                if layer.transform_param.mean_file:
                    layer.transform_param.mean_file = self.plan.mean(self.fold)
        paths = self.file("train_val.prototxt"), self.file("solver.prototxt")
        solver.net, solver.snapshot_prefix = paths[0], self.snapshot_prefix
        solver.max_iter = self.plan.length(self.task)
        if len(solver.test_iter):
            batch = next(layer.data_param.batch_size for layer in reversed(net.layer) if layer.type == "Data")
            solver.test_iter[0] = -(-len(self.lists.val) // batch)  # every validation image once
        os.makedirs(self.file(), exist_ok=True)
        for path, message in zip(paths, (net, solver)):
            write_bytes(path, text.format(message))
        return paths

    def train(self) -> None:
        """Run `caffe train` from the latest snapshot, if there is one."""
        from caffe.tools import train

        _, solver = self.write()
        plan, parser = self.plan, argparse.ArgumentParser()
        train.add_arguments(parser)
        argv = ["--solver", solver, "--resume", "--precision", plan.precision, "--threads", str(plan.threads)]
        status = train.run(parser.parse_args(argv + (["--gpu", plan.gpu] if plan.gpu else [])))
        if status:
            raise SystemExit(status)

    def evaluate(self) -> None:
        """Write result.json: every image of the test fold by the single crop and by ten crops."""
        from agegender.evaluate.predictions import length, net_predictor
        from caffe.core import config
        from caffe.data.mean import transform_of
        from caffe.utils.cli.progress import Progress
        from ncs.compiler.compile import deploy_net

        if self.plan.gpu:
            config.use_gpu(self.plan.gpu)
        path, source = self.write()[0], self.lmdb("test")
        data = next(
            layer for layer in read_net(path).param.layer if layer.type == "Data" and _is_of(layer, caffe_pb2.TEST)
        )
        predict, transform = net_predictor(deploy_net(path, self.weights)), transform_of(data.transform_param)
        with Progress("Evaluating", length(source), "faces") as bar:
            matrices = folds.evaluate(predict, source, transform, len(TASKS[self.task]), step=bar.step)
        result = {"fingerprint": self.fingerprint(), "test_fold": self.fold, "task": self.task, "matrices": matrices}
        write_bytes(self.file("result.json"), json.dumps(result, indent=1) + "\n")


def _is_of(layer: caffe_pb2.LayerParameter, phase: int) -> bool:
    return phase in [rule.phase for rule in layer.include]
