"""Five-fold cross-validation on Adience, stage by stage; what stands is not done again, what was cut off goes on."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import shutil

from agegender.datasets import adience, adience_lists
from agegender.errors import AgeGenderError
from agegender.evaluate import folds
from agegender.stages import Stage
from caffe.files import write_bytes
from caffe.proto import caffe_pb2, text
from caffe.proto.read import read_net, read_solver

NETS = {"age": "AgeNet", "gender": "GenderNet"}
SIZE = 256  # pixels a side of a record


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is done: the fold files, the pictures' folder, label policy, seeds, nets, and how long each is trained.

    `lists` is a folder of test_fold_is_K/ with lists, the published ones say, instead of such made by policy, seed and
    compat. `definitions` holds {AgeNet,GenderNet}_train_val.prototxt and _solver.prototxt. `tidy` takes a fold's databases
    away once it is judged (six of them have 7 GB).
    """

    fold_files: str
    pictures: str
    tasks: tuple = ("age", "gender")
    chosen: tuple = tuple(range(adience.FOLDS))
    policy: str = "published"
    seed: int = 230
    compat: bool = False
    prefix: str = adience.ALIGNED
    lists: str = ""
    definitions: str = os.path.join("prototxt", "levi")
    iterations: int = 0
    precision: str = "float32"
    threads: int = 0
    gpu: str = ""
    allow_broken: bool = False
    tidy: bool = False
    data: str = os.path.join("data", "adience")
    models: str = os.path.join("models", "adience")


class CrossValidation:
    """A Plan on its way."""

    def __init__(self, plan, say=print):
        self.plan, self.say = plan, say
        self.rows = adience.read_folds(plan.fold_files)
        if plan.lists:
            self.made = {fold: self._given(fold) for fold in plan.chosen}
        else:
            self.made = adience_lists.write(
                self.lists, self.rows, plan.policy, plan.seed, plan.compat, plan.prefix, plan.chosen
            )

    def _given(self, fold):
        """{task: Lists} of the user's own lists; each part must be there, and no user both in test and in training."""
        told, faults = adience_lists.check(
            adience_lists.folder_of(self.lists, fold), self.rows, fold, self.plan.policy, self.plan.prefix
        )
        if faults:
            raise AgeGenderError("lists of test fold %d:\n  %s" % (fold, "\n  ".join(told)))
        folder = adience_lists.folder_of(self.lists, fold)
        found = {task: adience_lists.read(folder, task) for task in adience_lists.TASKS}
        wanted = [(task, part) for task in found for part in ("train", "val", "test")]
        absent = ["%s_%s.txt" % (task, part) for task, part in wanted if not getattr(found[task], part)]
        if absent:
            raise AgeGenderError("%s: no lines in %s" % (folder, ", ".join(absent)))
        return found

    # -- where things lie, under the names of the published scripts

    @property
    def lists(self):
        return self.plan.lists or os.path.join(self.plan.data, "lists")

    def lmdb(self, fold, task, part):
        return os.path.join(self.plan.data, "lmdb", "Test_fold_is_%d" % fold, "%s_%s_lmdb" % (task, part))

    def mean(self, fold):
        return os.path.join(self.plan.data, "mean_image", "Test_folder_is_%d" % fold, "mean.binaryproto")

    def model(self, fold, task, name=""):
        return os.path.join(self.plan.models, "test_fold_is_%d" % fold, NETS[task], name)

    # -- the run

    def go(self):
        """Do what is not done; returns {task: {fold: {way: matrix}}}."""
        for fold in self.plan.chosen:
            for task in self.plan.tasks:
                if self.result(fold, task) is None:
                    self.fold(fold, task)
                else:
                    self.say("test fold %d, %s: done before" % (fold, task))
            if self.plan.tidy:
                shutil.rmtree(os.path.dirname(self.lmdb(fold, "age", "train")), ignore_errors=True)
        return self.results()

    def results(self):
        """{task: {fold: {way: matrix}}} of the folds whose result is one of this very plan."""
        return {
            task: {fold: found for fold in self.plan.chosen if (found := self.result(fold, task)) is not None}
            for task in self.plan.tasks
        }

    def result(self, fold, task):
        """{way: matrix} that was measured under this plan, or None."""
        try:
            with open(self.model(fold, task, "result.json"), encoding="utf-8") as stream:
                stored = json.load(stream)
        except (OSError, ValueError, RecursionError):
            return None
        return stored["matrices"] if stored.get("asked") == self.asked(fold, task) else None

    def asked(self, fold, task):
        """A digest of all that decides a fold's result: the lists with their pictures' names, the nets, the training."""
        plan, digest = self.plan, hashlib.sha256()
        told = [plan.pictures, plan.policy, plan.seed, plan.compat, plan.precision, self.iterations(task)]
        digest.update(json.dumps([*told, self.made[fold]["gender"].train, *self.made[fold][task]]).encode())
        for path in self.definition(task):
            with open(path, "rb") as stream:
                digest.update(stream.read())
        return digest.hexdigest()

    def fold(self, fold, task):
        """Every stage of one net on one fold."""
        stages = list(self.stages(fold, task))
        for number, stage in enumerate(stages, 1):
            state = "up to date" if stage.up_to_date() else ""
            self.say("[test fold %d, %s, %d/%d] %s%s" % (fold, task, number, len(stages), stage.title, state and ": " + state))
            if not state:
                stage.go()

    def stages(self, fold, task):
        """Databases, mean, training, judging."""
        databases = dict.fromkeys([("gender", "train"), (task, "train"), (task, "val"), (task, "test")])
        for kind, part in databases:
            source = os.path.join(adience_lists.folder_of(self.lists, fold), "%s_%s.txt" % (kind, part))
            target = self.lmdb(fold, kind, part)
            work = self._pack(source, target)
            yield Stage(self._name(target), "Pack %s" % target, work, [source, self.plan.pictures], [target])
        mean, train = self.mean(fold), self.lmdb(fold, "gender", "train")
        yield Stage(self._name(mean), "Mean of the gender training pictures", lambda: _average(train, mean), [train], [mean])
        weights, inputs = self.weights(fold, task), [self.lmdb(fold, task, part) for part in ("train", "val")]
        stage = Stage(
            self._name(weights), "Train %s for %d iterations" % (NETS[task], self.iterations(task)), None,
            [*self.definition(task), mean, *inputs], [weights], {"precision": self.plan.precision},
        )  # fmt: skip
        stage.run = lambda: self.train(fold, task, stage)
        yield stage
        result, test = self.model(fold, task, "result.json"), self.lmdb(fold, task, "test")
        yield Stage(
            self._name(result), "Judge on fold %d, single crop and ten crops" % fold, lambda: self.judge(fold, task),
            [weights, test, mean], [result], {"asked": self.asked(fold, task)},
        )  # fmt: skip

    @staticmethod
    def _name(path):
        return os.path.abspath(path).strip(os.sep).replace(os.sep, "_")[-150:]

    def _pack(self, source, target):
        def work():
            from caffe.data import imageset

            outcome = imageset.convert(
                os.path.join(self.plan.pictures, ""), source, target, imageset.Form(size=(SIZE, SIZE)), shuffle=True,
                seed=self.plan.seed, overwrite=True,
            )  # fmt: skip
            if outcome.skipped and not self.plan.allow_broken:
                raise AgeGenderError(
                    "%s: %d of its pictures cannot be read below %s, the first %s; --allow_broken goes on without them"
                    % (source, len(outcome.skipped), self.plan.pictures, outcome.skipped[0][1])
                )

        return work

    # -- training

    def definition(self, task):
        """(train_val, solver) prototxt as given."""
        stem = os.path.join(self.plan.definitions, NETS[task])
        paths = stem + "_train_val.prototxt", stem + "_solver.prototxt"
        for path in paths:
            if not os.path.isfile(path):
                raise AgeGenderError("%s: no such file; --prototxt DIR holds it" % path)
        return paths

    def iterations(self, task):
        """How long a net is trained."""
        return self.plan.iterations or read_solver(self.definition(task)[1]).param.max_iter

    def weights(self, fold, task):
        """The caffemodel that the training ends with."""
        return self.model(fold, task, "caffenet_train_iter_%d.caffemodel" % self.iterations(task))

    def write_definition(self, fold, task):
        """The net and solver of a fold as files that `caffe train` takes: the given ones with this fold's paths."""
        net, solver = (read(path).param for read, path in zip((read_net, read_solver), self.definition(task)))
        for layer in net.layer:
            if layer.type == "Data":
                part = "train" if caffe_pb2.TRAIN in [rule.phase for rule in layer.include] else "val"
                layer.data_param.source = self.lmdb(fold, task, part)
                if layer.transform_param.mean_file:
                    layer.transform_param.mean_file = self.mean(fold)
        os.makedirs(self.model(fold, task), exist_ok=True)
        paths = self.model(fold, task, "train_val.prototxt"), self.model(fold, task, "solver.prototxt")
        solver.net, solver.snapshot_prefix = paths[0], self.model(fold, task, "caffenet_train")
        solver.max_iter = self.iterations(task)
        if len(solver.test_iter):
            batch = next(layer.data_param.batch_size for layer in reversed(net.layer) if layer.type == "Data")
            solver.test_iter[0] = -(-len(self.made[fold][task].val) // batch)  # every picture for validation once
        for path, message in zip(paths, (net, solver)):
            write_bytes(path, text.format(message))
        return paths

    def train(self, fold, task, stage):
        """Train one net, going on from its newest snapshot where the very same training was begun."""
        _, solver = self.write_definition(fold, task)
        if not stage.begun_before:
            for path in glob.glob(glob.escape(self.model(fold, task, "caffenet_train")) + "_iter_*"):
                os.unlink(path)
        status = _caffe_train(solver, self.plan)
        if status:
            raise SystemExit(status)

    # -- judging

    def judge(self, fold, task):
        """Write result.json of the trained net on the test fold."""
        from agegender.evaluate.score import length, net_predictor
        from caffe import config
        from caffe.data.mean import transform_of
        from caffe.progress import Progress
        from ncs.compile import deploy_net

        if self.plan.gpu:
            config.use_gpu(self.plan.gpu)
        path, source = self.write_definition(fold, task)[0], self.lmdb(fold, task, "test")
        data = [layer for layer in read_net(path).param.layer if layer.type == "Data"]
        testing = next(layer for layer in data if caffe_pb2.TEST in [rule.phase for rule in layer.include])
        transform = transform_of(testing.transform_param)
        predict = net_predictor(deploy_net(path, self.weights(fold, task)))
        with Progress("Judging", length(source), "faces") as bar:
            matrices = folds.judge(predict, source, transform, len(adience_lists.TASKS[task]), step=bar.step)
        told = {"asked": self.asked(fold, task), "test_fold": fold, "task": task, "matrices": matrices}
        write_bytes(self.model(fold, task, "result.json"), json.dumps(told, indent=1) + "\n")


def _average(lmdb, mean):
    from caffe.data.averaging import image_mean
    from caffe.data.db import open_db
    from caffe.data.mean import write_mean

    os.makedirs(os.path.dirname(mean), exist_ok=True)
    with open_db(lmdb) as db:
        write_mean(mean, image_mean(db))


def _caffe_train(solver, plan):
    """`caffe train` with the plan's options; returns its exit status."""
    import argparse

    from caffe.tools import train

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    more = ["--gpu", plan.gpu] if plan.gpu else []
    argv = ["--solver", solver, "--resume", "--precision", plan.precision, "--threads", str(plan.threads), *more]
    return train.run(parser.parse_args(argv))
