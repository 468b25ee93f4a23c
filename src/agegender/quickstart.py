"""The quick start: the whole pipeline from faces to predictions, each stage only if it is stale."""

from __future__ import annotations

import argparse
import glob
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator

from agegender import workspace, zoo
from agegender.workspace import MEAN_FILE, MEAN_NPY
from agegender.zoo.model import Net
from caffe.errors import CaffeError
from caffe.utils.cli import commands
from caffe.utils.cli.progress import clock_text
from caffe.utils.pipeline import Pipeline, Stage

SYNTHETIC_FACES = "data/synthetic_faces"
ARCHIVE_FACES = "data/faces_of_archive"
RULE = "=" * 78
COMPILED_SUFFIXES = (".onnx", ".xml", ".bin", ".blob", ".json")


class Quickstart:
    """The stages for the options of `agegender run`."""

    def __init__(self, args: argparse.Namespace) -> None:
        if args.iterations is not None and args.iterations < 1:
            raise CaffeError(f"--iterations: expected a positive number, received {args.iterations}")
        self.args = args
        self.faces = SYNTHETIC_FACES if args.archive is None else ARCHIVE_FACES
        self.nets = zoo.script_nets()

    def run(self) -> int:
        """Run every stale stage, print the results and return the exit status."""
        began, stages = time.monotonic(), list(self.stages())

        def start(number: int, stage: Stage, up_to_date: bool) -> None:
            print(f"\n{RULE}\n[{number}/{len(stages)}] {stage.title}", flush=True)
            if up_to_date:
                print("up to date")

        def finish(stage: Stage, seconds: float) -> None:
            print(f"done in {clock_text(seconds)}", flush=True)

        Pipeline(stages, force=self.args.force, start=start, finish=finish).run()
        self.show_results()
        print(f"\nThe whole pipeline took {clock_text(time.monotonic() - began)}.")
        print(f"Next: {program()} workbench --open   shows all of it in the browser")
        return 0

    def stages(self) -> Iterator[Stage]:
        """Yield the stages in order."""
        yield self.faces_stage()
        yield self.dataset_stage()
        yield self.lmdb_stage()
        yield Stage(
            "mean",
            "Compute the mean of the training images",
            lambda: run_command("create-mean"),
            [workspace.lmdb("age", "train")],
            [MEAN_FILE, MEAN_NPY],
        )
        for net in self.nets:
            yield self.train_stage(net)
        for net in self.nets:
            yield self.test_stage(net)
        yield self.compile_stage()

    def faces_stage(self) -> Stage:
        """Draw synthetic faces, or unpack those of an archive."""
        if self.args.archive is None:
            seed, count = str(self.args.seed), str(self.args.count)
            return Stage(
                "faces",
                "Draw synthetic faces",
                lambda: run_command("synthesize-faces", "--out", SYNTHETIC_FACES, "--seed", seed, "--count", count),
                [],
                [SYNTHETIC_FACES],
                {"seed": seed, "count": count},
            )
        if not os.path.isfile(self.args.archive):
            raise CaffeError(f"--archive {self.args.archive}: no such file")
        return Stage(
            "faces",
            f"Unpack the faces of {os.path.basename(self.args.archive)}",
            lambda: run_command("download", "--from", self.args.archive, "--race", self.args.race, "--out", self.faces),
            [self.args.archive],
            [self.faces],
            {"race": self.args.race},
        )

    def dataset_stage(self) -> Stage:
        """Write the lists of training and test images."""
        options = ["--faces", self.faces, "--race", self.args.race, "--seed", str(self.args.seed)]
        return Stage(
            "dataset",
            "Split the faces, drop duplicates, balance the classes",
            lambda: run_command("build-dataset", *options),
            [self.faces],
            ["data/DEF", "data/overSampling"],
            {"seed": self.args.seed, "faces": self.faces},
        )

    def lmdb_stage(self) -> Stage:
        """Pack the lists into LMDBs."""
        return Stage(
            "lmdb",
            "Pack the images into four LMDBs",
            lambda: run_command("create-lmdb"),
            ["data/DEF", "data/overSampling", self.faces],
            [workspace.lmdb(net.task, part) for net in self.nets for part in ("train", "test")],
        )

    def train_stage(self, net: Net) -> Stage:
        """Train one net; an interrupted training resumes from its latest snapshot."""
        iterations = self.iterations(net)
        options = ["--quick", "--resume", "--iterations", str(iterations), "--precision", self.precision]
        lmdbs = [workspace.lmdb(net.task, part) for part in ("train", "test")]
        definition = [workspace.solver_file(net.name, quick=True), f"prototxt/{net.name}_train_test.prototxt"]
        return Stage(
            f"train_{net.name}",
            f"Train {net.name} ({iterations} iterations, {self.precision})",
            lambda: run_command("train", net.name, *options),
            [*definition, *lmdbs, MEAN_FILE],
            [self.weights(net)],
            {"iterations": iterations, "precision": self.precision, "seed": self.args.seed},
            partial=[workspace.snapshot_prefix(net, quick=True) + "_iter_*"],
        )

    def test_stage(self, net: Net) -> Stage:
        """Write confusion matrix and report of one net."""
        folder = os.path.dirname(self.report(net))
        return Stage(
            f"test_{net.name}",
            f"Evaluate {net.name} on the test faces",
            lambda: run_command("test", net.name, "--weights", self.weights(net), "--report", folder),
            [self.weights(net), workspace.lmdb(net.task, "test"), MEAN_FILE],
            [self.report(net)],
        )

    def compile_stage(self) -> Stage:
        """Compile both nets."""
        return Stage(
            "compile",
            "Compile for a Neural Compute Stick and for OpenVINO's devices",
            lambda: run_command("compile"),
            [*map(self.weights, self.nets), MEAN_FILE],
            [f"graph/{net.name}{suffix}" for net in self.nets for suffix in COMPILED_SUFFIXES],
        )

    @property
    def precision(self) -> str:
        """The precision of the training: bf16 only where the processor multiplies it in hardware."""
        from caffe.core.precision import bf16_in_hardware

        return "bf16" if self.args.precision == "bf16" and bf16_in_hardware() else "float32"

    def iterations(self, net: Net) -> int:
        """Return the number of training iterations of a net."""
        from caffe.proto.read import read_solver

        return self.args.iterations or read_solver(workspace.solver_file(net.name, quick=True)).param.max_iter

    def weights(self, net: Net) -> str:
        """Return the last caffemodel of the training."""
        return f"{workspace.snapshot_prefix(net, quick=True)}_iter_{self.iterations(net)}.caffemodel"

    def report(self, net: Net) -> str:
        """Return the path of the evaluation's JSON."""
        return f"models/{net.name}/report/report.json"

    def show_results(self) -> None:
        """Print both confusion matrices, the artefacts, and predictions for a few held-out images."""
        from agegender.datasets.lists import read_list

        for net in self.nets:
            print(f"\n{RULE}\n{net.name} on the test faces\n")
            with open(f"models/{net.name}/report/confusion.txt", encoding="utf-8") as stream:
                print(stream.read(), end="")
        print(f"\n{RULE}\nArtefacts\n")
        print(artefact_table(path for path in self.artefacts() if os.path.exists(path)))
        print(f"\n{RULE}\nHeld-out images, predicted by ./run_inference.py\n", flush=True)
        held_out = [path for path, _ in read_list("data/DEF/age_test.txt")]
        sample = held_out[:: max(1, len(held_out) // 4)][:4]
        run_command("predict", "--image_path", *sample, "--mean_file", MEAN_NPY)
        if self.args.archive is None:
            print(
                "\nThese nets were trained on synthetic faces; they do not know real ones. For photographs of people "
                "use\na net trained on people: "
                f"agegender predict --model {workspace.PEOPLE_NET} --detect --image_path PHOTO"
            )

    def artefacts(self) -> Iterator[str]:
        """Yield the files that the pipeline made."""
        yield from (MEAN_FILE, MEAN_NPY)
        for net in self.nets:
            prefix = workspace.snapshot_prefix(net, quick=True)
            yield from (self.weights(net), prefix + ".log", prefix + "_curves.png")
            yield from sorted(glob.glob(f"models/{net.name}/report/*"))
            yield from sorted(glob.glob(f"graph/{net.name}.*"))


def artefact_table(paths: Iterable[str]) -> str:
    """Return one line per path: its size and the first digits of its SHA-256."""
    rows = [f"{path:<58} {os.path.getsize(path):>12,}  {_sha256(path)[:12]}" for path in paths]
    return "\n".join([f"{'file':<58} {'bytes':>12}  sha256", *rows])


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def program() -> str:
    """Return how the user can call `agegender`: its name if it is on the PATH, else its path."""
    if shutil.which("agegender"):
        return "agegender"
    path = os.path.join(os.path.dirname(sys.executable), "agegender")
    return os.path.relpath(path) if os.path.exists(path) else f"{os.path.basename(sys.executable)} -m agegender"


def run_command(name: str, *argv: str) -> None:
    """Run a command of `agegender`; exit with its status if it fails."""
    status = commands.run_command("agegender.cli", name.replace("-", "_"), "agegender " + name, list(argv))
    if status:
        raise SystemExit(status)
