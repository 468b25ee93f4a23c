"""NetSpec: nets written in Python, `n.conv1 = L.Convolution(n.data, num_output=20, kernel_size=5)` (pycaffe's
net_spec.py).

`L` is `caffe.layers` and `P` is `caffe.params`. Whatever is assigned to a NetSpec gets that name; other blobs
are named by their type and a number.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from caffe.errors import CaffeError, did_you_mean
from caffe.proto import caffe_pb2


class SpecError(CaffeError, AttributeError):
    """A parameter that no message has. AttributeError too, which is what pycaffe raised."""


# Types whose parameters stand in a message of another name. pycaffe asks for `convolution_param=dict(...)`
# there, which goes on working.
_BORROWED = {
    "Deconvolution": "convolution", "Im2col": "convolution", "LSTM": "recurrent", "RNN": "recurrent",
    "SoftmaxWithLoss": "loss", "SigmoidCrossEntropyLoss": "loss",
}  # fmt: skip


def param_name_dict():
    """Map layer types to parameter fields: {"Convolution": "convolution", "InnerProduct": "inner_product",
    ...}.
    """
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        f.message_type.name.removesuffix("Parameter"): f.name.removesuffix("_param")
        for f in fields
        if f.name.endswith("_param") and f.message_type is not None
    }


def assign_proto(proto, name, val):
    """Set field `name` of the message `proto` to a Python value: dicts are messages, lists repeated fields.

    A single value given to a repeated field is a list of one.
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
        message.CopyFrom(val)  # a message of the same type, or a TypeError that says so
        return
    message.SetInParent()  # pooling_param=dict() is there, if empty
    for key, value in val.items():
        assign_proto(message, key, value)


class Top:
    """One output of a layer, to be given to other layers as a bottom."""

    def __init__(self, fn, n):
        self.fn = fn
        self.n = n

    def to_proto(self):
        """NetParameter of all the layers this top needs."""
        return to_proto(self)


class Function:
    """A layer: its type, its bottoms (Tops) and its parameters; `ntop` (1) and `in_place` (False) are taken
    out of them.

    A bottom that is no Top is a TypeError.
    """

    def __init__(self, type_name, inputs, params):
        self.type_name = type_name
        for index, bottom in enumerate(inputs):
            if not isinstance(bottom, Top):
                raise TypeError("%s input %d is not a Top (type is %s)" % (type_name, index, type(bottom)))
        self.inputs = inputs
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_layer(self, bottoms, tops, name):
        """LayerParameter with these blob names and this layer's parameters."""
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms, top=tops, name=name)
        own = _own_param(self.type_name)
        for key, value in self.params.items():
            self._assign(layer, own, key, value)
        return layer

    def _assign(self, layer, own, key, value):
        """`..._param` belongs to the layer; anything else to the type's own parameters if they know it, else
        the layer.
        """
        if own is not None and not key.endswith("param"):
            message = getattr(layer, own)
            if key in message.DESCRIPTOR.fields_by_name:
                assign_proto(message, key, value)
                return
        if key not in layer.DESCRIPTOR.fields_by_name:
            known = [f.name for f in layer.DESCRIPTOR.fields]
            if own is not None:
                known += [f.name for f in getattr(layer, own).DESCRIPTOR.fields]
            raise SpecError(f"{self.type_name} has no parameter '{key}'{did_you_mean(key, known)}")
        assign_proto(layer, key, value)


def _own_param(type_name):
    name = _param_names.get(type_name, _BORROWED.get(type_name))
    return None if name is None else name + "_param"


class _Writer:
    """Turns Functions into layers, bottoms first, each once, and names what has no name."""

    def __init__(self, names):
        self.names = names  # Top or Function -> name
        self.layers = OrderedDict()  # Function -> LayerParameter
        self.counts = Counter()

    def add(self, fn):
        waiting = [(fn, iter(fn.inputs))]  # a stack: nets are deeper than Python's recursion
        while waiting:
            current, bottoms = waiting[-1]
            bottom = None if current in self.layers else next(bottoms, None)
            if bottom is not None:
                waiting.append((bottom.fn, iter(bottom.fn.inputs)))
                continue
            waiting.pop()
            if current not in self.layers:
                self._write(current)

    def _write(self, fn):
        bottoms = [self.layers[top.fn].top[top.n] for top in fn.inputs]
        tops = bottoms if fn.in_place else [self._name(top, fn) for top in fn.tops]
        name = self._name(fn.tops[0] if fn.ntop else fn, fn)
        self.layers[fn] = fn.to_layer(bottoms, tops, name)

    def _name(self, key, fn):
        if key not in self.names:
            self.counts[fn.type_name] += 1
            self.names[key] = "%s%d" % (fn.type_name, self.counts[fn.type_name])
        return self.names[key]

    def net(self):
        net = caffe_pb2.NetParameter()
        net.layer.extend(self.layers.values())
        return net


def to_proto(*tops):
    """NetParameter of all the layers that `tops` need, named by type and number."""
    writer = _Writer({})
    for top in tops:
        writer.add(_function(top))
    return writer.net()


def _function(value, name=None):
    if isinstance(value, Function):
        return value
    if isinstance(value, Top):
        return value.fn
    raise TypeError("{} is not a Top (type is {})".format("an argument" if name is None else f"'{name}'", type(value)))


class NetSpec:
    """A dictionary of Tops with attribute access; the names given here become the blobs' and layers'
    names.
    """

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

    def to_proto(self):
        """NetParameter of all the layers that the assigned tops need, in the order of assignment."""
        writer = _Writer({top: name for name, top in self.tops.items() if isinstance(top, (Top, Function))})
        for name, top in self.tops.items():
            writer.add(_function(top, name))
        return writer.net()


class Layers:
    """`layers.Convolution(bottom, kernel_size=3)` makes a Top (a tuple of them with ntop, a Function with
    ntop=0).
    """

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*bottoms, **params):
            fn = Function(name, bottoms, params)
            return fn if fn.ntop == 0 else fn.tops[0] if fn.ntop == 1 else fn.tops

        layer.__name__ = name
        return layer


class _Values:
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
        return _Values(message)


_param_names = param_name_dict()
layers = Layers()
params = Parameters()
