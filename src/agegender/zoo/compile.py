"""Compile zoo nets: ONNX, IR, optionally a Myriad blob, and the manifest that every runner reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agegender.zoo import assemble, download, temperatures
from agegender.zoo import model as zoo_model
from ncs.runtime.manifest import Head

if TYPE_CHECKING:
    from agegender.zoo.model import Net
    from ncs.compiler.compile import Model, Options
    from ncs.runtime.manifest import Manifest


def stem_of(nets: Sequence[Net], folder: str) -> str:
    """Return the stem of the compiled files: <stem>.onnx, .xml, .bin, .blob, .json and .prototxt."""
    return os.path.join(folder, nets[0].name if len(nets) == 1 else nets[0].weights)


def grouped(nets: Sequence[Net]) -> list[list[Net]]:
    """Return groups of nets that compute the same body: each is compiled as one net with an output per task."""
    groups: dict[str, list[Net]] = {}
    for net in nets:
        groups.setdefault(net.weights, []).append(net)
    return list(groups.values())


def names() -> list[str]:
    """Return all names that `jobs` accepts; part of the provider behind `ncs compile --model`."""
    from agegender import zoo

    return zoo.names()


def jobs(name: str, folder: str, weights: str | None = None, mean: str | None = None) -> list[tuple[Model, str]]:
    """Return [(Model, stem)] of the nets that a zoo name stands for; the parameters are those of `job`."""
    from agegender import zoo

    return [job(nets, folder, weights, mean) for nets in grouped(zoo.resolve(name))]


def job(
    nets: Net | Sequence[Net], folder: str, weights: str | None = None, mean: str | None = None
) -> tuple[Model, str]:
    """Return (Model, stem) of a zoo net, ready for `ncs.compiler.compile.compile_models`.

    Writes the deploy prototxt into `folder`.

    Parameters
    ----------
    nets : Net or sequence of Net
        Several nets of the same weights become one net with one output each.
    folder : str
    weights : str, optional
        Any file that `zoo convert` reads, instead of the cached weights.
    mean : str, optional
        A mean file instead of the published one.
    """
    from agegender import workspace
    from caffe.utils.atomic_io import write_bytes
    from ncs.compiler.compile import Model

    group: list[Net] = [nets] if isinstance(nets, zoo_model.Net) else list(nets)
    net = group[0]
    weights, mean = weights or download.weights_of(net), mean or download.mean_of(net)
    original, stem = weights, stem_of(group, folder)
    os.makedirs(folder, exist_ok=True)
    if not weights.endswith(download.CAFFES):
        weights = download.convert(net, weights, stem + ".caffemodel")
    if net.name in workspace.NET_NAMES:  # trained here: the user may have edited the prototxt
        prototxt = workspace.prototxt_file(net.deploy_file)
        mean = mean or (workspace.MEAN_FILE if os.path.isfile(workspace.MEAN_FILE) else None)
    else:
        prototxt = stem + ".prototxt"
        write_bytes(prototxt, assemble.deploy_text(*group))
    transform, parents = net.transform(), {}
    if mean:
        transform, parents = _with_mean(transform, mean), {"mean": mean}
    at, name = temperatures.of(original), os.path.basename(stem)
    heads = [_head(member, group, at.get(member.task, 1.0)) for member in group]
    return Model(name, prototxt, weights, transform, [], parents=parents, heads=heads), stem


def _head(net: Net, group: Sequence[Net], temperature: float) -> Head:
    labels, (output,) = net.labels, assemble.output_names([net], len(group) > 1)
    return Head(net.name, output, list(labels.names), labels.name, labels.decoder, temperature)


def _with_mean(transform: Any, path: str) -> Any:
    """Return `transform` with the mean of a file, and with the landmarks of the mean face if it shows one."""
    from agegender.inference.faces import face_settings, mean_landmarks
    from caffe.data.mean import read_mean

    image = read_mean(path)
    landmarks = mean_landmarks.landmarks(image) or face_settings.landmarks(transform)
    return face_settings.replace(transform.replace(mean=image, mean_fit="resize"), landmarks=landmarks)


def compile_nets(nets: Sequence[Net], folder: str, options: Options, **changes: Any) -> list[Manifest]:
    """Compile zoo nets into `folder`, those of the same weights together; `changes` are parameters of `job`."""
    from ncs.compiler.compile import compile_models

    manifests = compile_models([job(group, folder, **changes) for group in grouped(nets)], options)
    return [manifest for manifest in manifests if manifest is not None]


def ensure_compiled(names: Sequence[str], folder: str, say: Any = print) -> list[str]:
    """Compile (without blob) the nets that zoo names stand for and that `folder` lacks; return the manifests' names."""
    from agegender import zoo
    from ncs.compiler.compile import Options

    groups = [group for name in dict.fromkeys(names) for group in grouped(zoo.resolve(name))]
    stems = [stem_of(group, folder) for group in groups]
    missing = [group for group, stem in zip(groups, stems) if not os.path.isfile(stem + ".json")]
    if missing:
        say(f"Compiling {', '.join(os.path.basename(stem_of(group, folder)) for group in missing)} into {folder}")
        compile_nets([net for group in missing for net in group], folder, Options(blob=False))
    return [os.path.basename(stem) for stem in stems]
