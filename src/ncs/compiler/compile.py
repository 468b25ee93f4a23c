"""Compiles a Caffe net and its weights to ONNX, IR and Myriad blobs, and writes the manifest."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from caffe.utils.file_set import atomic_file_set
from ncs.compiler import oak_files, ports
from ncs.errors import NcsError
from ncs.runtime.manifest import Head, Manifest, file_of

if TYPE_CHECKING:
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2
    from ncs.myriad.compile_process import CompileProcess
    from ncs.myriad.compiler import Job


@dataclasses.dataclass
class Options:
    """Options of a compilation; with `shaves` and `cmx_slices` None the compiler chooses.

    `shave_counts` compiles several blobs, NAME_4shave.blob …, instead of one; `archive` also writes all blobs of a call
    into one file. `start` and `end` are the first and last layer to compile. `bytes_in` makes the net take raw pixels,
    with mean and scale as part of the graph. `inputs` and `outputs` are the blob's types (FP32, FP16, U8; "" keeps the
    model's). `input_shape` is (N, C, H, W), with None for sizes taken from the net.
    """

    platform: str = "MA2480"
    shaves: int | None = None
    cmx_slices: int | None = None
    blob: bool = True
    ir: bool = True
    ir_v10: bool = False  # also NAME_v10.xml for OpenVINO 2020 to 2021.4
    fp16: bool = True  # weights of the IR
    input_shape: tuple = (1, None, None, None)
    config: dict = dataclasses.field(default_factory=dict)  # settings of the Myriad compiler
    shave_counts: tuple = ()
    archive: str | None = None
    start: str | None = None
    end: str | None = None
    bytes_in: bool = False
    inputs: str = ""
    outputs: str = ""
    zero_weights: bool = False  # without weights: zeros, as mvNCCompile does, instead of the fillers' values
    nn_archive: bool = False  # also NAME.tar.xz for depthai
    superblob: bool = False  # also NAME.superblob with blobs for 1 to 16 SHAVE cores; the archive then has it

    def blobs(self, stem: str) -> list[tuple[int | None, str]]:
        """Return [(shaves, path)] of the blobs for a net with the output stem `stem`."""
        if not self.shave_counts:
            return [(self.shaves, stem + ".blob")]
        return [(count, f"{stem}_{count}shave.blob") for count in self.shave_counts]

    def jobs(self, model: str, stem: str) -> list[Job]:
        """Return the ncs.myriad.compiler.Jobs that compile the model file `model`."""
        from ncs.myriad.compiler import Job

        return [
            Job(model, path, self.platform, shaves, self.cmx_slices, self.config, self.inputs, self.outputs)
            for shaves, path in self.blobs(stem)
        ]


@dataclasses.dataclass
class Model:
    """A net to compile: `prototxt` (train_val or deploy), `weights`, preprocessing and labels.

    `param` is the prototxt's NetParameter, if it is already parsed. Further image inputs receive the same image, with
    the same `transform` at their own size.
    """

    name: str
    prototxt: str
    weights: str | None
    transform: object  # caffe.device.transform.Transform
    labels: list
    label_set: str = ""
    decoder: str = "argmax"
    parents: dict = dataclasses.field(default_factory=dict)  # kind -> path of further source files
    param: object = None
    heads: Sequence[Head] = ()  # of a net with several outputs, instead of labels, label_set and decoder


def compile_models(
    jobs: Sequence[tuple[Model, str]],
    options: Options,
    say: Callable[[str], None] = print,
    started: CompileProcess | None = None,
) -> list[Manifest | None]:
    """Compile nets to <stem>.onnx, .xml, .bin, .blob and .json.

    All blobs are compiled in one child process. The files of a net replace its old ones together, when all are
    written; after an error the old ones are left.

    Parameters
    ----------
    jobs : sequence of (Model, str)
        Nets and the stems of their output files.
    options : Options
    say : callable
        Receives log lines.
    started : CompileProcess, optional
        The compiler's process, if it was started early.

    Returns
    -------
    list of Manifest or None
        None for a net with an input that is not an image, or an output that is not one row (1, K) per image.

    Raises
    ------
    NcsError
        A net cannot be compiled.
    """
    if options.blob:
        check(options)
    obsolete = (".json", ".onnx", *(("_v10.xml", "_v10.bin") if options.ir and options.ir_v10 else ()))
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="caffe2ncs-"))
        staged = [stack.enter_context(atomic_file_set(stem, obsolete)) for _, stem in jobs]
        exports = [_export(model, stem, new, options, say, scratch) for (model, stem), new in zip(jobs, staged)]
        manifests = [manifest for manifest, *_ in exports]

        def list_files() -> None:
            for (model, stem), new, manifest in zip(jobs, staged, manifests):
                _add_files(manifest, model, new, stem, options)

        if options.blob:
            models = [(new, path) for new, (_, path, _) in zip(staged, exports)]
            with _with_usable_part([param for *_, param in exports]):
                _compile_blobs(models, options, say, started, list_files)
            oak_files.write_superblobs([(path, new) for new, path in models], options, say)
        else:
            list_files()
        for (model, _), new, manifest in zip(jobs, staged, manifests):
            _write_manifest(model, new, manifest, options)
    for (_, stem), manifest in zip(jobs, manifests):
        if manifest is not None:
            manifest.folder = os.path.dirname(os.path.abspath(stem))
    return manifests


def _write_manifest(model, stem, manifest, options):
    """Write the NN Archive, and the manifest with the hash of the blob."""
    if manifest is None:
        oak_files.write_nn_archive(options, stem, model.name, None)
        return
    if options.blob:
        manifest.add("blob", options.blobs(stem)[0][1])
    oak_files.write_nn_archive(options, stem, manifest.name, manifest)
    manifest.tools = _versions(options)
    manifest.write(stem + ".json")


def _add_files(manifest, model, stem, final, options):
    """Add the source files, and the output files except blobs with the temporary `stem`, to the manifest of `final`."""
    if manifest is None:
        return
    folder = os.path.dirname(os.path.abspath(final))
    prefix = "unfolded " if options.bytes_in else ""  # the Caffe net does not include mean and scale
    parents = {prefix + "prototxt": model.prototxt, prefix + "caffemodel": model.weights, **model.parents}
    manifest.parents = {kind: file_of(path, folder) for kind, path in parents.items() if path}
    paths = [("onnx", stem + ".onnx")]
    paths += [("xml", stem + ".xml"), ("bin", stem + ".bin")] if options.ir else []
    if options.ir and options.ir_v10:
        paths += [("xml_v10", stem + "_v10.xml"), ("bin_v10", stem + "_v10.bin")]
    for kind, path in paths:
        if os.path.exists(path):
            manifest.add(kind, path)


def check(options: Options) -> None:
    """Raise NcsError for invalid blob options, before any work is done."""
    from ncs.myriad.compiler import chip_settings

    for job in options.jobs("", ""):
        chip_settings(job)


def deploy_net(
    prototxt: str,
    weights: str | None,
    input_shape: tuple | None = None,
    start: str | None = None,
    end: str | None = None,
    param: caffe_pb2.NetParameter | None = None,
    build_only: bool = False,
) -> Net:
    """Build the deploy Net of a train_val or deploy prototxt and load its weights.

    Parameters
    ----------
    prototxt : str
        Path of the prototxt.
    weights : str or None
        Path of the caffemodel or HDF5; must contain every layer that has weights.
    input_shape : tuple, optional
        (N, C, H, W), with None for sizes taken from the prototxt.
    start, end : str, optional
        First and last layer of the subgraph (see caffe.convert.subgraph).
    param : NetParameter, optional
        The prototxt, if it is already parsed.
    build_only : bool
        The net can be exported but not run, and does not need torch.

    Returns
    -------
    caffe.net.net.Net

    Raises
    ------
    NcsError
        A layer has no weights in the file.
    """
    from caffe.convert.deploy import deploy
    from caffe.convert.subgraph import cut
    from caffe.proto.read import read_net
    from caffe.weights import snapshot

    param = cut(deploy(param or read_net(prototxt).param, input_shape), start, end)
    net = _create_net(param, build_only, prototxt)
    if weights is not None:
        arrays = snapshot.read_weights(weights)
        missing = [name for name in net.params if name not in arrays]
        if missing:
            raise NcsError(
                f"{weights} has no weights for layer(s) {', '.join(missing)} of {prototxt}; "
                f"it has {', '.join(arrays) or 'none'}"
            )
        net.copy_weights(arrays, weights)
    return net


def _create_net(param, build_only, prototxt):
    """Create a deploy Net; an error has the lines of `prototxt`, and the -on that excludes what cannot be created."""
    from caffe.convert.subgraph import usable_part
    from caffe.errors import CaffeError
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    try:
        return Net.from_param(param, caffe_pb2.TEST, build_only=build_only)
    except CaffeError:
        where = _locations(param, prototxt)
    try:
        return Net.from_param(param, caffe_pb2.TEST, where=where, build_only=build_only)
    except CaffeError as error:
        error.args = (str(error) + usable_part(param, error.layers),)
        raise


def _locations(param, prototxt):
    """Return file:line of each layer of a deploy net, found by name in its prototxt."""
    from caffe.errors import CaffeError
    from caffe.proto.read import read_net

    try:
        file = read_net(prototxt)
    except CaffeError:  # the net was not read from a file
        return [prototxt] * len(param.layer)
    by_name = {layer.name: location for layer, location in zip(file.param.layer, file.where)}
    return [by_name.get(layer.name, prototxt) for layer in param.layer]


def build_net(model: Model, options: Options, build_only: bool = False) -> Net:
    """Build the Net of `model` with `options`; with `build_only` it can be exported but not run."""
    net = deploy_net(
        model.prototxt, model.weights, options.input_shape, options.start, options.end, model.param, build_only
    )
    if model.weights is None and options.zero_weights:
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = 0
    return net


def _export(model, final, stem, options, say, scratch):
    """Export one net to the temporary `stem`, for the stem `final`.

    Return (Manifest or None, the file that the blob is compiled from, the deploy net).
    """
    net = build_net(model, options, build_only=model.weights is not None or options.zero_weights)
    reason = ports.why_no_manifest(net)
    shape = net.blobs[net.inputs[0]].shape
    heads = [] if reason else ports.heads(model, net)
    if options.bytes_in and len(net.inputs) != 1:
        raise NcsError(
            f"-ip U8: expected a net with one input, received {len(net.inputs)} inputs ({', '.join(net.inputs)})"
        )
    transform, modify_export = _embed_preprocessing(model.transform, shape, options, say)
    _write_onnx(model.name, net, stem, modify_export, say)
    model_path = _write_ir(net, stem, options, modify_export, scratch)
    if options.ir and options.ir_v10:
        _write_ir_v10(final, stem, scratch, say)
    if reason:
        say(f"{model.name}: no manifest is written because the net {reason}; all other files are written")
        return None, model_path, net.param
    inputs = ports.inputs(net, transform)
    first = heads[0]
    manifest = Manifest(
        model.name,
        net.inputs[0],
        tuple(shape),
        first.output,
        transform,
        first.labels,
        first.label_set,
        first.decoder,
        folder=os.path.dirname(os.path.abspath(stem)),
        temperature=first.temperature,
        heads=heads if len(heads) > 1 else [],
        inputs=inputs if len(inputs) > 1 else [],
    )
    return manifest, model_path, net.param


def _write_onnx(name, net, stem, modify_export, say):
    """Write stem.onnx, except if only an IR can express the net's native layers, which is said."""
    from caffe.convert.onnx_export import export_net
    from caffe.errors import CaffeError
    from ncs.compiler import native_ops

    try:
        export_net(net, stem + ".onnx", modify_export)
    except CaffeError as error:
        if not native_ops.native_layers(net):
            raise
        say(f"{name}: no ONNX file is written: {error}")


def _check_rows(net):
    """Raise CompileError for the first layer with a varying number of rows that is no native operation."""
    from caffe.convert.subgraph import usable_part
    from ncs.compiler import native_ops
    from ncs.myriad.compiler import CompileError

    native = native_ops.native_layers(net)
    for layer in (node.layer for node in net.nodes):
        if layer.rows_vary and not any(layer is other for other in native):
            raise CompileError(
                f"layer '{layer.name}' ({layer.type}): the number of its rows depends on values, which this compiler "
                f"does not support; --no-blob writes ONNX and IR{usable_part(net.param, [layer.name])}",
                layer.name,
            )


def _write_ir(net, stem, options, modify_export, scratch):
    """Write stem.xml if requested; return the file that the blob is compiled from.

    That is the ONNX file, or an IR v10 if layers of the net are native operations. If layers have another form for
    the stick's compiler, it is a temporary file.
    """
    from caffe.convert.onnx_export import export_net
    from ncs.compiler import native_ops
    from ncs.compiler.ir import write_ir

    other_form = options.blob and any(node.layer.stick_form for node in net.nodes)
    if not native_ops.native_layers(net):
        if options.ir:
            write_ir(stem + ".onnx", stem + ".xml", options.fp16)
        if not other_form:
            return stem + ".onnx"
        path = os.path.join(tempfile.mkdtemp(dir=scratch), os.path.basename(stem) + ".onnx")
        export_net(net, path, modify_export, stick=True)
        return path
    path = stem + ".xml" if options.ir else os.path.join(tempfile.mkdtemp(dir=scratch), "model.xml")
    if options.ir or options.blob:
        native_ops.write_ir(net, path, options.fp16, modify_export)
    if not options.blob:
        return path
    if other_form:
        path = os.path.join(tempfile.mkdtemp(dir=scratch), "model.xml")
        native_ops.write_ir(net, path, options.fp16, modify_export, stick=True)
    from ncs.myriad.ir_downgrade import downgrade

    try:
        return downgrade(path, tempfile.mkdtemp(dir=scratch))
    except NcsError:
        _check_rows(net)
        raise


def _write_ir_v10(final, stem, scratch, say):
    """Write stem_v10.xml and .bin, unless an operation has no version in IR v10."""
    from ncs.compiler.ir import copy_ir
    from ncs.myriad.ir_downgrade import downgrade

    try:
        path = downgrade(stem + ".xml", tempfile.mkdtemp(dir=scratch))
    except NcsError as error:
        say(f"no IR v10 is written: {str(error).replace(stem, final)}")
        return
    copy_ir(path, stem + "_v10")


def _embed_preprocessing(transform, shape, options, say):
    """Return (the remaining Transform, a function that modifies the Export or None)."""
    if not options.bytes_in:
        return transform, None
    from ncs.compiler import embed_preprocessing

    preprocessing = embed_preprocessing.preprocessing_of(transform, shape)
    say(preprocessing.cost())
    return transform.replace(mean=None, scale=1.0), lambda export: embed_preprocessing.embed(export, preprocessing)


@contextlib.contextmanager
def _with_usable_part(params):
    """Add the -on that excludes the layer to the error of a compiler that does not support it."""
    from caffe.convert.subgraph import usable_part
    from ncs.myriad.compiler import CompileError

    try:
        yield
    except CompileError as error:
        hints = [usable_part(param, [error.layer]) for param in params if error.layer]
        error.args = (str(error) + next(filter(None, hints), ""),)
        raise


def _compile_blobs(models, options, say, started, meanwhile):
    from ncs.myriad import compiler

    if options.platform == "MA2450":
        say("warning: " + compiler.NCS1_WARNING)
    jobs = [job for stem, path in models for job in options.jobs(path, stem)]
    compiler.compile_blobs(jobs, say, started, meanwhile)
    if options.archive:
        write_blobs_archive(options.archive, [job.output for job in jobs])


def write_blobs_archive(archive: str, paths: Sequence[str]) -> None:
    """Write the blobs in `paths` into one archive, each named after its file without .blob."""
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
