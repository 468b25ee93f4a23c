"""The cross-validation, stage by stage; what stands is not done again, what was cut off goes on."""

from __future__ import annotations

import os
import shutil

from agegender.crossval.net import FoldNet
from agegender.crossval.plan import NETS
from agegender.datasets import adience, adience_lists
from agegender.errors import AgeGenderError
from caffe.utils.pipeline import Stage

SIZE = 256  # pixels a side of a record


class CrossValidation:
    """A Plan on its way: `rows` of the fold files, `made` {fold: {task: Lists}}."""

    def __init__(self, plan, say=print):
        self.plan, self.say = plan, say
        self.rows = adience.read_folds(plan.fold_files)
        if plan.lists:
            self.made = {fold: self._given(fold) for fold in plan.chosen}
        else:
            self.made = adience_lists.write(
                plan.lists_folder, self.rows, plan.policy, plan.seed, plan.compat, plan.prefix, plan.chosen
            )

    def _given(self, fold):
        """{task: Lists} of the user's own lists; each part must be there, and no user both in test and in training."""
        folder = adience_lists.folder_of(self.plan.lists, fold)
        told, faults = adience_lists.check(folder, self.rows, fold, self.plan.policy, self.plan.prefix)
        if faults:
            raise AgeGenderError("{}:\n  {}".format(folder, "\n  ".join(told)))
        found = {task: adience_lists.read(folder, task) for task in adience_lists.TASKS}
        wanted = [(task, part) for task in found for part in ("train", "val", "test")]
        absent = [f"{task}_{part}.txt" for task, part in wanted if not getattr(found[task], part)]
        if absent:
            raise AgeGenderError("{}: no lines in {}".format(folder, ", ".join(absent)))
        return found

    def net(self, fold, task):
        """The FoldNet of a task."""
        return FoldNet(self.plan, fold, task, self.made[fold][task], self.made[fold]["gender"])

    def run(self):
        """Do what is not done; returns {task: {fold: {way: matrix}}}."""
        for fold in self.plan.chosen:
            for task in self.plan.tasks:
                net = self.net(fold, task)
                if net.result() is None:
                    self._go(net)
                else:
                    self.say("test fold %d, %s: done before" % (fold, task))
            if self.plan.tidy:
                shutil.rmtree(os.path.dirname(self.plan.lmdb(fold, "age", "train")), ignore_errors=True)
        return self.results()

    def results(self):
        """{task: {fold: {way: matrix}}} of the folds whose result is one of this very plan."""
        told = {task: {fold: self.net(fold, task).result() for fold in self.plan.chosen} for task in self.plan.tasks}
        return {task: {fold: ways for fold, ways in found.items() if ways is not None} for task, found in told.items()}

    def _go(self, net):
        stages = list(self.stages(net))
        for number, stage in enumerate(stages, 1):
            done = stage.up_to_date()
            where = "[test fold %d, %s, %d/%d] %s" % (net.fold, net.task, number, len(stages), stage.title)
            self.say(where + (": up to date" if done else ""))
            if not done:
                stage.run()

    def stages(self, net):
        """Databases, mean, training and judging of one FoldNet."""
        plan, fold = self.plan, net.fold
        for task, part in dict.fromkeys(
            [("gender", "train"), *((net.task, part) for part in ("train", "val", "test"))]
        ):
            yield self._packing(fold, task, part)
        averaged, mean = plan.lmdb(fold, "gender", "train"), plan.mean(fold)
        yield Stage(
            _name(mean), "Mean of the gender training pictures", lambda: _average(averaged, mean), [averaged], [mean]
        )
        yield Stage(
            _name(net.weights), "Train %s for %d iterations" % (NETS[net.task], plan.length(net.task)), net.train,
            [*plan.definition(net.task), mean, net.lmdb("train"), net.lmdb("val")], [net.weights],
            {"precision": plan.precision}, snapshots=net.prefix,
        )  # fmt: skip
        result = net.file("result.json")
        yield Stage(
            _name(result), "Judge on fold %d, single crop and ten crops" % fold, net.evaluate,
            [net.weights, net.lmdb("test"), mean], [result], {"asked": net.asked()},
        )  # fmt: skip

    def _packing(self, fold, task, part):
        source = os.path.join(adience_lists.folder_of(self.plan.lists_folder, fold), f"{task}_{part}.txt")
        target = self.plan.lmdb(fold, task, part)
        return Stage(
            _name(target),
            f"Pack {target}",
            lambda: _pack(self.plan, source, target),
            [source, self.plan.pictures],
            [target],
        )


def _name(path):
    """A stamp's name for the stage that makes `path`."""
    return os.path.abspath(path).strip(os.sep).replace(os.sep, "_")[-150:]


def _pack(plan, source, target):
    from caffe.data import convert_imageset

    outcome = convert_imageset.convert(
        os.path.join(plan.pictures, ""), source, target, convert_imageset.Form(size=(SIZE, SIZE)), shuffle=True, seed=plan.seed,
        overwrite=True,
    )  # fmt: skip
    if outcome.skipped and not plan.allow_broken:
        raise AgeGenderError(
            "%s: %d of its pictures cannot be read below %s, the first %s; --allow_broken goes on without them"
            % (source, len(outcome.skipped), plan.pictures, outcome.skipped[0][1])
        )


def _average(lmdb, mean):
    from caffe.data.db import open_db
    from caffe.data.image_mean import image_mean
    from caffe.data.mean import write_mean

    os.makedirs(os.path.dirname(mean), exist_ok=True)
    with open_db(lmdb) as db:
        write_mean(mean, image_mean(db))
