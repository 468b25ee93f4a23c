"""AgeNet and GenderNet of this toolkit: which labels, files and folders belong to which, in one table."""

from __future__ import annotations

import dataclasses

from agegender.errors import AgeGenderError
from agegender.inference import labels
from caffe.errors import did_you_mean


@dataclasses.dataclass(frozen=True)
class TaskNet:
    """A net that answers one question; all paths are relative to the checkout, where the scripts run."""

    name: str  # AgeNet
    task: str  # age: as in data/DEF/age_train.txt, data/lmdb/age_train_lmdb
    labels: labels.Labels
    answer: str  # how the answer is printed

    @property
    def train_test(self):
        """The prototxt of training and testing."""
        return f"prototxt/{self.name}_train_test.prototxt"

    @property
    def solver(self):
        """The original's solver."""
        return f"prototxt/{self.name}_solver.prototxt"

    @property
    def quick_solver(self):
        """The solver for minutes."""
        return f"prototxt/quick/{self.name}_solver.prototxt"

    @property
    def deploy(self):
        """The prototxt that answers one picture."""
        return f"prototxt/{self.name}_deploy.prototxt"

    @property
    def prefix(self):
        """The snapshot prefix of both solvers."""
        return f"models/{self.name}/caffenet_{self.task}_train"

    def lmdb(self, part):
        """The database of `part`: train or test."""
        return f"data/lmdb/{self.task}_{part}_lmdb"

    def graph(self, folder="graph"):
        """The stem of the compiled artefacts: <stem>.onnx, .xml, .bin, .blob, .json."""
        return f"{folder}/{self.name}"


NETS = {
    net.name: net
    for net in (
        TaskNet("AgeNet", "age", labels.AGE_TRINGN, "Age predicted"),
        TaskNet("GenderNet", "gender", labels.MALE_FIRST, "Gender predicted"),
    )
}

MEAN_FILE = "data/mean/mean.binaryproto"
MEAN_NPY = "age_gender_mean.npy"


def net_named(name):
    """The TaskNet called `name`."""
    if name not in NETS:
        raise AgeGenderError(
            "no net is called '{}'{} (known: {})".format(name, did_you_mean(name, NETS), ", ".join(NETS))
        )
    return NETS[name]


def newest_weights(net):
    """The newest caffemodel of `net`'s training; an error that says how to get one."""
    from caffe.solver.latest_snapshot import newest

    path = newest(net.prefix, "caffemodel")
    if path is None:
        raise AgeGenderError(f"there is no {net.prefix}_iter_N.caffemodel; train first: ./train_{net.name}.sh")
    return path
