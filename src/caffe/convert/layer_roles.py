"""What the layers of a training net are for: data, losses, evaluation; types that are unknown here included."""

from __future__ import annotations

from caffe.layers import base
from caffe.proto import caffe_pb2
from caffe.utils import faults


class _Loss(base.Layer):
    is_loss = True


class _SoftmaxLoss(_Loss):
    deploys_as = "Softmax"


class _Evaluator(base.Layer):
    no_onnx = "it evaluates a net on labelled data"


# DetectNet's grouping of its boxes and their mean average precision, which a deploy net leaves to the application
_PYTHON_EVALUATORS = ("caffe.layers.detectnet.",)


def layer_class(layer: caffe_pb2.LayerParameter) -> type[base.Layer]:
    """Return the layer's class; of an unknown type one that its name suggests, because `-on` may exclude the layer."""
    if layer.type == "Python" and any(layer.loss_weight):
        return _Loss
    if layer.type == "Python" and layer.python_param.module.startswith(_PYTHON_EVALUATORS):
        return _Evaluator
    known = base.find(layer.type)
    if known is not None:
        return known
    if faults.is_loss(layer.type):
        return _SoftmaxLoss if layer.type.startswith("Softmax") else _Loss
    return _Evaluator if layer.type in faults.EVALUATORS else base.Layer


def is_data(layer: caffe_pb2.LayerParameter) -> bool:
    """Return whether the layer reads records: a data layer, or a first layer of an unknown type or in Python."""
    if layer.type == "Input" or layer.bottom or not layer.top:
        return False
    return layer_class(layer).is_data or base.find(layer.type) is None or layer.type == "Python"


def is_evaluator(layer: caffe_pb2.LayerParameter) -> bool:
    """Return whether the layer has no meaning at inference."""
    return bool(layer_class(layer).no_onnx) and not layer_class(layer).at_inference


def is_deploy_file(net: caffe_pb2.NetParameter) -> bool:
    """Return whether the net has Inputs, and neither data layers nor losses."""
    has_input = any(layer.type == "Input" for layer in net.layer)
    return has_input and not any(is_data(layer) or layer_class(layer).is_loss for layer in net.layer)


def is_label(net: caffe_pb2.NetParameter, top: str, first: bool) -> bool:
    """Return whether only losses and evaluating layers read a data layer's top, and not as their first bottom.

    `first` is true for the first top of the data layer, which is no label if no layer reads it.
    """
    consumers = [layer for layer in net.layer if top in layer.bottom]
    if not consumers:
        return not first
    return all(_reads_labels(layer) and top not in layer.bottom[:1] for layer in consumers)


def _reads_labels(layer):
    targets = "Target" in layer.type + layer.python_param.layer
    return layer_class(layer).is_loss or is_evaluator(layer) or targets
