"""The cross-validation, stage by stage: finished stages are skipped, interrupted ones resume."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from agegender.crossval.net import FoldNet
from agegender.crossval.plan import NETS, Plan
from agegender.datasets import adience, adience_lists
from agegender.datasets.adience import Lists
from agegender.errors import AgeGenderError
from caffe.utils.pipeline import Pipeline, Stage

SIZE = 256  # pixels per side of a record


class CrossValidation:
    """Run a Plan.

    Parameters
    ----------
    plan : Plan
    say : callable
        Receives one line of log per stage.

    Attributes
    ----------
    rows : list
        The rows of the fold files.
    lists : dict
        {fold: {task: Lists}}.
    """

    def __init__(self, plan: Plan, say: Callable[[str], object] = print) -> None:
        self.plan, self.say = plan, say
        self.rows = adience.read_folds(plan.fold_files)
        if plan.lists:
            self.lists = {fold: self._read_lists(fold) for fold in plan.chosen}
        else:
            self.lists = adience_lists.write(
                plan.lists_folder, self.rows, plan.policy, plan.seed, plan.compat, plan.prefix, plan.chosen
            )

    def _read_lists(self, fold: int) -> dict[str, Lists]:
        """Read the user's own lists; every part must exist, and no user may be in both test and training part."""
        folder = adience_lists.folder_of(self.plan.lists, fold)
        report, faults = adience_lists.check(folder, self.rows, fold, self.plan.policy, self.plan.prefix)
        if faults:
            raise AgeGenderError("{}:\n  {}".format(folder, "\n  ".join(report)))
        lists = {task: adience_lists.read(folder, task) for task in adience_lists.TASKS}
        parts = [(task, part) for task in lists for part in ("train", "val", "test")]
        empty = [f"{task}_{part}.txt" for task, part in parts if not getattr(lists[task], part)]
        if empty:
            raise AgeGenderError("{}: no lines in {}".format(folder, ", ".join(empty)))
        return lists

    def net(self, fold: int, task: str) -> FoldNet:
        """Return the net of a fold and task."""
        return FoldNet(self.plan, fold, task, self.lists[fold][task], self.lists[fold]["gender"])

    def run(self) -> dict:
        """Run everything that is not finished; return {task: {fold: {crops: matrix}}}."""
        for fold in self.plan.chosen:
            for task in self.plan.tasks:
                net = self.net(fold, task)
                if net.result() is None:
                    self._run(net)
                else:
                    self.say(f"test fold {fold}, {task}: up to date")
            if self.plan.tidy:
                shutil.rmtree(os.path.dirname(self.plan.lmdb(fold, "age", "train")), ignore_errors=True)
        return self.results()

    def results(self) -> dict:
        """Return {task: {fold: {crops: matrix}}} of the folds that were evaluated under this plan."""
        results = {task: {fold: self.net(fold, task).result() for fold in self.plan.chosen} for task in self.plan.tasks}
        return {
            task: {fold: matrices for fold, matrices in by_fold.items() if matrices is not None}
            for task, by_fold in results.items()
        }

    def _run(self, net: FoldNet) -> None:
        stages = list(self.stages(net))

        def start(number: int, stage: Stage, up_to_date: bool) -> None:
            line = f"[test fold {net.fold}, {net.task}, {number}/{len(stages)}] {stage.title}"
            self.say(line + (": up to date" if up_to_date else ""))

        Pipeline(stages, start=start, finish=lambda stage, seconds: None).run()

    def stages(self, net: FoldNet) -> Iterator[Stage]:
        """Yield LMDBs, mean, training and evaluation of one net."""
        plan, fold = self.plan, net.fold
        parts = [("gender", "train"), *((net.task, part) for part in ("train", "val", "test"))]
        for task, part in dict.fromkeys(parts):
            yield self._packing(fold, task, part)
        averaged, mean = plan.lmdb(fold, "gender", "train"), plan.mean(fold)
        title = "Compute the mean of the gender training images"
        yield Stage(_state_name(mean), title, lambda: _write_mean(averaged, mean), [averaged], [mean])
        yield Stage(
            _state_name(net.weights),
            f"Train {NETS[net.task]} for {plan.length(net.task)} iterations",
            net.train,
            [*plan.definition(net.task), mean, net.lmdb("train"), net.lmdb("val")],
            [net.weights],
            {"precision": plan.precision},
            partial=[net.snapshots],
        )
        result = net.file("result.json")
        yield Stage(
            _state_name(result),
            f"Evaluate on fold {fold}, single crop and ten crops",
            net.evaluate,
            [net.weights, net.lmdb("test"), mean],
            [result],
            {"fingerprint": net.fingerprint()},
        )

    def _packing(self, fold: int, task: str, part: str) -> Stage:
        source = os.path.join(adience_lists.folder_of(self.plan.lists_folder, fold), f"{task}_{part}.txt")
        target = self.plan.lmdb(fold, task, part)
        inputs = [source, self.plan.images]
        return Stage(_state_name(target), f"Pack {target}", lambda: _pack(self.plan, source, target), inputs, [target])


def _state_name(path: str) -> str:
    """Return the name of the stage that makes `path`."""
    return os.path.abspath(path).strip(os.sep).replace(os.sep, "_")[-150:]


def _pack(plan: Plan, source: str, target: str) -> None:
    from caffe.data.convert import imageset

    summary = imageset.convert(
        os.path.join(plan.images, ""),
        source,
        target,
        imageset.RecordFormat(size=(SIZE, SIZE)),
        shuffle=True,
        seed=plan.seed,
        overwrite=True,
    )
    if summary.skipped and not plan.allow_broken:
        raise AgeGenderError(
            f"{source}: {len(summary.skipped)} images cannot be read below {plan.images}, the first is "
            f"{summary.skipped[0][1]}; --allow_broken continues without them"
        )


def _write_mean(lmdb: str, mean: str) -> None:
    from caffe.data.db import open_db
    from caffe.data.image_mean import image_mean
    from caffe.data.mean import write_mean

    os.makedirs(os.path.dirname(mean), exist_ok=True)
    with open_db(lmdb) as db:
        write_mean(mean, image_mean(db))
