"""From a Caffe net and its weights to everything a device runs: ONNX, IR, Myriad blob, and the manifest beside them."""

from __future__ import annotations

import dataclasses
import os

from ncs.errors import NcsError
from ncs.manifest import Manifest, file_of


@dataclasses.dataclass
class Options:
    """What to make, and how; `shaves` and `cmx_slices` None leave the choice to the compiler.

    `shave_counts` makes several blobs, NAME_4shave.blob …, in the place of one; `archive` puts all blobs of a call into
    one file as well. `start` and `end` name the layers between which the net is compiled. `bytes_in` has the net take
    the picture's bytes: mean and scale go into the graph.
    """

    platform: str = "MA2480"
    shaves: int | None = None
    cmx_slices: int | None = None
    blob: bool = True
    ir: bool = True
    fp16: bool = True  # of the IR's weights
    input_shape: tuple | None = None
    config: dict = dataclasses.field(default_factory=dict)  # of the Myriad compiler
    shave_counts: tuple = ()
    archive: str | None = None
    start: str | None = None
    end: str | None = None
    bytes_in: bool = False
    zero_weights: bool = False  # where no weights are given, as mvNCCompile does; else the fillers'

    def blobs(self, stem):
        """[(shaves, path)] of the blobs that a net called `stem` becomes."""
        if not self.shave_counts:
            return [(self.shaves, stem + ".blob")]
        return [(count, "%s_%dshave.blob" % (stem, count)) for count in self.shave_counts]


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
    A net that does not answer with one row of numbers a picture (part of a net) has no manifest: None stands for it.
    """
    manifests = [_export(model, stem, options, say) for model, stem in jobs]
    if options.blob:
        _compile_blobs([stem for _, stem in jobs], options, say)
    for (_, stem), manifest in zip(jobs, manifests):
        if manifest is None:
            continue
        for kind, path in _artefacts(stem, options):
            if os.path.exists(path):
                manifest.add(kind, path)
        manifest.tools = _versions(options)
        manifest.write(stem + ".json")
    return manifests


def _artefacts(stem, options):
    """(kind, path) of what is made; of several blobs the manifest names the first."""
    made = [("onnx", stem + ".onnx")]
    made += [("xml", stem + ".xml"), ("bin", stem + ".bin")] if options.ir else []
    return made + ([("blob", options.blobs(stem)[0][1])] if options.blob else [])


def deploy_net(prototxt, weights, input_shape=None, start=None, end=None):
    """The deploy Net of a train_val or deploy prototxt, with `weights`; every layer with weights must be in the file.

    `start` and `end` name the layers between which it is cut out (see ncs.cut).
    """
    from caffe import snapshot
    from caffe.net import Net
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net
    from ncs.cut import cut
    from ncs.deploy import deploy

    param = cut(deploy(read_net(prototxt).param, input_shape), start, end)
    net = Net.from_param(param, caffe_pb2.TEST)
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


def net_of(model, options):
    """The Net that `model` becomes under `options`, as it is exported."""
    net = deploy_net(model.prototxt, model.weights, options.input_shape, options.start, options.end)
    if model.weights is None and options.zero_weights:
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0
    return net


def _export(model, stem, options, say):
    from ncs.ir import write_ir
    from ncs.onnx import export_net

    net = net_of(model, options)
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise NcsError(
            "%s: one input and one output are needed, it has %s and %s"
            % (model.prototxt, net.inputs, net.outputs)
        )
    source, output = net.inputs[0], net.outputs[0]
    shape, answer = tuple(net.blobs[source].shape), net.blobs[output].shape
    _check_labels(model, net.blobs[output].count // answer[0])
    transform, change = _folding(model.transform, shape, options, say)
    export_net(net, stem + ".onnx", change)
    if options.ir:
        write_ir(stem + ".onnx", stem + ".xml", options.fp16)
    if len(shape) != 4 or any(size != 1 for size in answer[2:]) or len(answer) < 2:
        return None
    folder = os.path.dirname(os.path.abspath(stem))
    labels = list(model.labels) or [str(number) for number in range(answer[1])]
    manifest = Manifest(
        model.name, source, shape, output, transform, labels, model.label_set, model.decoder, folder=folder
    )
    own = "unfolded %s" if options.bytes_in else "%s"  # our Net, given bytes, would leave out mean and scale
    parents = {own % "prototxt": model.prototxt, own % "caffemodel": model.weights, **model.parents}
    manifest.parents = {kind: file_of(path, folder) for kind, path in parents.items() if path}
    return manifest


def _folding(transform, shape, options, say):
    """(what is left of the Transform, what changes the Export)."""
    if not options.bytes_in:
        return transform, None
    from ncs import fold

    what = fold.folded(transform, shape)
    say(what.cost())
    return transform.replace(mean=None, scale=1.0), lambda export: fold.fold(export, what)


def _check_labels(model, count):
    if model.labels and len(model.labels) != count:
        raise NcsError(
            "%s answers with %d values, but %d labels were given" % (model.prototxt, count, len(model.labels))
        )


def _compile_blobs(stems, options, say):
    from ncs.myriad import compiler

    if options.platform == "MA2450":
        say("warning: " + compiler.NCS1_WARNING)
    made = [(stem, shaves, path) for stem in stems for shaves, path in options.blobs(stem)]
    compiler.compile_blobs(
        [
            compiler.Job(stem + ".onnx", path, options.platform, shaves, options.cmx_slices, options.config)
            for stem, shaves, path in made
        ],
        say,
    )
    if options.archive:
        write_blobs_archive(options.archive, [path for _, _, path in made])


def write_blobs_archive(archive, paths):
    """One file of the blobs in `paths`, each under its file's name without .blob."""
    from ncs.myriad.archive import write_archive

    write_archive(archive, [(os.path.splitext(os.path.basename(path))[0], path) for path in paths])


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
