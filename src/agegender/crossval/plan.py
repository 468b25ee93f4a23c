"""The plan of a cross-validation: its settings and the paths of its files."""

from __future__ import annotations

import dataclasses
import os

from agegender import workspace
from agegender.datasets import adience
from agegender.errors import AgeGenderError
from caffe.proto.read import read_solver

DEFINITIONS = os.path.join("prototxt", "levi")
NETS = {"age": "AgeNet", "gender": "GenderNet"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Settings of a cross-validation.

    Parameters
    ----------
    fold_files, images : str
        Directories of Adience's fold files and images.
    tasks : tuple of str
        "age", "gender" or both.
    chosen : tuple of int
        Test folds, 0 to 4.
    policy, seed, compat, prefix
        How the lists are made from the fold files; see `agegender.datasets.adience_lists.write`.
    lists : str
        A directory of test_fold_is_K/ with lists, such as the published ones; replaces policy, seed and compat.
    definitions : str
        Directory of {AgeNet,GenderNet}_train_val.prototxt and _solver.prototxt.
    iterations : int
        0 takes the solver's max_iter.
    tidy : bool
        Delete a fold's LMDBs after its evaluation (six of them take 7 GB).
    """

    fold_files: str
    images: str
    tasks: tuple = ("age", "gender")
    chosen: tuple = tuple(range(adience.FOLDS))
    policy: str = "published"
    seed: int = 230
    compat: bool = False
    prefix: str = adience.ALIGNED
    lists: str = ""
    definitions: str = DEFINITIONS
    iterations: int = 0
    precision: str = "float32"
    threads: int = 0
    gpu: str = ""
    allow_broken: bool = False
    tidy: bool = False
    data: str = os.path.join("data", "adience")
    models: str = os.path.join("models", "adience")

    @property
    def lists_folder(self) -> str:
        """The directory that holds test_fold_is_K/."""
        return self.lists or os.path.join(self.data, "lists")

    def lmdb(self, fold: int, task: str, part: str) -> str:
        """Return the path of an LMDB of 256x256 images, named as the published scripts name it."""
        return os.path.join(self.data, "lmdb", f"Test_fold_is_{fold}", f"{task}_{part}_lmdb")

    def mean(self, fold: int) -> str:
        """Return the path of the mean of a fold's gender training images, which both nets use."""
        return os.path.join(self.data, "mean_image", f"Test_folder_is_{fold}", "mean.binaryproto")

    def model(self, fold: int, task: str, name: str = "") -> str:
        """Return the path of a file of one net's training on one fold."""
        return os.path.join(self.models, f"test_fold_is_{fold}", NETS[task], name)

    def definition(self, task: str) -> tuple[str, str]:
        """Return the paths of train_val and solver prototxt.

        Raises
        ------
        AgeGenderError
            If one does not exist.
        """
        stem = os.path.join(self.definitions, NETS[task])
        net, solver = stem + "_train_val.prototxt", stem + "_solver.prototxt"
        if self.definitions == DEFINITIONS:
            return _packaged(net), _packaged(solver)
        for path in (net, solver):
            if not os.path.isfile(path):
                raise AgeGenderError(f"{path}: no such file; --prototxt DIR holds it")
        return net, solver

    def length(self, task: str) -> int:
        """Return the number of training iterations."""
        return self.iterations or read_solver(self.definition(task)[1]).param.max_iter


def _packaged(path: str) -> str:
    return workspace.prototxt_file("levi/" + os.path.basename(path))
