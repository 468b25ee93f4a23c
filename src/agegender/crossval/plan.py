"""What a cross-validation does, and where its files lie."""

from __future__ import annotations

import dataclasses
import os

from agegender.datasets import adience
from agegender.errors import AgeGenderError
from caffe.proto.read import read_solver

NETS = {"age": "AgeNet", "gender": "GenderNet"}


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

    # -- where things lie, under the names of the published scripts

    @property
    def lists_folder(self):
        """Holds test_fold_is_K/."""
        return self.lists or os.path.join(self.data, "lists")

    def lmdb(self, fold, task, part):
        """A database of 256x256 pictures."""
        return os.path.join(self.data, "lmdb", "Test_fold_is_%d" % fold, f"{task}_{part}_lmdb")

    def mean(self, fold):
        """The mean of a fold's gender training pictures, which both nets take."""
        return os.path.join(self.data, "mean_image", "Test_folder_is_%d" % fold, "mean.binaryproto")

    def model(self, fold, task, name=""):
        """A file of one net's training on one fold."""
        return os.path.join(self.models, "test_fold_is_%d" % fold, NETS[task], name)

    # -- the nets

    def definition(self, task):
        """(train_val, solver) prototxt as given."""
        stem = os.path.join(self.definitions, NETS[task])
        paths = stem + "_train_val.prototxt", stem + "_solver.prototxt"
        for path in paths:
            if not os.path.isfile(path):
                raise AgeGenderError(f"{path}: no such file; --prototxt DIR holds it")
        return paths

    def length(self, task):
        """How many iterations a net is trained."""
        return self.iterations or read_solver(self.definition(task)[1]).param.max_iter
