"""One net on one fold: its prototxt files, its training, its judgement."""

from __future__ import annotations

import argparse
import dataclasses
import gc
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
    """The net of `task` with fold `fold` for testing; `lists` are its own, `averaged` those that its mean is of."""

    plan: Plan
    fold: int
    task: str
    lists: Lists
    averaged: Lists

    def lmdb(self, part):
        """Its database of `part`."""
        return self.plan.lmdb(self.fold, self.task, part)

    def file(self, name=""):
        """A file of its own."""
        return self.plan.model(self.fold, self.task, name)

    @property
    def weights(self):
        """The caffemodel that its training ends with."""
        return self.file("caffenet_train_iter_%d.caffemodel" % self.plan.length(self.task))

    def asked(self):
        """A digest of all that decides its result: the lists with their pictures' names, the nets, the training."""
        plan, digest = self.plan, hashlib.sha256()
        told = [plan.pictures, plan.policy, plan.seed, plan.compat, plan.precision, plan.length(self.task)]
        digest.update(json.dumps([*told, self.averaged.train, *self.lists]).encode())
        for path in plan.definition(self.task):
            with open(path, "rb") as stream:
                digest.update(stream.read())
        return digest.hexdigest()

    def result(self):
        """{way: confusion matrix} that was measured under this plan, or None."""
        try:
            with open(self.file("result.json"), encoding="utf-8") as stream:
                stored = json.load(stream)
        except (OSError, ValueError, RecursionError):
            return None
        return stored["matrices"] if stored.get("asked") == self.asked() else None

    def write(self):
        """Write train_val.prototxt and solver.prototxt, which `caffe train` takes: the given ones with this fold's paths."""
        net, solver = (read(path).param for read, path in zip((read_net, read_solver), self.plan.definition(self.task)))
        for layer in net.layer:
            if layer.type == "Data":
                layer.data_param.source = self.lmdb("train" if _is_of(layer, caffe_pb2.TRAIN) else "val")
                if layer.transform_param.mean_file:
                    layer.transform_param.mean_file = self.plan.mean(self.fold)
        paths = self.file("train_val.prototxt"), self.file("solver.prototxt")
        solver.net, solver.snapshot_prefix = paths[0], self.prefix
        solver.max_iter = self.plan.length(self.task)
        if len(solver.test_iter):
            batch = next(layer.data_param.batch_size for layer in reversed(net.layer) if layer.type == "Data")
            solver.test_iter[0] = -(-len(self.lists.val) // batch)  # every picture for validation once
        os.makedirs(self.file(), exist_ok=True)
        for path, message in zip(paths, (net, solver)):
            write_bytes(path, text.format(message))
        return paths

    @property
    def prefix(self):
        """The snapshot_prefix."""
        return self.file("caffenet_train")

    def train(self):
        """`caffe train` from the newest snapshot, or from the start where there is none."""
        from caffe.tools import train

        _, solver = self.write()
        plan, parser = self.plan, argparse.ArgumentParser()
        train.add_arguments(parser)
        argv = ["--solver", solver, "--resume", "--precision", plan.precision, "--threads", str(plan.threads)]
        status = train.run(parser.parse_args(argv + (["--gpu", plan.gpu] if plan.gpu else [])))
        gc.collect()  # a net is a cycle; its feeds' threads and memory go with it, before the next one is made
        if status:
            raise SystemExit(status)

    def evaluate(self):
        """Write result.json: every picture of the test fold by the single crop and by ten."""
        from agegender.evaluate.run_inference import length, net_predictor
        from caffe.core import config
        from caffe.data.mean import transform_of
        from caffe.utils.progress import Progress
        from ncs.compiler.compile import deploy_net

        if self.plan.gpu:
            config.use_gpu(self.plan.gpu)
        path, source = self.write()[0], self.lmdb("test")
        data = next(
            layer for layer in read_net(path).param.layer if layer.type == "Data" and _is_of(layer, caffe_pb2.TEST)
        )
        predict = net_predictor(deploy_net(path, self.weights))
        with Progress("Judging", length(source), "faces") as bar:
            matrices = folds.evaluate(
                predict, source, transform_of(data.transform_param), len(TASKS[self.task]), step=bar.step
            )
        told = {"asked": self.asked(), "test_fold": self.fold, "task": self.task, "matrices": matrices}
        write_bytes(self.file("result.json"), json.dumps(told, indent=1) + "\n")


def _is_of(layer, phase):
    return phase in [rule.phase for rule in layer.include]
