"""Compile zoo nets: ONNX, IR, optionally a Myriad blob, and the manifest that every runner reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agegender.zoo import assemble, download, temperatures

if TYPE_CHECKING:
    from agegender.zoo.model import Net
    from ncs.compiler.compile import Model, Options
    from ncs.runtime.manifest import Manifest


def stem_of(net: Net, folder: str) -> str:
    """Return the stem of the compiled files: <stem>.onnx, .xml, .bin, .blob, .json and .prototxt."""
    return os.path.join(folder, net.name)


def names() -> list[str]:
    """Return all names that `jobs` accepts; part of the provider behind `ncs compile --model`."""
    from agegender import zoo

    return zoo.names()


def jobs(name: str, folder: str, weights: str | None = None, mean: str | None = None) -> list[tuple[Model, str]]:
    """Return [(Model, stem)] of the nets that a zoo name stands for; the parameters are those of `job`."""
    from agegender import zoo

    return [job(net, folder, weights, mean) for net in zoo.resolve(name)]


def job(net: Net, folder: str, weights: str | None = None, mean: str | None = None) -> tuple[Model, str]:
    """Return (Model, stem) of a zoo net, ready for `ncs.compiler.compile.compile_models`.

    Writes the deploy prototxt into `folder`.

    Parameters
    ----------
    net : Net
    folder : str
    weights : str, optional
        Any file that `zoo convert` reads, instead of the cached weights.
    mean : str, optional
        A mean file instead of the published one.
    """
    from agegender import workspace
    from caffe.utils.atomic_io import write_bytes
    from ncs.compiler.compile import Model

    weights, mean = weights or download.weights_of(net), mean or download.mean_of(net)
    original, stem = weights, stem_of(net, folder)
    os.makedirs(folder, exist_ok=True)
    if not weights.endswith(download.CAFFES):
        weights = download.convert(net, weights, stem + ".caffemodel")
    if net.name in workspace.NET_NAMES:  # trained here: the user may have edited the prototxt
        prototxt = workspace.prototxt_file(net.deploy_file)
        mean = mean or (workspace.MEAN_FILE if os.path.isfile(workspace.MEAN_FILE) else None)
    else:
        prototxt = stem + ".prototxt"
        write_bytes(prototxt, assemble.deploy_text(net))
    transform, parents = net.transform(), {}
    if mean:
        transform, parents = _with_mean(transform, mean), {"mean": mean}
    labels = net.labels
    temperature = temperatures.of(original).get(net.task, 1.0)
    names = list(labels.names)
    model = Model(
        net.name, prototxt, weights, transform, names, labels.name, labels.decoder, parents, temperature=temperature
    )
    return model, stem


def _with_mean(transform: Any, path: str) -> Any:
    """Return `transform` with the mean of a file, and with the landmarks of the mean face if it shows one."""
    from agegender.inference import mean_landmarks
    from caffe.data.mean import read_mean

    image = read_mean(path)
    landmarks = mean_landmarks.landmarks(image) or transform.landmarks
    return transform.replace(mean=image, mean_fit="resize", landmarks=landmarks)


def compile_nets(nets: Sequence[Net], folder: str, options: Options, **changes: Any) -> list[Manifest]:
    """Compile zoo nets into `folder`; `changes` are the optional parameters of `job`."""
    from ncs.compiler.compile import compile_models

    manifests = compile_models([job(net, folder, **changes) for net in nets], options)
    return [manifest for manifest in manifests if manifest is not None]


def ensure_compiled(names: Sequence[str], folder: str, say: Any = print) -> list[str]:
    """Compile (without blob) the nets that zoo names stand for and that `folder` lacks; return the nets' names."""
    from agegender import zoo
    from ncs.compiler.compile import Options

    nets = [net for name in dict.fromkeys(names) for net in zoo.resolve(name)]
    missing = [net for net in nets if not os.path.isfile(stem_of(net, folder) + ".json")]
    if missing:
        say(f"Compiling {', '.join(net.name for net in missing)} into {folder}")
        compile_nets(missing, folder, Options(blob=False))
    return [net.name for net in nets]
