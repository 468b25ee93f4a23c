"""Export a net to ONNX, which the Myriad compiler and current OpenVINO read; every layer writes its own nodes."""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from caffe.convert.workarounds import around_faults
from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from caffe.convert.leading_layers import LeadingLayers
    from caffe.net.net import Net

OPSET, IR_VERSION = 11, 6  # the newest versions that OpenVINO 2021.4 reads
LIMIT = 2**31 - 1  # maximum size of a protobuf message in bytes


class Graph:
    """The graph a layer's `to_onnx(g, bottoms, tops)` writes to.

    The layer adds nodes that read the tensors `bottoms` and write the tensors `tops`. It names intermediate tensors
    with `temp` and constants with `constant`. Tensors have the names of the net's blobs; a blob that is written several
    times (in place) is called `blob@layer` except for its final value.
    """

    opset = OPSET

    def __init__(self, stick: bool = False) -> None:
        self.stick = stick  # for the stick's compiler, which does not have all operators
        self.notes: dict[str, Any] = {}  # what later layers need to know of a tensor
        self.nodes: list[Any] = []  # NodeProto; doc_string is the layer's name
        self.constants: list[tuple[str, Any]] = []  # (name, array), in order
        self.layer = None  # name of the current layer
        self.dynamic = False  # set by a layer whose number of rows depends on values: later layers take any number
        self.rows_vary = False  # a layer before has a number of rows that depends on values, in `dynamic` or else
        self._shapes: dict[str, Any] = {}
        self._names: set[str] = set()
        self._node_names: set[str] = set()
        self._arrays: dict[Any, Any] = {}

    def node(self, op_type: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: Any) -> None:
        """Append a node; attributes that are None are omitted."""
        from onnx import helper

        attributes = {key: value for key, value in attributes.items() if value is not None}
        name = _fresh(self._node_names, self.layer or op_type, ":" + op_type)
        self.nodes.append(
            helper.make_node(op_type, list(inputs), list(outputs), name=name, doc_string=self.layer, **attributes)
        )

    def constant(self, array: Any, hint: str = "constant") -> str:
        """Return the name of a constant tensor (int64 for a list of ints); arrays that share memory share a tensor."""
        array = np.asarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.__array_interface__["data"][0], array.shape, array.dtype.str)
        if key not in self._arrays or not array.size:
            name = self.temp(hint)
            self.constants.append((name, array))  # keeps the array alive, so its address is not reused
            self._arrays[key] = name
            self._shapes[name] = array.shape
        return self._arrays[key]

    def temp(self, hint: str = "temp") -> str:
        """Return a new name for an intermediate tensor of the layer."""
        return _fresh(self._names, f"{self.layer}@{hint}")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a bottom, a top or a constant."""
        return self._shapes[name]

    def declare(self, name: str, shape: Iterable[int]) -> None:
        """Declare a tensor's shape."""
        self._shapes[name] = tuple(int(size) for size in shape)
        self._names.add(name)


def _fresh(used, name, suffix=""):
    """Return the first of `name`, name + suffix, name + suffix + number that is not in `used`, and add it to `used`."""
    numbered = (f"{name}{suffix}{number}" for number in itertools.count(2))
    candidates = itertools.chain([name, name + suffix], numbered)
    unused = next(candidate for candidate in candidates if candidate not in used)
    used.add(unused)
    return unused


@dataclasses.dataclass
class Export:
    """A complete graph: nodes, (name, array) constants, and (name, shape) of inputs and outputs."""

    name: str
    nodes: list
    constants: list
    inputs: list
    outputs: list
    types: dict = dataclasses.field(default_factory=dict)  # ONNX element types of inputs; default FLOAT
    native_layers: list = dataclasses.field(default_factory=list)  # NativeLayers that are not in the graph


@dataclasses.dataclass
class NativeLayer:
    """A layer that is not in an Export: the names of its tensors, and their shapes by name."""

    layer: Any
    bottoms: list
    tops: list
    shapes: dict


def export_net(
    net: Net, path: str | os.PathLike, change: Callable[[Export], Export] | None = None, stick: bool = False
) -> None:
    """Write a net to an ONNX file atomically; the output is deterministic.

    Parameters
    ----------
    net : caffe.Net
        Net in phase TEST.
    path : str or path
    change : callable, optional
        Modifies the Export before it is written.
    stick : bool
        Use only operators of the stick's compiler where layers have such a form.

    Raises
    ------
    CaffeError
        If layers have no ONNX form (all are listed), or the model is larger than 2 GB.
    """
    export = build(net, stick=stick)
    export = export if change is None else change(export)
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        write(export, stream)


def model_bytes(net: Net | LeadingLayers) -> bytes:
    """Return the ONNX model as bytes, for runtimes that read models from memory."""
    stream = io.BytesIO()
    write(build(net), stream)
    return stream.getvalue()


def layer_names(path: str, by: str) -> dict[str, str]:
    """Map the names of ONNX nodes (`by` = "node") or their outputs ("tensor") to Caffe layers, for an exported file."""
    import onnx

    nodes = onnx.load(path, load_external_data=False).graph.node
    return {
        name: node.doc_string
        for node in nodes
        if node.doc_string
        for name in ([node.name] if by == "node" else node.output)
    }


def build(net: Net | LeadingLayers, native_types: Sequence[str] = (), stick: bool = False) -> Export:
    """Collect the nodes of every layer of `net`; layers of `native_types` are only listed in `native_layers`.

    With `stick`, layers whose operator the stick's compiler does not have emit other nodes.
    """
    try:
        return _build(net, native_types, stick)
    finally:
        for node in net.nodes if _rows_vary(net) else ():  # top_shapes also sets what a layer knows of its bottoms
            node.layer.top_shapes(*[blob.shape for blob in node.bottom_blobs])


def _build(net, native_types, stick):
    g = Graph(stick)
    blobs = net.blobs
    inputs = list(net.inputs)
    layers = [node.layer for node in net.nodes if node.layer.type != "Input"]
    names, final = _versions(layers, inputs)
    shapes = _shapes(net)
    for name in blobs:
        g.declare(name, shapes[name])
    for name, shape in _version_shapes(names, layers, shapes):
        g.declare(name, shape)
    errors, native_layers, before = [], [], False
    for layer, (bottoms, tops) in zip(layers, names):
        g.layer = layer.name
        g.rows_vary = g.rows_vary or before
        before = layer.rows_vary
        if layer.type in native_types:
            native_layers.append(NativeLayer(layer, bottoms, tops, {name: g.shape(name) for name in (*bottoms, *tops)}))
            continue
        try:
            layer.to_onnx(g, bottoms, tops)
        except CaffeError as error:
            errors.append(f"layer '{layer.name}' ({layer.type}): {error}")
    if errors:
        raise CaffeError("{} cannot be exported:\n  {}".format(net.name or "the net", "\n  ".join(errors)))
    outputs = [final.get(name, name) for name in net.outputs]
    names = [name for name, _ in g.constants]
    boundary = [name for native in native_layers for name in (*native.bottoms, *native.tops)]
    nodes = _without_identities(g.nodes, set(blobs), names, [*inputs, *boundary], [*outputs, *boundary])
    around_faults(nodes, g.constants)
    used = {name for node in nodes for name in node.input}
    constants = [pair for pair in g.constants if pair[0] in used]
    shaped_inputs, shaped_outputs = _with_shapes(g, inputs), _with_shapes(g, outputs)
    return Export(net.name or "net", nodes, constants, shaped_inputs, shaped_outputs, native_layers=native_layers)


def _with_shapes(g, names):
    return [(name, g.shape(name)) for name in names]


def _versions(layers, inputs):
    """Return the tensor names of each layer's bottoms and tops, and the final tensor name of each blob.

    The last write of a blob has the blob's name, earlier ones are called `blob@layer`. The name of an input blob stays
    with the input.
    """
    last = {top: number for number, layer in enumerate(layers) for top in layer.param.top}
    last.update(dict.fromkeys(inputs))
    current: dict[str, str] = {}
    names = []
    for number, layer in enumerate(layers):
        bottoms = [current.get(name, name) for name in layer.param.bottom]
        for top in layer.param.top:
            current[top] = top if last[top] == number else f"{top}@{layer.name}"
        names.append((bottoms, [current[top] for top in layer.param.top]))
    return names, current


def _shapes(net):
    """Return the shape of each blob; where rows depend on values, as before a forward pass, with all rows."""
    shapes = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    if _rows_vary(net):
        for node in net.nodes:
            tops = node.layer.top_shapes(*[shapes[name] for name in node.bottoms])
            shapes.update((name, tuple(shape)) for name, shape in zip(node.tops, tops))
    return shapes


def _rows_vary(net):
    return any(node.layer.rows_vary for node in net.nodes)


def _version_shapes(names, layers, shapes):
    for layer, (_, tops) in zip(layers, names):
        for top, version in zip(layer.param.top, tops):
            yield version, shapes[top]


def _without_identities(nodes, blobs, constants, inputs, outputs):
    """Remove Identity nodes by merging the names of their tensors, unless both names are needed outside the graph.

    Inputs and outputs of the graph keep their names first, then blobs, then the earlier tensor.
    """
    root: dict[str, str] = {}
    label: dict[str, str] = {}
    kept = []
    fixed = {*inputs, *outputs, *constants}
    for node in nodes:
        source, target = node.input[0] if node.input else "", node.output[0]
        source = root.get(source, source)
        name = label.get(source, source)
        if node.op_type != "Identity" or (name in fixed and target in outputs):
            kept.append(node)
            continue
        root[target] = source
        if target in outputs or (name not in fixed and name not in blobs and target in blobs):
            label[source] = target
    for node in kept:
        for names in (node.input, node.output):
            names[:] = [label.get(root.get(name, name), root.get(name, name)) for name in names]
    return kept


def write(export: Export, stream: BinaryIO) -> None:
    """Write an Export as a ModelProto, constant by constant, without copying the weights."""
    from onnx import helper

    def value_infos(pairs: Sequence) -> list:
        return [helper.make_tensor_value_info(name, export.types.get(name, 1), list(shape)) for name, shape in pairs]

    graph = helper.make_graph(export.nodes, export.name, value_infos(export.inputs), value_infos(export.outputs))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="caffe2ncs"
    )
    model.ClearField("graph")
    nodes = graph.SerializeToString(deterministic=True)
    heads = [_tensor_head(name, array) for name, array in export.constants]
    fields = [head + _key(9, 2) + _varint(array.nbytes) for head, (_, array) in zip(heads, export.constants)]
    lengths = [len(field) + array.nbytes for field, (_, array) in zip(fields, export.constants)]
    size = len(nodes) + sum(len(_key(5, 2) + _varint(length)) + length for length in lengths)
    if size > LIMIT - 1024:
        raise CaffeError(f"{export.name} has {size / 2**30:.1f} GB of weights; an ONNX file must be smaller than 2 GB")
    stream.write(model.SerializeToString(deterministic=True) + _key(7, 2) + _varint(size) + nodes)
    for field, length, (_, array) in zip(fields, lengths, export.constants):
        stream.write(_key(5, 2) + _varint(length) + field)
        stream.write(memoryview(array).cast("B") if array.size and array.ndim else array.tobytes())


def _tensor_head(name, array):
    """Serialize a TensorProto without its raw_data, which follows as field 9."""
    from onnx import TensorProto, helper

    data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    return TensorProto(name=name, data_type=data_type, dims=array.shape).SerializeToString(deterministic=True)


def _key(number, wire_type):
    return _varint(number << 3 | wire_type)


def _varint(value):
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes(low) + bytes([value])
