"""A training recipe: the net, its targets, the augmentation and the solver."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.errors import AgeGenderError

if TYPE_CHECKING:
    from agegender import zoo
    from agegender.inference.labels import Labels


@dataclasses.dataclass(frozen=True)
class Target:
    """How one task is trained.

    Parameters
    ----------
    weight : float
        Weight of the task's loss.
    smoothing : float
        Label smoothing: this fraction of a label is spread evenly over all classes (Szegedy et al. 2016).
    deviation : float
        Label distribution: a normal distribution over neighbouring classes with this standard deviation, in classes
        (Geng 2016; Gao et al. 2017). 0 keeps the label itself.
    growth : float
        Increase of the standard deviation per class: ages are harder to see the higher they are. If it is not 0, the
        first and the last class take what the distribution has beyond them, so that its mean stays near the label.
    """

    weight: float = 1.0
    smoothing: float = 0.0
    deviation: float = 0.0
    growth: float = 0.0

    def matrix(self, classes: int) -> np.ndarray | None:
        """Return the target distribution of each label, float32 (classes, classes); None for one-hot targets."""
        if not self.smoothing and not self.deviation:
            return None
        index = np.arange(classes)
        rows = np.eye(classes)
        if self.growth:
            rows = _with_tails(classes, self.deviation + self.growth * index)
        elif self.deviation:
            rows = np.exp(-0.5 * ((index[:, None] - index) / self.deviation) ** 2)
            rows /= rows.sum(1, keepdims=True)
        return ((1 - self.smoothing) * rows + self.smoothing / classes).astype(np.float32)


def _with_tails(classes: int, deviations: np.ndarray) -> np.ndarray:
    """Return the probabilities (classes, classes) of unit intervals around the classes, the outer ones unbounded."""
    edges = np.arange(classes - 1) + 0.5
    z = (edges - np.arange(classes)[:, None]) / deviations[:, None]
    below = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train one net of the zoo.

    Parameters
    ----------
    name, title : str
    net : str
        Stem of the zoo nets that share the weights.
    batch : int
        Images per iteration.
    minutes : float
        Length of the training on two cores; the number of iterations follows from it.
    targets : dict of str to Target
        By task.
    augment, solver : dict
        Fields of AugmentParameter and SolverParameter.
    balance : float
        The data layer's `balance`, over the combinations of group, age class and gender.
    rampup : float
        Learning rate warm-up, as a fraction of the iterations.
    steps : tuple of float
        Steps of lr_policy multistep, as fractions of the iterations.
    features : bool
        Initialize from the features that the zoo net names.
    body : float
        Factor of the learning rates of all layers but the last ones; less than 1 keeps features near their initial
        values.
    side : int
        Image side in pixels, if it differs from the zoo net's.
    teacher : str
        Recipe for knowledge distillation: its net is trained on the same faces first.
    teachers : tuple of str
        Published zoo nets for stacking: what they see in the training faces is combined by small nets that are trained
        on other training faces, and their predictions are the teacher.
    distillation_weight : float
        Fraction of the loss that compares with the teacher.
    races : str
        Default of --race.
    validation : float
        Fraction of the training part that is held out to fit the temperatures.
    average : float
        The weights are averaged over the snapshots of this last fraction of the training.
    """

    name: str
    title: str
    net: str
    batch: int
    minutes: float
    targets: dict[str, Target]
    augment: dict[str, Any]
    solver: dict[str, Any]
    balance: float = 0.0
    rampup: float = 0.05
    steps: tuple[float, ...] = ()
    features: bool = False
    body: float = 1.0
    side: int = 0
    teacher: str = ""
    distillation_weight: float = 0.5
    teachers: tuple[str, ...] = ()
    races: str = "asian"
    validation: float = 0.0
    average: float = 0.0

    def nets(self) -> list[zoo.Net]:
        """Return the zoo nets, one per task, in the order of `targets`."""
        from agegender import zoo

        by_task = {net.task: net for net in zoo.resolve(self.net)}
        missing = set(self.targets) - set(by_task)
        if missing:
            raise AgeGenderError(f"recipe '{self.name}': '{self.net}' does not predict {', '.join(sorted(missing))}")
        nets = [by_task[task] for task in self.targets]
        return [net.at(self.side) for net in nets] if self.side else nets

    def gender_labels(self) -> Labels:
        """Return the gender labels in the order of the net's outputs."""
        from agegender import zoo
        from agegender.inference.labels import MALE_FIRST

        return next((net.labels for net in zoo.resolve(self.net) if net.task == "gender"), MALE_FIRST)

    def facts(self) -> dict[str, Any]:
        """Return everything that decides the result of a training, as JSON values."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "title"}
