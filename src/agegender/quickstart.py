"""The main job: every stage of the road in order, each only where it is out of date."""

from __future__ import annotations

import glob
import os
import time

from agegender.nets import MEAN_FILE, MEAN_NPY, NETS
from caffe.errors import CaffeError
from caffe.utils import commands
from caffe.utils.pipeline import Stage
from caffe.utils.progress import clock_text

DRAWN = "data/synthetic_faces"
RULE = "=" * 78


class Quickstart:
    """The stages for the given options; `go` runs them and prints what came out."""

    def __init__(self, args):
        self.args = args
        self.faces = DRAWN if args.archive is None else "data/faces_of_archive"

    def run(self):
        """Run what is out of date; returns the exit status."""
        began, stages = time.monotonic(), list(self.stages())
        for number, stage in enumerate(stages, 1):
            print("\n%s\n[%d/%d] %s" % (RULE, number, len(stages), stage.title), flush=True)
            if not self.args.force and stage.up_to_date():
                print("up to date")
                continue
            at = time.monotonic()
            stage.run()
            print(f"done in {clock_text(time.monotonic() - at)}", flush=True)
        self.show_results()
        print(f"\nThe whole road took {clock_text(time.monotonic() - began)}.")
        return 0

    # -- the stages ------------------------------------------------------------------------------

    def stages(self):
        """The stages in order."""
        yield self.faces_stage()
        yield Stage(
            "dataset",
            "Split the faces, drop duplicates, balance the classes",
            self.build_dataset,
            [self.faces],
            ["data/DEF", "data/overSampling"],
            {"seed": self.args.seed, "faces": self.faces},
        )
        yield Stage(
            "lmdb",
            "Pack the pictures into four LMDBs",
            lambda: verb("create-lmdb"),
            ["data/DEF", "data/overSampling", self.faces],
            [net.lmdb(part) for net in NETS.values() for part in ("train", "test")],
        )
        yield Stage(
            "mean",
            "The mean of the training pictures",
            lambda: verb("create-mean"),
            [NETS["AgeNet"].lmdb("train")],
            [MEAN_FILE, MEAN_NPY],
        )
        for net in NETS.values():
            yield self.train_stage(net)
        for net in NETS.values():
            yield Stage(
                f"test_{net.name}",
                f"Judge {net.name} on the test faces",
                lambda net=net: self.evaluate(net),
                [self.weights(net), net.lmdb("test"), MEAN_FILE],
                [self.report(net)],
            )
        yield Stage(
            "compile",
            "Compile for a Neural Compute Stick and for OpenVINO's devices",
            lambda: verb("compile"),
            [*(self.weights(net) for net in NETS.values()), MEAN_FILE],
            [net.graph() + ending for net in NETS.values() for ending in (".onnx", ".xml", ".bin", ".blob", ".json")],
        )

    def faces_stage(self):
        """Drawn faces, or those of an archive."""
        if self.args.archive is None:
            seed, count = str(self.args.seed), str(self.args.count)
            return Stage(
                "faces",
                "Draw faces",
                lambda: verb("synthesize-faces", "--out", DRAWN, "--seed", seed, "--count", count),
                [],
                [DRAWN],
                {"seed": seed, "count": count},
            )
        if not os.path.isfile(self.args.archive):
            raise CaffeError(f"--archive {self.args.archive}: there is no such file")
        return Stage(
            "faces",
            f"Unpack the faces of {os.path.basename(self.args.archive)}",
            lambda: verb("download", "--from", self.args.archive, "--race", self.args.race, "--out", self.faces),
            [self.args.archive],
            [self.faces],
            {"race": self.args.race},
        )

    def build_dataset(self):
        """The lists, from the faces at hand."""
        verb("build-dataset", "--faces", self.faces, "--race", self.args.race, "--seed", str(self.args.seed))

    def train_stage(self, net):
        """Training of one net; one that was cut off goes on from its newest snapshot."""
        return Stage(
            f"train_{net.name}",
            f"Train {net.name} ({self.recipe(net)})",
            lambda: self.train(net),
            [net.quick_solver, net.train_test, net.lmdb("train"), net.lmdb("test"), MEAN_FILE],
            [self.weights(net)],
            {"iterations": self.iterations(net), "precision": self.precision, "seed": self.args.seed},
            snapshots=net.prefix,
            afresh=self.args.force,
        )

    def train(self, net):
        """Train, from the start or from the newest snapshot that the stage has left."""
        verb(
            "train",
            net.name,
            "--quick",
            "--resume",
            "--iterations",
            str(self.iterations(net)),
            "--precision",
            self.precision,
        )

    def evaluate(self, net):
        """Confusion matrix and report of one net."""
        verb("test", net.name, "--weights", self.weights(net), "--report", os.path.dirname(self.report(net)))

    # -- what the options come to ----------------------------------------------------------------

    @property
    def precision(self):
        """The training's precision: bf16 only where the processor multiplies it in hardware."""
        from caffe.net.net import bf16_in_hardware

        return "bf16" if self.args.precision == "bf16" and bf16_in_hardware() else "float32"

    def iterations(self, net):
        """How many iterations a net is trained."""
        from caffe.proto.read import read_solver

        if self.args.iterations is not None and self.args.iterations < 1:
            raise CaffeError("--iterations must be positive, received %d" % self.args.iterations)
        return self.args.iterations or read_solver(net.quick_solver).param.max_iter

    def recipe(self, net):
        """The training in a few words."""
        return "%d iterations, %s" % (self.iterations(net), self.precision)

    def weights(self, net):
        """The caffemodel that the training ends with."""
        return "%s_iter_%d.caffemodel" % (net.prefix, self.iterations(net))

    def report(self, net):
        """The JSON of the judging."""
        return f"models/{net.name}/report/report.json"

    # -- the end ---------------------------------------------------------------------------------

    def show_results(self):
        """Both matrices, the artefacts, and the prediction for a few held-out pictures."""
        from agegender.datasets.lists import read_list

        for net in NETS.values():
            print(f"\n{RULE}\n{net.name} on the test faces\n")
            with open(f"models/{net.name}/report/confusion.txt", encoding="utf-8") as stream:
                print(stream.read(), end="")
        print(f"\n{RULE}\nArtefacts\n")
        print(artefact_table([path for path in self.artefacts() if os.path.exists(path)]))
        print(f"\n{RULE}\nHeld-out pictures (asked through ./run_inference.py)\n", flush=True)
        held_out = [path for path, _ in read_list("data/DEF/age_test.txt")]
        few = held_out[:: max(1, len(held_out) // 4)][:4]
        verb("predict", "--image_path", *few, "--mean_file", MEAN_NPY)

    def artefacts(self):
        """The files a user takes away."""
        yield from (MEAN_FILE, MEAN_NPY)
        for net in NETS.values():
            yield self.weights(net)
            yield net.prefix + ".log"
            yield net.prefix + "_curves.png"
            yield from sorted(glob.glob(f"models/{net.name}/report/*"))
            yield from sorted(glob.glob(net.graph() + ".*"))


def artefact_table(paths):
    """Paths with their sizes and the first digits of their SHA-256, a line each."""
    import hashlib

    rows = []
    for path in paths:
        with open(path, "rb") as stream:
            digest = (
                hashlib.file_digest(stream, "sha256")
                if hasattr(hashlib, "file_digest")
                else hashlib.sha256(stream.read())
            )
        rows.append("%-58s %12s  %s" % (path, format(os.path.getsize(path), ","), digest.hexdigest()[:12]))
    return "\n".join(["%-58s %12s  %s" % ("file", "bytes", "sha256"), *rows])


def verb(name, *argv):
    """Run a verb of `agegender`; one that fails ends the road with its own message."""
    status = commands.run_command("agegender.cli", name.replace("-", "_"), "agegender " + name, list(argv))
    if status:
        raise SystemExit(status)
