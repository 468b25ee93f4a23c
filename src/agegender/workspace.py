"""The layout of a working directory: where the commands keep data sets, snapshots and compiled nets.

All paths are relative to the current directory. Prototxt files ship with the package; `prototxt_file` copies one into
the working directory at its first use, where the user may edit it.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from agegender.errors import AgeGenderError

if TYPE_CHECKING:
    from agegender.zoo.model import Net

NET_NAMES = ("AgeNet", "GenderNet")  # the nets that the scripts train, test and compile
MEAN_FILE = "data/mean/mean.binaryproto"
MEAN_NPY = "age_gender_mean.npy"
PROTOTXT = "prototxt"
MODEL_DIR = "graph"  # compiled nets
PEOPLE_NET = "compact-dlib"  # its weights are in the package and know people


def lmdb(task: str, part: str) -> str:
    """Return the LMDB of `task` (age or gender) and `part` (train or test)."""
    return f"data/lmdb/{task}_{part}_lmdb"


def snapshot_prefix(net: Net, quick: bool = False) -> str:
    """Return the snapshot prefix of a solver of `net`: the original's or the quick one."""
    return f"models/{net.name}/{'quick/' if quick else ''}caffenet_{net.task}_train"


def latest_weights(net: Net) -> str:
    """Return the caffemodel of the most recent training of `net`, by either solver: its latest iteration.

    Raises
    ------
    AgeGenderError
        If there is none; the message names the training script.
    """
    from caffe.solver.latest_snapshot import newest

    found = [newest(snapshot_prefix(net, quick), "caffemodel") for quick in (False, True)]
    paths = [path for path in found if path is not None]
    if not paths:
        raise AgeGenderError(f"no {snapshot_prefix(net)}_iter_N.caffemodel; train first: ./train_{net.name}.sh")
    return max(paths, key=os.path.getmtime)


def trained_on_synthetic_faces() -> bool:
    """Return whether the data set in data/DEF, from which AgeNet and GenderNet were trained, has synthetic faces."""
    import json

    try:
        with open("data/DEF/manifest.json", encoding="utf-8") as stream:
            faces = json.load(stream)["settings"]["faces"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no data set of ours: other weights
    return os.path.basename(os.path.normpath(str(faces))) == "synthetic_faces"


def why_not_people(model_dir: str) -> str:
    """Return why AgeNet and GenderNet do not predict photographs of people, or "" if nothing is known against them.

    Parameters
    ----------
    model_dir : str
        Where the compiled nets are; a directory of the user's own is accepted as it is.
    """
    if model_dir != MODEL_DIR:
        return ""
    if trained_on_synthetic_faces():
        return "AgeNet and GenderNet were trained on synthetic faces and do not know people"
    if not any(os.path.isfile(os.path.join(model_dir, name + ".json")) for name in NET_NAMES):
        return f"{model_dir}/ has neither AgeNet nor GenderNet"
    return ""


def solver_file(name: str, quick: bool = False) -> str:
    """Return the solver prototxt of AgeNet or GenderNet, with the train_test prototxt that it names in place."""
    prototxt_file(f"{name}_train_test.prototxt")
    return prototxt_file(f"quick/{name}_solver.prototxt" if quick else f"{name}_solver.prototxt")


def prototxt_file(name: str) -> str:
    """Return prototxt/`name`, copied from the package if the working directory has no such file.

    Raises
    ------
    AgeGenderError
        If the package has no such file either.
    """
    path = os.path.join(PROTOTXT, name)
    if not os.path.exists(path):
        from caffe.utils.atomic_io import atomic_write

        source = packaged_prototxt(name)
        with atomic_write(path) as temporary:
            shutil.copyfile(source, temporary)
        print(f"wrote {path} (a copy of the packaged file)", file=sys.stderr)
    return path


def packaged_prototxt(name: str) -> str:
    """Return the path of a prototxt file in the installed package, or in the checkout that the package runs from.

    Raises
    ------
    AgeGenderError
        If there is no such file.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    installed, checkout = os.path.join(package, PROTOTXT), os.path.join(package, "..", "..", PROTOTXT)
    for folder in (installed, os.path.normpath(checkout)):
        path = os.path.join(folder, *name.split("/"))
        if os.path.isfile(path):
            return path
    raise AgeGenderError(f"{PROTOTXT}/{name}: no such file, neither here nor in the package")
