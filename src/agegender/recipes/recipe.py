"""What a recipe says: which net, what it learns of each answer, how its pictures are changed, and its solver."""

from __future__ import annotations

import dataclasses

import numpy as np

from agegender.errors import AgeGenderError


@dataclasses.dataclass(frozen=True)
class Target:
    """How one answer is learned: the share of its loss, and what the true class is taken for.

    `smoothing` gives this share of a label to all classes alike (Szegedy et al. 2016); `deviation` makes it a normal
    distribution over neighbouring classes, in classes (label distribution learning, Geng 2016; Gao et al. 2017).
    """

    weight: float = 1.0
    smoothing: float = 0.0
    deviation: float = 0.0

    def matrix(self, classes):
        """float32 (classes, classes): the distribution in whose place each label stands; None where it is the label itself."""
        if not self.smoothing and not self.deviation:
            return None
        index = np.arange(classes)
        rows = np.eye(classes)
        if self.deviation:
            rows = np.exp(-0.5 * ((index[:, None] - index) / self.deviation) ** 2)
            rows /= rows.sum(1, keepdims=True)
        return ((1 - self.smoothing) * rows + self.smoothing / classes).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train one net of the zoo.

    `net` is the stem of the zoo nets that share its weights, `targets` says how each task's answer is learned, `augment` and
    `solver` are fields of AugmentParameter and SolverParameter; what counts iterations follows from the minutes: max_iter,
    `rampup` and `steps` as shares of it. `minutes` is what it takes on two cores. `features`: start from the weights that the
    net's zoo entry names as features. `body` multiplies the rates of all that lies below the answers: less than 1 for features
    that are to stay near what they are. `side` trains for pictures of another side than the zoo's net. `teacher` is a recipe
    whose net, trained on the same faces first, looks at the same pictures; its answers make up the share `distillation_weight` of the loss.
    """

    name: str
    title: str
    net: str
    batch: int
    minutes: float
    targets: dict
    augment: dict
    solver: dict
    balance: float = 0.0
    rampup: float = 0.05  # share of the iterations in which the rate climbs
    steps: tuple = ()  # where lr_policy multistep steps
    features: bool = False
    body: float = 1.0
    side: int = 0
    teacher: str = ""
    distillation_weight: float = 0.5

    def nets(self):
        """The zoo's nets, one a task, in the order of `targets`."""
        from agegender import zoo

        found = {net.task: net for net in zoo.resolve(self.net)}
        missing = set(self.targets) - set(found)
        if missing:
            raise AgeGenderError(
                "recipe '{}': '{}' does not answer {}".format(self.name, self.net, ", ".join(sorted(missing)))
            )
        nets = [found[task] for task in self.targets]
        return [net.at(self.side) for net in nets] if self.side else nets

    def gender_labels(self):
        """The order in which the net's weights number genders."""
        from agegender import zoo
        from agegender.inference.labels import MALE_FIRST

        return next((net.labels for net in zoo.resolve(self.net) if net.task == "gender"), MALE_FIRST)

    def facts(self):
        """What a run stands on, as JSON values: all but words."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "title"}
