"""NetSpec: define nets in Python (pycaffe's net_spec.py).

`n.conv1 = L.Convolution(n.data, num_output=20, kernel_size=5)` adds a layer to the NetSpec `n`; `L` is `caffe.layers`
and `P` is `caffe.params`. A blob assigned to a NetSpec takes the attribute's name; other blobs are named by type and
number.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from caffe.errors import CaffeError, did_you_mean
from caffe.proto import caffe_pb2


class SpecError(CaffeError, AttributeError):
    """No message has this parameter. Also an AttributeError, which is what pycaffe raised."""


# Types whose parameters are in the message of another type. pycaffe needs `convolution_param=dict(...)` for them;
# that form works here too.
_SHARED_PARAMS = {
    "Deconvolution": "convolution",
    "Im2col": "convolution",
    "LSTM": "recurrent",
    "RNN": "recurrent",
    "SoftmaxWithLoss": "loss",
    "SigmoidCrossEntropyLoss": "loss",
}


def param_name_dict() -> dict[str, str]:
    """Map layer types to parameter fields: {"Convolution": "convolution", "InnerProduct": "inner_product", ...}."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        f.message_type.name.removesuffix("Parameter"): f.name.removesuffix("_param")
        for f in fields
        if f.name.endswith("_param") and f.message_type is not None
    }


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set field `name` of the message `proto` to a Python value: a dict for a message, a list for a repeated field.

    A single value is accepted for a repeated field.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        known = [f.name for f in proto.DESCRIPTOR.fields]
        raise SpecError(f"{proto.DESCRIPTOR.name} has no field '{name}'{did_you_mean(name, known)}")
    target = getattr(proto, name)
    if hasattr(target, "extend"):
        for item in val if isinstance(val, (list, tuple)) else [val]:
            _append(target, field, item)
    elif field.message_type is not None:
        _fill(target, val)
    else:
        setattr(proto, name, val)


def _append(target, field, item):
    if field.message_type is None:
        target.append(item)
    else:
        _fill(target.add(), item)


def _fill(message, val):
    if not isinstance(val, dict):
        message.CopyFrom(val)  # raises TypeError unless the types match
        return
    message.SetInParent()  # pooling_param=dict() sets the field, although it is empty
    for key, value in val.items():
        assign_proto(message, key, value)


class Top:
    """One output of a layer; pass it to other layers as a bottom."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """Return the NetParameter of all layers this top depends on."""
        return to_proto(self)


class Function:
    """A layer: its type, its bottoms (Tops) and its parameters.

    The parameters `ntop` (default 1) and `in_place` (default False) describe the tops; they are not written to the
    layer. A bottom that is not a Top raises a TypeError.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        self.type_name = type_name
        for index, bottom in enumerate(inputs):
            if not isinstance(bottom, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(bottom)})")
        self.inputs = inputs
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_layer(self, bottoms: list[str], tops: list[str], name: str) -> caffe_pb2.LayerParameter:
        """Return the LayerParameter with these blob names and this layer's parameters."""
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms, top=tops, name=name)
        type_param = _type_param(self.type_name)
        for key, value in self.params.items():
            self._assign(layer, type_param, key, value)
        return layer

    def _assign(self, layer, type_param, key, value):
        """Set one parameter: in the type's own message if that has the field, else (and `..._param`) in the layer."""
        if type_param is not None and not key.endswith("param"):
            message = getattr(layer, type_param)
            if key in message.DESCRIPTOR.fields_by_name:
                assign_proto(message, key, value)
                return
        if key not in layer.DESCRIPTOR.fields_by_name:
            known = [f.name for f in layer.DESCRIPTOR.fields]
            if type_param is not None:
                known += [f.name for f in getattr(layer, type_param).DESCRIPTOR.fields]
            raise SpecError(f"{self.type_name} has no parameter '{key}'{did_you_mean(key, known)}")
        assign_proto(layer, key, value)


def _type_param(type_name):
    name = _param_names.get(type_name, _SHARED_PARAMS.get(type_name))
    return None if name is None else name + "_param"


class _NetBuilder:
    """Converts Functions to layers, bottoms first and each once, and generates missing names."""

    def __init__(self, names):
        self.names = names  # Top or Function -> name
        self.layers = OrderedDict()  # Function -> LayerParameter
        self.counts: Counter[str] = Counter()

    def add(self, fn):
        stack = [(fn, iter(fn.inputs))]  # no recursion: nets are deeper than Python's recursion limit
        while stack:
            current, bottoms = stack[-1]
            bottom = None if current in self.layers else next(bottoms, None)
            if bottom is not None:
                stack.append((bottom.fn, iter(bottom.fn.inputs)))
                continue
            stack.pop()
            if current not in self.layers:
                self._append(current)

    def _append(self, fn):
        bottoms = [self.layers[top.fn].top[top.n] for top in fn.inputs]
        tops = bottoms if fn.in_place else [self._name(top, fn) for top in fn.tops]
        name = self._name(fn.tops[0] if fn.ntop else fn, fn)
        self.layers[fn] = fn.to_layer(bottoms, tops, name)

    def _name(self, key, fn):
        if key not in self.names:
            self.counts[fn.type_name] += 1
            self.names[key] = f"{fn.type_name}{self.counts[fn.type_name]}"
        return self.names[key]

    def net(self):
        net = caffe_pb2.NetParameter()
        net.layer.extend(self.layers.values())
        return net


def to_proto(*tops: Top | Function) -> caffe_pb2.NetParameter:
    """Return the NetParameter of all layers that `tops` depend on, named by type and number."""
    builder = _NetBuilder({})
    for top in tops:
        builder.add(_function(top))
    return builder.net()


def _function(value, name=None):
    if isinstance(value, Function):
        return value
    if isinstance(value, Top):
        return value.fn
    argument = "an argument" if name is None else f"'{name}'"
    raise TypeError(f"{argument} is not a Top (type is {type(value)})")


class NetSpec:
    """A dictionary of Tops with attribute access; its keys become the names of blobs and layers."""

    def __init__(self):
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name, value):
        self.tops[name] = value

    def __getattr__(self, name):
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"the NetSpec has no top '{name}'{did_you_mean(name, self.tops)}") from None

    def __setitem__(self, key, value):
        self.tops[key] = value

    def __getitem__(self, item):
        return self.tops[item]

    def __delattr__(self, name):
        del self.tops[name]

    def __delitem__(self, name):
        del self.tops[name]

    def to_proto(self) -> caffe_pb2.NetParameter:
        """Return the NetParameter of all layers that the assigned tops depend on, in order of assignment."""
        builder = _NetBuilder({top: name for name, top in self.tops.items() if isinstance(top, (Top, Function))})
        for name, top in self.tops.items():
            builder.add(_function(top, name))
        return builder.net()


class Layers:
    """`layers.Convolution(bottom, kernel_size=3)` returns a Top; a tuple of Tops if ntop > 1, a Function if ntop=0."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*bottoms, **params):
            fn = Function(name, bottoms, params)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        layer.__name__ = name
        return layer


class _EnumValues:
    def __init__(self, message):
        self._message = message

    def __getattr__(self, name):
        return getattr(self._message, name)


class Parameters:
    """`params.Pooling.MAX` is the value MAX of PoolingParameter."""

    def __getattr__(self, name):
        message = getattr(caffe_pb2, name + "Parameter", None)
        if message is None:
            raise AttributeError(f"there is no {name}Parameter{did_you_mean(name, _param_names)}")
        return _EnumValues(message)


_param_names = param_name_dict()
layers = Layers()
params = Parameters()
