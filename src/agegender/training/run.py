"""One training run of a recipe in a directory of its own: LMDBs, prototxt, snapshots, weights, report."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from agegender import recipes
from agegender.datasets import split_lmdbs, utkface
from agegender.datasets.sample import RACES
from agegender.errors import AgeGenderError
from agegender.evaluate import evaluate, model_card
from agegender.recipes.recipe import Recipe
from agegender.training import export, fit_temperatures, init_weights, prototxt
from agegender.zoo import temperatures
from caffe.proto.read import read_solver
from caffe.utils import atomic_io
from caffe.utils.pipeline import Pipeline, Stage

WARM_UP, TIMED = 3, 10  # iterations that the estimate of the training time is based on
REPORT = "report"
STATE_DIR = ".pipeline"
LMDBS = [split_lmdbs.TRAIN, split_lmdbs.TEST]
TABLE = "teacher.npz"  # the stacked teacher's probabilities for the training faces
FEATURES = os.path.join("..", "..", "features")  # of published nets, shared by all runs


class Run:
    """Train and evaluate `recipe` on a directory of faces.

    Parameters
    ----------
    recipe : Recipe
    faces : str
        Directory of faces named as UTKFace's.
    races : sequence of int
        UTKFace's group numbers.
    seed : int
        Of the split and the training.
    minutes : float, optional
        Length of the training; default: the recipe's. The number of iterations is estimated from a few.
    iterations : int, optional
        Length of the training, instead of `minutes`.
    validation : bool
        Hold out a fifth of the training part instead of the test part, for choosing between recipes.
    precision : str
        "float32" or "bf16".
    threads : int
        CPU threads; 0 uses all cores.
    weights : str
        A caffemodel to initialize from.
    int8 : bool
        Evaluate the INT8 net as well.
    workers : int
        Processes that train together on the CPU.
    batch : {"each", "shared"}
        Whether each of them has the recipe's batch, or they divide it.
    folder : str, optional
        Default: models/<recipe>/seed<seed>[-validation][-without-<groups>].
    leave_out : sequence of int
        UTKFace's group numbers: train on the other groups of `races`, evaluate on the test faces of these.
    gradient_checkpointing : bool
        Save memory by computing most blobs twice; the results stay the same.
    """

    def __init__(
        self,
        recipe: Recipe,
        faces: str,
        races: Sequence[int],
        seed: int,
        *,
        minutes: float | None = None,
        iterations: int | None = None,
        validation: bool = False,
        precision: str = "float32",
        threads: int = 0,
        weights: str = "",
        int8: bool = False,
        workers: int = 1,
        batch: str = "each",
        folder: str | None = None,
        leave_out: Sequence[int] = (),
        gradient_checkpointing: bool = False,
    ) -> None:
        self.recipe, self.faces, self.races, self.seed = recipe, os.path.abspath(faces), races, seed
        self.minutes, self.iterations = minutes or recipe.minutes, iterations
        self.validation, self.precision, self.threads, self.int8 = validation, precision, threads, int8
        self.workers, self.batch, self.gradient_checkpointing = workers, batch, gradient_checkpointing
        self.initial_weights = os.path.abspath(weights) if weights else ""
        self.leave_out = tuple(leave_out)
        name = f"seed{seed}" + ("-validation" if validation else "")
        name += "".join(f"-without-{RACES[race]}" for race in self.leave_out)
        self.folder = os.path.abspath(folder or os.path.join("models", recipe.name, name))
        self.teacher = None
        if recipe.teacher:  # trained on the same split, so that it has not seen the held-out faces either
            self.teacher = Run(
                recipes.resolve(recipe.teacher),
                faces,
                races,
                seed,
                iterations=iterations,
                validation=validation,
                precision=precision,
                threads=threads,
                workers=workers,
                batch=batch,
                folder=folder and os.path.join(folder, "teacher"),
                leave_out=leave_out,
                gradient_checkpointing=gradient_checkpointing,
            )

    def run(self) -> dict:
        """Run every stale stage and return the summary of the evaluation."""
        os.makedirs(self.folder, exist_ok=True)
        with working_directory(self.folder):
            Pipeline(self.stages(), STATE_DIR).run()
            return evaluate.read_summary(REPORT)

    # Paths of the stages are relative to the run's folder.

    def stages(self) -> Iterator[Stage]:
        """Yield the stages in order; each is created after the one before has run."""
        yield self._faces_stage()
        if self.teacher:
            title = f"Train the teacher, {self.recipe.teacher}"
            yield Stage("teacher", title, self._train_teacher, LMDBS, [self.teacher_weights])
        if self.recipe.teachers:
            title = f"Combine {', '.join(self.recipe.teachers)} into a teacher"
            yield Stage("stacking", title, self._stack, LMDBS, [TABLE], {"recipe": self.recipe.facts()})
        yield self._net_stage()
        yield self._solver_stage()
        iterations = read_solver("solver.prototxt").param.max_iter
        snapshot = f"{prototxt.PREFIX}_iter_{iterations}.caffemodel"
        yield Stage(
            "train",
            f"Train {self.recipe.name} for {iterations} iterations",
            self._train,
            ["solver.prototxt", *self._definition(), *LMDBS],
            [snapshot],
            {
                "precision": self.precision,
                **({"workers": self.workers, "batch": self.batch} if self.workers > 1 else {}),
            },
            partial=[prototxt.PREFIX + "_iter_*"],
        )
        yield Stage(
            "export",
            f"Write {self.weights}",
            lambda: export.write(self.recipe, self._averaged(snapshot, iterations), self.weights),
            [snapshot],
            [self.weights],
        )
        if self.recipe.validation:
            yield Stage(
                "temperatures",
                "Fit the temperatures",
                self._fit_temperatures,
                [self.weights, split_lmdbs.VALIDATION],
                [temperatures.path_of(self.weights)],
            )
        yield Stage(
            "evaluate",
            "Evaluate on the held-out faces",
            self._evaluate,
            [self.weights, split_lmdbs.TEST, *([temperatures.path_of(self.weights)] * bool(self.recipe.validation))],
            [REPORT],
            {"int8": self.int8},
        )

    def _faces_stage(self) -> Stage:
        settings = {
            "races": list(self.races),
            "seed": self.seed,
            "validation": self.validation,
            "near_duplicates": "excluded",
            "transform": repr(self.recipe.nets()[0].transform()),
        }
        if self.leave_out:
            settings["leave_out"] = list(self.leave_out)
        outputs = [*LMDBS, "faces.json"]
        if self.recipe.validation:
            settings["validation_part"] = self.recipe.validation
            outputs.append(split_lmdbs.VALIDATION)
        return Stage("faces", "Split and pack the faces", self._pack_faces, [self.faces], outputs, settings)

    def _net_stage(self) -> Stage:
        inputs = [*LMDBS, *([self.teacher_weights] if self.teacher else []), *([TABLE] * bool(self.recipe.teachers))]
        title = "Write the net and its initial weights"
        return Stage("net", title, self._write_net, inputs, self._definition(), {"recipe": self.recipe.facts()})

    def _solver_stage(self) -> Stage:
        settings = {
            "recipe": self.recipe.facts(),
            "minutes": self.minutes,
            "iterations": self.iterations,
            "weights": self.initial_weights,
        }
        title = "Estimate the number of iterations"
        return Stage("solver", title, self._write_solver, self._definition(), ["solver.prototxt"], settings)

    def _definition(self) -> list[str]:
        return ["train_test.prototxt"] + [prototxt.START] * prototxt.has_start(self.recipe)

    @property
    def teacher_weights(self) -> str:
        """The caffemodel of the trained teacher, or ""."""
        return os.path.join(self.teacher.folder, self.teacher.weights) if self.teacher else ""

    @property
    def weights(self) -> str:
        """The caffemodel of the trained net, relative to the run's folder."""
        return self.recipe.nets()[0].weights + ".caffemodel"

    def _pack_faces(self) -> None:
        train, test, duplicates, near_duplicates = split_lmdbs.parts(
            self.faces, self.races, self.seed, self.validation, self.leave_out
        )
        train, validation = split_lmdbs.hold_out(train, self.recipe.validation, self.seed)
        kept = f", {len(validation)} for the temperatures" if validation else ""
        print(
            f"  {len(train)} faces for training{kept}, {len(test)} held out; excluded: "
            f"{len(duplicates.repeats)} duplicates, {len(duplicates.contradicting)} with contradicting labels, "
            f"{len(near_duplicates)} near-duplicates of training faces"
        )
        transform, genders = self.recipe.nets()[0].transform(), self.recipe.gender_labels()
        split_lmdbs.write(".", train, test, transform, genders, validation)

    def _train_teacher(self) -> None:
        """Train the teacher unless a finished run of it used the same faces."""
        assert self.teacher is not None
        faces = os.path.join(self.teacher.folder, "faces.json")
        if os.path.isfile(self.teacher_weights) and filecmp.cmp(faces, "faces.json", shallow=False):
            print(f"  already trained: {self.teacher_weights}")
        else:
            self.teacher.run()

    def _stack(self) -> None:
        """Write the teacher's probabilities for the training faces, in the order of the LMDB."""
        from agegender.training import stacking

        with open("faces.json", encoding="utf-8") as stream:
            names = json.load(stream)[split_lmdbs.TRAIN]
        samples = [utkface.parse_name(os.path.join(self.faces, name)) for name in names]
        table = stacking.predict(self.recipe, samples, FEATURES, self.seed)
        with atomic_io.atomic_write(TABLE) as temporary, open(temporary, "wb") as file:
            np.savez(file, **table)  # type: ignore[arg-type]

    def _averaged(self, snapshot: str, iterations: int) -> str:
        """Return the caffemodel of the averaged snapshots, or the last snapshot if the recipe does not average."""
        first = iterations * (1 - self.recipe.average)
        numbers = [n for n in export.snapshots(prototxt.PREFIX) if n > first] if self.recipe.average else []
        if len(numbers) < 2:
            return snapshot
        return export.average([f"{prototxt.PREFIX}_iter_{n}.caffemodel" for n in numbers], "averaged.caffemodel")

    def _write_net(self) -> None:
        comment = f"written by `agegender train --recipe {self.recipe.name}`; run caffe in this directory"
        table = {}
        if self.recipe.teachers:
            with np.load(TABLE, allow_pickle=False) as stored:
                table = {task: stored[task] for task in stored.files}
        param = prototxt.train_test(self.recipe, split_lmdbs.count(split_lmdbs.TRAIN))
        atomic_io.write_bytes("train_test.prototxt", prototxt.write(param, comment))
        init_weights.write(".", self.recipe, self.teacher_weights, teacher_table=table)

    def _write_solver(self) -> None:
        faces = split_lmdbs.count(split_lmdbs.TEST)
        iterations = self.iterations or self._estimate_iterations(faces)
        param = prototxt.solver(self.recipe, iterations, self.seed, faces)
        if self.initial_weights:
            param.weights.insert(0, self.initial_weights)
        atomic_io.write_bytes("solver.prototxt", prototxt.write(param, self.recipe.title))

    def _estimate_iterations(self, faces: int) -> int:
        """Return how many iterations fit into the minutes, measured on a few that are discarded."""
        solver = self._solver(prototxt.solver(self.recipe, 1000, self.seed, faces))
        solver.step(WARM_UP)
        began = time.monotonic()
        solver.step(TIMED)
        seconds = (time.monotonic() - began) / TIMED
        iterations = max(TIMED, int(60 * self.minutes / seconds))
        print(f"  {1e3 * seconds:.0f} ms per iteration: {iterations} iterations in {self.minutes:g} minutes")
        return iterations

    def _solver(self, param):
        from caffe import solver

        if self.threads:
            import torch

            torch.set_num_threads(self.threads)
        result = solver.SOLVERS[param.type].from_param(param)
        result.net.set_precision(self.precision)
        result.free_blobs(checkpointing=self.gradient_checkpointing)
        return result

    def _train(self) -> None:
        from caffe.solver.latest_snapshot import newest
        from caffe.tools import train

        if self.workers > 1:
            flags = {"precision": self.precision, "threads": self.threads, "batch": self.batch}
            flags["gradient_checkpointing"] = self.gradient_checkpointing
            if train.start(self.workers, solver="solver.prototxt", resume=True, **flags):
                raise AgeGenderError("the training stopped; the same command resumes it")
            return
        solver = self._solver(read_solver("solver.prototxt").param)
        if train.train(solver, newest(prototxt.PREFIX, "solverstate") or ""):
            raise AgeGenderError(f"stopped at iteration {solver.iter}; the same command resumes there")

    def _fit_temperatures(self) -> None:
        fitted = fit_temperatures.fit(self.recipe, self.weights, split_lmdbs.VALIDATION)
        temperatures.write(self.weights, fitted, split_lmdbs.count(split_lmdbs.VALIDATION))
        print("  " + ", ".join(f"{task} {value:.2f}" for task, value in fitted.items()))

    def _evaluate(self) -> None:
        quantization = split_lmdbs.TRAIN if self.int8 else ""
        summary = evaluate.evaluate(self.recipe, self.weights, split_lmdbs.TEST, REPORT, quantization)
        with open("faces.json", encoding="utf-8") as stream:
            parts = json.load(stream)
        iterations = read_solver("solver.prototxt").param.max_iter
        atomic_io.write_bytes(os.path.join(REPORT, "card.md"), model_card.text(self, summary, parts, iterations))


@contextlib.contextmanager
def working_directory(folder: str) -> Iterator[None]:
    """Change the current directory: paths in prototxt are relative to where Caffe runs."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
