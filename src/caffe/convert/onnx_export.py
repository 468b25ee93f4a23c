"""A net as ONNX, which the Myriad compiler and today's OpenVINO both read: every layer writes itself."""

from __future__ import annotations

import dataclasses
import io
import itertools

import numpy as np

from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError

OPSET, IR_VERSION = 11, 6  # the newest pair that OpenVINO 2021.4's reader was seen to take
LIMIT = 2**31 - 1  # bytes in one protobuf message


class Graph:
    """What a layer's `to_onnx(g, bottoms, tops)` writes into.

    The layer emits nodes that read the tensors named `bottoms` and write those named `tops`; whatever it
    needs between them it names with `temp`, its numbers with `constant`. Tensors carry the names of the
    net's blobs; one that is written several times (in place) is `blob@layer` until it is final.
    """

    opset = OPSET

    def __init__(self):
        self.nodes = []  # NodeProto; doc_string is the layer's name
        self.constants = []  # (name, array), in order
        self.layer = None  # name of the layer that writes now
        self.dynamic = False  # set by a layer whose number of rows follows from values: later ones take any number
        self._shapes = {}
        self._names, self._node_names = set(), set()
        self._arrays = {}

    def node(self, op_type, inputs, outputs, **attributes):
        """Append an operation; attributes that are None are left out."""
        from onnx import helper

        given = {key: value for key, value in attributes.items() if value is not None}
        name = _fresh(self._node_names, self.layer or op_type, ":" + op_type)
        self.nodes.append(
            helper.make_node(op_type, list(inputs), list(outputs), name=name, doc_string=self.layer, **given)
        )

    def constant(self, array, hint="constant"):
        """Name of a tensor that holds `array` (int64 for a list of ints); the same memory twice is one."""
        array = np.asarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.__array_interface__["data"][0], array.shape, array.dtype.str)
        if key not in self._arrays or not array.size:
            name = self.temp(hint)
            self.constants.append((name, array))  # holding the array keeps its address from being used again
            self._arrays[key] = name
            self._shapes[name] = array.shape
        return self._arrays[key]

    def temp(self, hint="temp"):
        """A fresh name for a tensor between two nodes of the layer."""
        return _fresh(self._names, f"{self.layer}@{hint}")

    def shape(self, name):
        """Shape of a bottom, a top or a constant, as a tuple of ints."""
        return self._shapes[name]

    def declare(self, name, shape):
        """Make a tensor's shape known."""
        self._shapes[name] = tuple(int(size) for size in shape)
        self._names.add(name)


def _fresh(taken, name, suffix=""):
    """`name`, or with `suffix`, or with a number after it: the first not in `taken`, which grows by it."""
    numbered = ("%s%s%d" % (name, suffix, number) for number in itertools.count(2))
    choices = itertools.chain([name, name + suffix], numbered)
    chosen = next(choice for choice in choices if choice not in taken)
    taken.add(chosen)
    return chosen


@dataclasses.dataclass
class Export:
    """A finished graph: nodes, (name, array) constants, and (name, shape) of inputs and outputs."""

    name: str
    nodes: list
    constants: list
    inputs: list
    outputs: list
    types: dict = dataclasses.field(default_factory=dict)  # ONNX element type of an input, FLOAT where not named
    natives: list = dataclasses.field(default_factory=list)  # Natives that were left out


@dataclasses.dataclass
class Native:
    """A layer that was left out of an Export: the tensors it reads and writes, and their shapes by name."""

    layer: object
    bottoms: list
    tops: list
    shapes: dict


def export_net(net, path, change=None):
    """Write `net` (a caffe.Net in phase TEST) to `path`, whole or not at all: same net, same bytes.

    `change` takes and gives an Export before it is written. Every layer that has no ONNX form is named at once.
    Raises NcsError.
    """
    export = build(net) if change is None else change(build(net))
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        write(export, stream)


def model_bytes(net):
    """The same as bytes, for tests and for runtimes that take a model in memory."""
    stream = io.BytesIO()
    write(build(net), stream)
    return stream.getvalue()


def layer_names(path, by):
    """Name of an ONNX "node", or of the "tensor" it makes -> its Caffe layer, of a file which `export_net` wrote."""
    import onnx

    nodes = onnx.load(path, load_external_data=False).graph.node
    return {
        name: node.doc_string
        for node in nodes
        if node.doc_string
        for name in ([node.name] if by == "node" else node.output)
    }


def build(net, native=()):
    """Ask every layer of `net` for its nodes; returns an Export. Layers of the types `native` are left out, and named there."""
    g = Graph()
    blobs = net.blobs
    inputs = list(net.inputs)
    layers = [node.layer for node in net._nodes if node.layer.type != "Input"]
    names, final = _versions(layers, inputs)
    for name in blobs:
        g.declare(name, blobs[name].shape)
    for name, shape in _version_shapes(names, layers, blobs):
        g.declare(name, shape)
    faults, natives = [], []
    for layer, (bottoms, tops) in zip(layers, names):
        g.layer = layer.name
        if layer.type in native:
            natives.append(Native(layer, bottoms, tops, {name: g.shape(name) for name in (*bottoms, *tops)}))
            continue
        try:
            layer.to_onnx(g, bottoms, tops)
        except CaffeError as error:
            faults.append(f"layer '{layer.name}' ({layer.type}): {error}")
    if faults:
        raise NcsError("{} cannot be exported:\n  {}".format(net.name or "the net", "\n  ".join(faults)))
    outputs = [final.get(name, name) for name in net.outputs]
    names = [name for name, _ in g.constants]
    apart = [name for each in natives for name in (*each.bottoms, *each.tops)]
    nodes = _without_identities(g.nodes, set(blobs), names, [*inputs, *apart], [*outputs, *apart])
    used = {name for node in nodes for name in node.input}
    constants = [pair for pair in g.constants if pair[0] in used]
    return Export(net.name or "net", nodes, constants, _shaped(g, inputs), _shaped(g, outputs), natives=natives)


def _shaped(g, names):
    return [(name, g.shape(name)) for name in names]


def _versions(layers, inputs):
    """Tensor names of each layer's bottoms and tops, and what each blob is called in the end.

    The last writer's is the blob's name, others `blob@layer`; a blob that is an input keeps its name for that.
    """
    last = {top: number for number, layer in enumerate(layers) for top in layer.param.top}
    last.update(dict.fromkeys(inputs))
    current, names = {}, []
    for number, layer in enumerate(layers):
        bottoms = [current.get(name, name) for name in layer.param.bottom]
        for top in layer.param.top:
            current[top] = top if last[top] == number else f"{top}@{layer.name}"
        names.append((bottoms, [current[top] for top in layer.param.top]))
    return names, current


def _version_shapes(names, layers, blobs):
    for layer, (_, tops) in zip(layers, names):
        for top, version in zip(layer.param.top, tops):
            yield version, blobs[top].shape


def _without_identities(nodes, blobs, constants, inputs, outputs):
    """Take out Identity nodes by giving both their tensors one name, unless both names are needed outside.

    A graph's input or output keeps its name, then a blob, then what comes first.
    """
    root, label, kept = {}, {}, []
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


def write(export, stream):
    """Write an Export as a ModelProto, one constant at a time: no second copy of the weights is held."""
    from onnx import helper

    def build_only(pairs):
        return [helper.make_tensor_value_info(name, export.types.get(name, 1), list(shape)) for name, shape in pairs]

    graph = helper.make_graph(export.nodes, export.name, build_only(export.inputs), build_only(export.outputs))
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
        raise NcsError(f"{export.name} has {size / 2**30:.1f} GB of weights; ONNX takes less than 2 GB in one file")
    stream.write(model.SerializeToString(deterministic=True) + _key(7, 2) + _varint(size) + nodes)
    for field, length, (_, array) in zip(fields, lengths, export.constants):
        stream.write(_key(5, 2) + _varint(length) + field)
        stream.write(memoryview(array).cast("B") if array.size and array.ndim else array.tobytes())


def _tensor_head(name, array):
    """A TensorProto without its raw_data, which follows as field 9."""
    from onnx import TensorProto, helper

    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return TensorProto(name=name, data_type=kind, dims=array.shape).SerializeToString(deterministic=True)


def _key(number, wire_type):
    return _varint(number << 3 | wire_type)


def _varint(value):
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes(low) + bytes([value])
