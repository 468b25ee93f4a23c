"""From a Caffe net and its weights to everything a device runs: ONNX, IR, Myriad blob, and the manifest beside them."""

from __future__ import annotations

import dataclasses
import os

from ncs.errors import NcsError
from ncs.manifest import Manifest, file_of


@dataclasses.dataclass
class Options:
    """What to make, and how; `shaves` and `cmx_slices` None leave the choice to the compiler."""

    platform: str = "MA2480"
    shaves: int | None = None
    cmx_slices: int | None = None
    blob: bool = True
    ir: bool = True
    fp16: bool = True  # of the IR's weights
    input_shape: tuple | None = None
    config: dict = dataclasses.field(default_factory=dict)  # of the Myriad compiler


@dataclasses.dataclass
class Model:
    """What is compiled: `prototxt` (train_val or deploy), `weights`, and what its numbers mean."""

    name: str
    prototxt: str
    weights: str | None
    transform: object  # caffe.transform.Transform
    labels: list
    label_set: str = ""
    decoder: str = "argmax"
    parents: dict = dataclasses.field(default_factory=dict)  # kind -> path of further files it was made from


def compile_models(jobs, options, say=print):
    """Compile [(Model, stem)]: writes <stem>.onnx, .xml, .bin, .blob and .json; returns the Manifests.

    All blobs are compiled in one child process. The manifest is written last, so one that is there names files that are.
    """
    manifests = [_export(model, stem, options) for model, stem in jobs]
    if options.blob:
        _compile_blobs([stem for _, stem in jobs], options, say)
    for (_, stem), manifest in zip(jobs, manifests):
        for kind in ("onnx", "xml", "bin", "blob"):
            if os.path.exists(stem + "." + kind) and _wanted(kind, options):
                manifest.add(kind, stem + "." + kind)
        manifest.tools = _versions(options)
        manifest.write(stem + ".json")
    return manifests


def _wanted(kind, options):
    return kind == "onnx" or (options.ir if kind in ("xml", "bin") else options.blob)


def deploy_net(prototxt, weights, input_shape=None):
    """The deploy Net of a train_val or deploy prototxt, with `weights`; every layer with weights must be in the file."""
    from caffe import snapshot
    from caffe.net import Net
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net
    from ncs.deploy import deploy

    net = Net.from_param(deploy(read_net(prototxt).param, input_shape), caffe_pb2.TEST)
    if weights is not None:
        arrays = snapshot.read_weights(weights)
        missing = [name for name in net.params if name not in arrays]
        if missing:
            raise NcsError(
                "%s has no weights for layer(s) %s of %s; it has %s"
                % (weights, ", ".join(missing), prototxt, ", ".join(arrays) or "none")
            )
        net.copy_from(weights)
    return net


def _export(model, stem, options):
    from ncs.ir import write_ir
    from ncs.onnx import export_net

    net = deploy_net(model.prototxt, model.weights, options.input_shape)
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise NcsError(
            "%s: one input and one output are needed, it has %s and %s"
            % (model.prototxt, net.inputs, net.outputs)
        )
    source, output = net.inputs[0], net.outputs[0]
    _check_labels(model, net.blobs[output].count // net.blobs[output].shape[0])
    export_net(net, stem + ".onnx")
    if options.ir:
        write_ir(stem + ".onnx", stem + ".xml", options.fp16)
    folder = os.path.dirname(os.path.abspath(stem))
    manifest = Manifest(
        model.name,
        source,
        tuple(net.blobs[source].shape),
        output,
        model.transform,
        list(model.labels),
        model.label_set,
        model.decoder,
        folder=folder,
    )
    parents = {"prototxt": model.prototxt, "caffemodel": model.weights, **model.parents}
    manifest.parents = {kind: file_of(path, folder) for kind, path in parents.items() if path}
    return manifest


def _check_labels(model, count):
    if model.labels and len(model.labels) != count:
        raise NcsError(
            "%s answers with %d values, but %d labels were given" % (model.prototxt, count, len(model.labels))
        )


def _compile_blobs(stems, options, say):
    from ncs.myriad import compiler

    if options.platform == "MA2450":
        say("warning: " + compiler.NCS1_WARNING)
    compiler.compile_blobs(
        [
            compiler.Job(
                stem + ".onnx",
                stem + ".blob",
                options.platform,
                options.shaves,
                options.cmx_slices,
                options.config,
            )
            for stem in stems
        ],
        say,
    )


def _versions(options):
    from importlib import metadata

    tools = {"caffe2ncs": _version(metadata, "caffe2ncs")}
    if options.ir:
        tools["openvino"] = _version(metadata, "openvino")
    if options.blob:
        tools["myriad compiler"] = "openvino 2021.4.2"
    return tools


def _version(metadata, name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"
