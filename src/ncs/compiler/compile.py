"""From a Caffe net and its weights to everything a device runs: ONNX, IR, Myriad blob, and the manifest beside them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile

from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest, file_of


@dataclasses.dataclass
class Options:
    """What to make, and how; `shaves` and `cmx_slices` None leave the choice to the compiler.

    `shave_counts` makes several blobs, NAME_4shave.blob …, in the place of one; `archive` puts all blobs of a call into
    one file as well. `start` and `end` name the layers between which the net is compiled. `bytes_in` has the net take
    the picture's bytes: mean and scale go into the graph. `inputs` and `outputs` are types of the blob's (FP32, FP16, U8;
    "" as they come). `input_shape` is (N, C, H, W), None for what the net says itself.
    """

    platform: str = "MA2480"
    shaves: int | None = None
    cmx_slices: int | None = None
    blob: bool = True
    ir: bool = True
    fp16: bool = True  # of the IR's weights
    input_shape: tuple = (1, None, None, None)
    config: dict = dataclasses.field(default_factory=dict)  # of the Myriad compiler
    shave_counts: tuple = ()
    archive: str | None = None
    start: str | None = None
    end: str | None = None
    bytes_in: bool = False
    inputs: str = ""
    outputs: str = ""
    zero_weights: bool = False  # where no weights are given, as mvNCCompile does; else the fillers'

    def blobs(self, stem):
        """[(shaves, path)] of the blobs that a net called `stem` becomes."""
        if not self.shave_counts:
            return [(self.shaves, stem + ".blob")]
        return [(count, "%s_%dshave.blob" % (stem, count)) for count in self.shave_counts]

    def jobs(self, model, stem):
        """ncs.myriad.compiler.Jobs of the blobs that the model file `model` becomes."""
        from ncs.myriad.compiler import Job

        return [
            Job(model, path, self.platform, shaves, self.cmx_slices, self.config, self.inputs, self.outputs)
            for shaves, path in self.blobs(stem)
        ]


@dataclasses.dataclass
class Model:
    """What is compiled: `prototxt` (train_val or deploy), `weights`, and what its numbers mean.

    `param` is the prototxt's NetParameter where somebody has read it already.
    """

    name: str
    prototxt: str
    weights: str | None
    transform: object  # caffe.device.transform.Transform
    labels: list
    label_set: str = ""
    decoder: str = "argmax"
    parents: dict = dataclasses.field(default_factory=dict)  # kind -> path of further files it was made from
    param: object = None


def compile_models(jobs, options, say=print):
    """Compile [(Model, stem)]: writes <stem>.onnx, .xml, .bin, .blob and .json; returns the Manifests.

    All blobs are compiled in one child process. The manifest is written last, so one that is there names files that are.
    A net that takes something else than a picture, or answers with something else than one row of numbers for it, has no
    manifest: None stands for it.
    """
    if options.blob:
        check(options)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        made = [_export(model, stem, options, say, scratch) for model, stem in jobs]
        manifests = [manifest for manifest, _ in made]
        if options.blob:
            _compile_blobs([(stem, path) for (_, stem), (_, path) in zip(jobs, made)], options, say)
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


def check(options):
    """Raise NcsError for a blob that no chip could run, before anything is done for it."""
    from ncs.myriad.compiler import chip_settings

    for job in options.jobs("", ""):
        chip_settings(job)


def deploy_net(prototxt, weights, input_shape=None, start=None, end=None, param=None, build_only=False):
    """The deploy Net of a train_val or deploy prototxt, with `weights`; every layer with weights must be in the file.

    `start` and `end` name the layers between which it is cut out (see caffe.convert.subgraph); `param` is the prototxt, if it was read.
    What is only `build_only` can be exported, not run, and needs no torch.
    """
    from caffe.convert.deploy import deploy
    from caffe.convert.subgraph import cut
    from caffe.proto.read import read_net
    from caffe.weights import snapshot

    param = cut(deploy(param or read_net(prototxt).param, input_shape), start, end)
    net = _made(param, build_only, prototxt)
    if weights is not None:
        arrays = snapshot.read_weights(weights)
        missing = [name for name in net.params if name not in arrays]
        if missing:
            raise NcsError(
                "{} has no weights for layer(s) {} of {}; it has {}".format(
                    weights, ", ".join(missing), prototxt, ", ".join(arrays) or "none"
                )
            )
        net.copy_from(weights)
    return net


def _made(param, build_only, prototxt):
    """The Net of a deploy net; an error names the lines of `prototxt`, and the -on that leaves out what cannot be made."""
    from caffe.convert.subgraph import offer
    from caffe.errors import CaffeError
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    try:
        return Net.from_param(param, caffe_pb2.TEST, build_only=build_only)
    except CaffeError:
        where = _places(param, prototxt)
    try:
        return Net.from_param(param, caffe_pb2.TEST, where=where, build_only=build_only)
    except CaffeError as error:
        error.args = (str(error) + offer(param, getattr(error, "layers", ())),)
        raise


def _places(param, prototxt):
    """file:line of each layer of a deploy net, found by name in the file that it was made of."""
    from caffe.proto.read import read_net

    file = read_net(prototxt)
    lines = {layer.name: place for layer, place in zip(file.param.layer, file.where)}
    return [lines.get(layer.name, prototxt) for layer in param.layer]


def net_of(model, options, build_only=False):
    """The Net that `model` becomes under `options`; what is only `build_only` can be exported, not run."""
    net = deploy_net(
        model.prototxt, model.weights, options.input_shape, options.start, options.end, model.param, build_only
    )
    if model.weights is None and options.zero_weights:
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0
    return net


def _export(model, stem, options, say, scratch):
    """(Manifest or None, the model file that the blob is compiled from)."""
    from caffe.convert.onnx_export import export_net

    net = net_of(model, options, build_only=model.weights is not None or options.zero_weights)
    reason = _why_no_manifest(net)
    shape, answer = net.blobs[net.inputs[0]].shape, net.blobs[net.outputs[0]]
    if not reason:
        _check_labels(model, answer.count // answer.shape[0])
    if options.bytes_in and len(net.inputs) != 1:
        raise NcsError(
            "-ip U8: one picture's mean and scale can go into the graph; the net has %d inputs (%s)"
            % (len(net.inputs), ", ".join(net.inputs))
        )
    transform, change = _folding(model.transform, shape, options, say)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(stem + ".json")  # it names the files that are replaced now
    export_net(net, stem + ".onnx", change)
    path = _write_ir(net, stem, options, change, scratch)
    if reason:
        say(f"{model.name}: no manifest, since it {reason}; everything else is made")
        return None, path
    folder = os.path.dirname(os.path.abspath(stem))
    labels = list(model.labels) or [str(number) for number in range(answer.shape[1])]
    manifest = Manifest(
        model.name,
        net.inputs[0],
        tuple(shape),
        net.outputs[0],
        transform,
        labels,
        model.label_set,
        model.decoder,
        folder=folder,
    )
    own = "unfolded %s" if options.bytes_in else "%s"  # our Net, given bytes, would leave out mean and scale
    parents = {own % "prototxt": model.prototxt, own % "caffemodel": model.weights, **model.parents}
    manifest.parents = {kind: file_of(parent, folder) for kind, parent in parents.items() if parent}
    return manifest, path


def _write_ir(net, stem, options, change, scratch):
    """Write stem.xml where an IR is wanted; returns what the blob is compiled from: the ONNX file, or an IR of the older
    version where layers are operations of their own.
    """
    from ncs import native_ops
    from ncs.compiler.ir import write_ir

    if not native_ops.present(net):
        if options.ir:
            write_ir(stem + ".onnx", stem + ".xml", options.fp16)
        return stem + ".onnx"
    inner = tempfile.mkdtemp(dir=scratch)
    path = stem + ".xml" if options.ir else os.path.join(inner, "model.xml")
    if options.ir or options.blob:
        native_ops.write_ir(net, path, options.fp16, change)
    if not options.blob:
        return path
    from ncs.myriad.ir_downgrade import make_older

    return make_older(path, inner)


def _why_no_manifest(net):
    """Why a manifest, which tells how a picture is put in and an answer read off, does not fit this net; or ""."""
    if len(net.inputs) != 1:
        return "has %d inputs (%s)" % (len(net.inputs), ", ".join(net.inputs))
    if len(net.outputs) != 1:
        return "has %d answers (%s; -on takes one of them)" % (len(net.outputs), ", ".join(net.outputs))
    shape, answer = net.blobs[net.inputs[0]].shape, net.blobs[net.outputs[0]].shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        return "takes {}, not a picture".format("x".join(map(str, shape)))
    if len(answer) < 2 or any(size != 1 for size in answer[2:]):
        return "answers with {}, not with a row of numbers a picture".format("x".join(map(str, answer)))
    return ""


def _folding(transform, shape, options, say):
    """(what is left of the Transform, what changes the Export)."""
    if not options.bytes_in:
        return transform, None
    from ncs.compiler import embed_preprocessing

    what = embed_preprocessing.preprocessing_of(transform, shape)
    say(what.cost())
    return transform.replace(mean=None, scale=1.0), lambda export: embed_preprocessing.fold(export, what)


def _check_labels(model, count):
    if model.labels and len(model.labels) != count:
        raise NcsError(
            "%s answers with %d values, but %d labels were given" % (model.prototxt, count, len(model.labels))
        )


def _compile_blobs(made, options, say):
    from ncs.myriad import compiler

    if options.platform == "MA2450":
        say("warning: " + compiler.NCS1_WARNING)
    jobs = [job for stem, path in made for job in options.jobs(path, stem)]
    compiler.compile_blobs(jobs, say)
    if options.archive:
        write_blobs_archive(options.archive, [job.output for job in jobs])


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
