"""One run of a recipe: a folder with everything in it, made stage by stage; a run that was cut off goes on where it was."""

from __future__ import annotations

import contextlib
import filecmp
import gc
import json
import os
import time

from agegender import recipes
from agegender.errors import AgeGenderError
from agegender.evaluate import evaluate, model_card
from agegender.training import export, init_weights, lmdbs, prototxt
from caffe.proto.read import read_solver
from caffe.utils import atomic_io
from caffe.utils.pipeline import Stage
from caffe.utils.progress import clock_text

WARM_UP, TIMED = 3, 10  # iterations from which the minutes are reckoned
REPORT = "report"


class Run:
    """`recipe` on the faces of a folder, with one seed; `validation` judges on a fifth of the training side instead.

    `iterations`, or else `minutes`, says how long; the solver's file keeps what came of it, so that a second start goes on.
    `weights` is a caffemodel to start from; `int8` judges the net in INT8 as well. `folder` defaults to
    models/<recipe>/seed<seed>[-validation].
    """

    def __init__(self, recipe, faces, races, seed, *, minutes=None, iterations=None, validation=False,
                 precision="float32", threads=0, weights="", int8=False, folder=None):  # fmt: skip
        self.recipe, self.faces, self.races, self.seed = recipe, os.path.abspath(faces), races, seed
        self.minutes, self.asked_iterations = minutes or recipe.minutes, iterations
        self.validation, self.precision, self.threads, self.int8 = validation, precision, threads, int8
        self.given = os.path.abspath(weights) if weights else ""
        name = "seed%d%s" % (seed, "-validation" if validation else "")
        self.folder = os.path.abspath(folder or os.path.join("models", recipe.name, name))
        self.teacher = None
        if recipe.teacher:  # on the same faces, so that it has not seen those held back either
            inside = folder and os.path.join(folder, "teacher")
            self.teacher = Run(recipes.resolve(recipe.teacher), faces, races, seed, iterations=iterations, validation=validation,
                               precision=precision, threads=threads, folder=inside)  # fmt: skip

    def go(self):
        """Run what is out of date; returns the summary of the judging."""
        os.makedirs(self.folder, exist_ok=True)
        with _inside(self.folder):
            for stage in self.stages():
                if stage.up_to_date():
                    print(f"{stage.title}: up to date", flush=True)
                    continue
                print(f"{stage.title} ...", flush=True)
                began = time.monotonic()
                stage.go()
                gc.collect()  # nets are cycles, and large: what a stage held is let go before the next takes as much
                print(f"  done in {clock_text(time.monotonic() - began)}", flush=True)
            return evaluate.read_summary(REPORT)

    # -- the stages, all with paths relative to the run's folder ---------------------------------

    def stages(self):
        """The stages in order; each is asked for when the one before has run."""
        lmdbs = [lmdbs.TRAIN, lmdbs.TEST]
        yield self._stage("faces", "Split and pack the faces", self._faces, [self.faces], [*lmdbs, "faces.json"],
                          races=list(self.races), seed=self.seed, validation=self.validation, near_twins="not judged",
                          transform=repr(self.recipe.nets()[0].transform()))  # fmt: skip
        made = ["train_test.prototxt"] + [prototxt.START] * prototxt.has_start(self.recipe)
        teacher_weights = [self.teacher_weights] if self.teacher else []
        if self.teacher:
            yield self._stage(
                "teacher", f"Train the teacher, {self.recipe.teacher}", self._teach, lmdbs, teacher_weights
            )
        yield self._stage("start", "Write the net and what it starts from", self._start, [*lmdbs, *teacher_weights], made,
                          recipe=self.recipe.facts())  # fmt: skip
        yield self._stage("solver", "Reckon the iterations", self._solver, made, ["solver.prototxt"], recipe=self.recipe.facts(),
                          minutes=self.minutes, iterations=self.asked_iterations, weights=self.given)  # fmt: skip
        iterations = read_solver("solver.prototxt").param.max_iter
        last = "%s_iter_%d.caffemodel" % (prototxt.PREFIX, iterations)
        train = self._stage("train", "Train %s for %d iterations" % (self.recipe.name, iterations), self._train,
                            ["solver.prototxt", *made, *lmdbs], [last], precision=self.precision)  # fmt: skip
        train.snapshots = prototxt.PREFIX
        yield train
        yield self._stage("finish", f"Write {self.weights}", lambda: export.write(self.recipe, last, self.weights), [last],
                          [self.weights])  # fmt: skip
        yield self._stage("judge", "Judge it on the faces held back", self._judge, [self.weights, lmdbs.TEST], [REPORT],
                          int8=self.int8)  # fmt: skip

    def _stage(self, name, title, run, inputs, outputs, **settings):
        return Stage(name, title, run, inputs, outputs, settings, stamps=".pipeline")

    @property
    def teacher_weights(self):
        """The finished caffemodel of the teacher, or ""."""
        return os.path.join(self.teacher.folder, self.teacher.weights) if self.teacher else ""

    @property
    def weights(self):
        """The finished caffemodel, in the run's folder."""
        return self.recipe.nets()[0].weights + ".caffemodel"

    def _faces(self):
        train, test, found, known = lmdbs.parts(self.faces, self.races, self.seed, self.validation)
        print("  %d faces to learn from, %d to judge; left out: %d repeats, %d contradictions, %d whose near-twin is learned from"
              % (len(train), len(test), len(found.repeats), len(found.contradicting), len(known)))  # fmt: skip
        lmdbs.write(".", train, test, self.recipe.nets()[0].transform(), self.recipe.gender_labels())

    def _teach(self):
        """Train the teacher, unless its run has ended, on these very faces."""
        theirs = os.path.join(self.teacher.folder, "faces.json")
        if os.path.isfile(self.teacher_weights) and filecmp.cmp(theirs, "faces.json", shallow=False):
            print(f"  it has been: {self.teacher_weights}")
        else:
            self.teacher.go()

    def _start(self):
        about = f"agegender train --recipe {self.recipe.name} writes this; run caffe in this folder"
        atomic_io.write_bytes("train_test.prototxt", prototxt.write(prototxt.train_test(self.recipe), about))
        init_weights.write(".", self.recipe, self.teacher_weights)

    def _solver(self):
        faces = lmdbs.count(lmdbs.TEST)
        iterations = self.asked_iterations or self._estimate_iterations(faces)
        param = prototxt.solver(self.recipe, iterations, self.seed, faces)
        if self.given:
            param.weights.insert(0, self.given)
        atomic_io.write_bytes("solver.prototxt", prototxt.write(param, self.recipe.title))

    def _estimate_iterations(self, faces):
        """How many iterations fit into the minutes, from a few that are thrown away."""
        trainer = self._trainer(prototxt.solver(self.recipe, 1000, self.seed, faces))
        trainer.step(WARM_UP)
        began = time.monotonic()
        trainer.step(TIMED)
        each = (time.monotonic() - began) / TIMED
        iterations = max(TIMED, int(60 * self.minutes / each))
        print("  %.0f ms an iteration: %d iterations in %g minutes" % (1e3 * each, iterations, self.minutes))
        return iterations

    def _trainer(self, param):
        from caffe import solver

        if self.threads:
            import torch

            torch.set_num_threads(self.threads)
        trainer = solver.SOLVERS[param.type].from_param(param)
        trainer.net.set_precision(self.precision)
        return trainer

    def _train(self):
        from caffe.solver.latest_snapshot import newest
        from caffe.tools import train

        trainer = self._trainer(read_solver("solver.prototxt").param)
        if train.train(trainer, newest(prototxt.PREFIX, "solverstate") or ""):
            raise AgeGenderError("stopped at iteration %d; the same command goes on from there" % trainer.iter)

    def _judge(self):
        summary = evaluate.evaluate(self.recipe, self.weights, lmdbs.TEST, REPORT, lmdbs.TRAIN if self.int8 else "")
        with open("faces.json", encoding="utf-8") as stream:
            sides = json.load(stream)
        iterations = read_solver("solver.prototxt").param.max_iter
        atomic_io.write_bytes(os.path.join(REPORT, "card.md"), model_card.text(self, summary, sides, iterations))


@contextlib.contextmanager
def _inside(folder):
    """Paths in prototxt are relative to where Caffe runs."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
