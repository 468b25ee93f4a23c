"""Where a Model comes from: a Caffe net, a zoo name, a manifest, or an ONNX, IR or blob file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

from caffe.errors import CaffeError
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest, file_of

FORMATS = ("onnx", "openvino", "blob", "bundle")


class Source:
    """The base of all sources."""

    def manifests(self) -> list[Manifest]:
        """Return the manifest of each net, compiled if necessary."""
        raise NotImplementedError

    def export(self, format: str, folder: str, options: Any) -> list[str]:
        """Write the model in another format; return the paths of the files."""
        raise NotImplementedError


class CompiledSource(Source):
    """A source that is compiled: a Caffe net or nets of the zoo."""

    def __init__(self) -> None:
        self._scratch: tempfile.TemporaryDirectory | None = None
        self._manifests: list[Manifest] = []

    def jobs(self, folder: str) -> list[tuple[Any, str]]:
        """Return [(ncs.compiler.compile.Model, stem)]."""
        raise NotImplementedError

    def manifests(self) -> list[Manifest]:
        """Compile to ONNX and IR in a temporary directory, once."""
        if not self._manifests:
            from ncs.compiler.compile import Options, compile_models

            self._scratch = tempfile.TemporaryDirectory(prefix="caffe2ncs-")
            jobs = self.jobs(self._scratch.name)
            manifests = compile_models(jobs, Options(blob=False))
            if None in manifests:
                names = ", ".join(model.name for (model, _), manifest in zip(jobs, manifests) if manifest is None)
                raise NcsError(
                    f"{names}: expected images as inputs and one row of values per output; use caffe.Net for this net"
                )
            self._manifests = [manifest for manifest in manifests if manifest is not None]
        return self._manifests

    def export(self, format: str, folder: str, options: Any) -> list[str]:
        """Compile into `folder`."""
        from ncs.compiler.compile import compile_models

        os.makedirs(folder, exist_ok=True)
        jobs = self.jobs(folder)
        compile_models(jobs, options)
        suffixes = {"onnx": [".onnx"], "openvino": [".xml"], "blob": []}[format]
        paths = [stem + suffix for _, stem in jobs for suffix in suffixes]
        if format == "blob":
            paths += [path for _, stem in jobs for _, path in options.blobs(stem)]
        return paths


class CaffeSource(CompiledSource):
    """A prototxt (deploy or train_val) and its caffemodel."""

    def __init__(self, prototxt: str, weights: str, transform: Any, labels: Sequence[str]) -> None:
        super().__init__()
        self.prototxt, self.weights, self.transform, self.labels = prototxt, weights, transform, list(labels)

    def jobs(self, folder: str) -> list[tuple[Any, str]]:
        from ncs.compiler.compile import Model

        name = os.path.splitext(os.path.basename(self.prototxt))[0]
        return [(Model(name, self.prototxt, self.weights, self.transform, self.labels), os.path.join(folder, name))]


class ZooSource(CompiledSource):
    """Nets of the zoo, with their own or with other weights."""

    def __init__(self, name: str, weights: str | None, mean: str | None) -> None:
        from agegender import zoo

        super().__init__()
        self.name, self.weights, self.mean = name, weights, mean
        self.nets = zoo.resolve(name)

    def jobs(self, folder: str) -> list[tuple[Any, str]]:
        from agegender.zoo import compile

        return compile.jobs(self.name, folder, self.weights, self.mean)


class FileSource(Source):
    """A compiled model: manifests, or one ONNX, IR or blob file with a Transform."""

    def __init__(self, paths: Sequence[str], transform: Any = None, labels: Sequence[str] = ()) -> None:
        self.paths, self.transform, self.labels = list(paths), transform, list(labels)

    def manifests(self) -> list[Manifest]:
        """Read the manifests, or describe the file."""
        if self.paths[0].endswith(".json"):
            return [Manifest.read(path) for path in self.paths]
        return [self._manifest_of_file(self.paths[0])]

    def _manifest_of_file(self, path: str) -> Manifest:
        inputs, shape, output, classes = _interface(path)
        name, suffix = os.path.splitext(os.path.basename(path))
        folder = os.path.dirname(os.path.abspath(path))
        labels = self.labels or [str(index) for index in range(classes)]
        transform = self.transform.replace(size=self.transform.size or shape[2:])
        manifest = Manifest(name, inputs, shape, output, transform, labels, folder=folder)
        manifest.artefacts[suffix[1:]] = file_of(path, folder)
        if suffix == ".xml":
            manifest.artefacts["bin"] = file_of(os.path.splitext(path)[0] + ".bin", folder)
        return manifest

    def export(self, format: str, folder: str, options: Any) -> list[str]:
        """Compile an ONNX or IR file to blobs; no other format can be made of a compiled model."""
        path = next((manifest.path(kind) for manifest in self.manifests() for kind in ("onnx", "xml")
                     if kind in manifest.artefacts), None)  # fmt: skip
        if format != "blob" or path is None:
            raise NcsError(f"{self.paths[0]}: only 'blob' can be exported from an ONNX or IR file, received '{format}'")
        from ncs.compiler import model_input
        from ncs.myriad import compiler

        os.makedirs(folder, exist_ok=True)
        stem = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
            compiler.compile_blobs(options.jobs(model_input.readable(path, scratch, options.input_shape, print), stem))
        return [blob for _, blob in options.blobs(stem)]


def _interface(path: str) -> tuple[str, tuple[int, ...], str, int]:
    """Return (input name, input shape, output name, number of classes) of an ONNX, IR or blob file."""
    if path.endswith(".blob"):
        from ncs.myriad.blob import read_blob

        blob = read_blob(path)
        ports = [(port.name, tuple(port.dims)) for port in (*blob.inputs[:1], *blob.outputs[:1])]
        return ports[0][0], ports[0][1], ports[1][0], int(ports[1][1][-1])
    from caffe.utils.telemetry import import_openvino

    model = import_openvino().Core().read_model(path)
    shape = model.input(0).partial_shape
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(shape) != 4 or shape.is_dynamic and shape[1].is_dynamic:
        raise NcsError(f"{path}: expected one image input (N, C, H, W) and one output")
    sizes = tuple(dim.get_length() if dim.is_static else 1 for dim in shape)
    classes = model.output(0).partial_shape[-1]
    return model.input(0).any_name, sizes, model.output(0).any_name, classes.get_length() if classes.is_static else 1


def open_source(
    model: str | Sequence[str], weights: str | None, mean: Any, scale: float, order: str, labels: Sequence[str]
) -> Source:
    """Return the source that the arguments of `Model` describe.

    Raises
    ------
    CaffeError
        If a file does not exist, or `model` is neither a file nor a zoo name.
    """
    if not isinstance(model, str):
        return FileSource([os.fspath(path) for path in model])
    suffix = os.path.splitext(model)[1].lower()
    if suffix in (".json", ".onnx", ".xml", ".blob", ".prototxt", ".pbtxt", ".txt"):
        if not os.path.isfile(model):
            raise CaffeError(f"{model}: no such file")
        if suffix in (".json",):
            return FileSource([model])
        transform = _transform(mean, scale, order)
        if suffix in (".onnx", ".xml", ".blob"):
            return FileSource([model], transform, labels)
        if weights is None:
            raise CaffeError(f"{model}: expected the caffemodel as well: Model('{model}', 'net.caffemodel')")
        return CaffeSource(model, os.fspath(weights), _sized(model, transform), labels)
    return ZooSource(model, weights, mean)


def _transform(mean: Any, scale: float, order: str) -> Any:
    from caffe.data.mean import read_mean
    from caffe.device.transform import Transform

    if isinstance(mean, (str, os.PathLike)):
        mean = read_mean(os.fspath(mean))
    transform = Transform(order=order, mean=mean, scale=scale)
    return transform.replace(mean_fit="resize") if getattr(mean, "ndim", 0) == 3 else transform


def _sized(prototxt: str, transform: Any) -> Any:
    """Return the Transform with the size of the net's input."""
    from caffe.convert.deploy import deploy
    from caffe.proto.read import read_net

    param = deploy(read_net(prototxt).param, (1, None, None, None))
    shape = list(next(layer for layer in param.layer if layer.type == "Input").input_param.shape[0].dim)
    if len(shape) != 4:
        return transform
    return transform.replace(size=tuple(shape[2:]), gray=shape[1] == 1)
