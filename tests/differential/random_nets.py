"""Random layers and nets of degenerate and common sizes; equal numbers give equal nets."""

from __future__ import annotations

import random

from caffe.errors import CaffeError
from caffe.layers import base
from caffe.proto import caffe_pb2

LAYERS = 16  # per net of single layers
CONVOLUTION, POOLING = caffe_pb2.ConvolutionParameter, caffe_pb2.PoolingParameter


def single_layers(number):
    """Return a NetParameter of LAYERS inputs, each followed by a Convolution, Deconvolution, Pooling or LRN layer."""
    rng, param = random.Random(number), caffe_pb2.NetParameter(force_backward=True)
    while len(param.layer) < 2 * LAYERS:
        i, shape = len(param.layer) // 2, _shape(rng)
        kind = rng.choice(["Convolution"] * 4 + ["Deconvolution"] * 2 + ["Pooling"] * 2 + ["LRN"])
        layer = _layer(rng, kind, f"y{i}", f"x{i}", shape)
        if _top_shape(layer, shape):
            _add_input(param, f"x{i}", shape)
            param.layer.append(layer)
    return param


def chain(number):
    """Return a NetParameter of 3 to 9 layers for the passes: in place, fused, branched, of all sizes."""
    rng, param = random.Random(number), caffe_pb2.NetParameter(force_backward=True)
    shape = _shape(rng)
    _add_input(param, "x", shape)
    top, shapes = "x", {"x": shape}
    for i in range(rng.randint(3, 9)):
        kind = rng.choice(STEPS)
        if kind == "ReLU" and param.layer[-1].type not in ("Input", "BatchNorm", "Scale"):
            param.layer.add(name=f"relu{i}", type="ReLU", bottom=[top], top=[top])
        elif kind == "BatchNorm":
            shapes[f"y{i}"], top = shapes[top], _batch_norm(rng, param, i, top)
        elif kind == "Eltwise":
            other = rng.choice([name for name, shape in shapes.items() if shape == shapes[top]])
            param.layer.add(name=f"y{i}", type="Eltwise", bottom=[top, other], top=[f"y{i}"])
            shapes[f"y{i}"], top = shapes[top], f"y{i}"
        elif kind in ADD:
            layer = _layer(rng, kind, f"y{i}", top, shapes[top])
            shape = _top_shape(layer, shapes[top])
            if shape:
                param.layer.append(layer)
                shapes[f"y{i}"], top = shape, f"y{i}"
    return param


def _shape(rng):
    return rng.randint(1, 3), rng.randint(1, 9), rng.randint(1, 9), rng.randint(1, 9)


def _layer(rng, kind, name, bottom, shape):
    layer = caffe_pb2.LayerParameter(name=name, type=kind, bottom=[bottom], top=[name])
    if len(shape) == 4:
        ADD[kind](rng, layer, shape)
    return layer


def _top_shape(layer, shape):
    """Return the shape of the top, or None if Caffe rejects the setting or the top is large."""
    try:
        build_only = base.create(layer, base.TRAIN, None)
        build_only.setup(shape)
        top = build_only.top_shapes(shape)[0]
    except CaffeError:
        return None
    return top if max(top[2:], default=1) <= 40 else None


def _add_input(param, name, shape):
    layer = param.layer.add(name=name, type="Input", top=[name])
    layer.input_param.shape.add(dim=shape)


def _batch_norm(rng, param, i, bottom):
    top, before = f"y{i}", param.layer[-1]
    if before.type in ("Convolution", "Deconvolution"):
        before.convolution_param.bias_term = False  # its gradient is 0 except for rounding
    if before.type == "InnerProduct":
        before.inner_product_param.bias_term = False
    norm = param.layer.add(name=f"norm{i}", type="BatchNorm", bottom=[bottom], top=[top])
    norm.batch_norm_param.eps = 0.1  # the usual eps amplifies the rounding error of a constant plane by 316
    if rng.random() < 0.3:
        norm.batch_norm_param.use_global_stats = True
    scaled, rectified = rng.random() < 0.8, rng.random() < 0.5
    if scaled or rectified:
        scale = param.layer.add(name=f"scale{i}", type="Scale", bottom=[top], top=[top])
        scale.scale_param.bias_term = (
            rectified or rng.random() < 0.7
        )  # otherwise a constant plane gives 0 of either sign
    if rectified:
        param.layer.add(name=f"relu{i}", type="ReLU", bottom=[top], top=[top])
    return top


def _filters(rng, layer, shape):
    p, channels = layer.convolution_param, shape[1]
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    p.group = rng.choice([1, 1, rng.choice(divisors)])
    p.num_output = p.group * rng.randint(1, max(1, 9 // p.group))
    p.bias_term = rng.random() < 0.8
    p.kernel_h, p.kernel_w = rng.choice([1, 1, 2, 3, 4, 5, 9]), rng.choice([1, 1, 2, 3, 4, 5, 9])
    p.stride_h, p.stride_w = rng.randint(1, 4), rng.randint(1, 4)
    p.pad_h, p.pad_w = rng.choice([0, 0, 1, 2, 3, 4]), rng.choice([0, 0, 1, 2, 3, 4])
    p.dilation.extend([rng.choice([1, 1, 2, 3]), rng.choice([1, 1, 2, 3])])


def _pooling(rng, layer, shape):
    p = layer.pooling_param
    p.pool = rng.choice([POOLING.MAX, POOLING.MAX, POOLING.AVE])
    if rng.random() < 0.2:
        p.global_pooling = True
        return
    p.kernel_h, p.kernel_w = rng.randint(1, 5), rng.randint(1, 5)
    p.stride_h, p.stride_w = rng.randint(1, 4), rng.randint(1, 4)
    p.pad_h, p.pad_w = rng.randint(0, p.kernel_h - 1), rng.randint(0, p.kernel_w - 1)
    p.round_mode = rng.choice([POOLING.FLOOR, POOLING.CEIL])
    if p.pool == POOLING.MAX and rng.random() < 0.3:
        layer.top.append(layer.top[0] + "_mask")


def _lrn(rng, layer, shape):
    p = layer.lrn_param
    p.local_size, p.alpha, p.beta = rng.choice([1, 3, 5]), 0.5, rng.choice([0.5, 0.75, 1])
    p.norm_region = rng.randint(0, 1)


def _inner_product(rng, layer, shape):
    layer.inner_product_param.num_output = rng.randint(1, 9)


ADD = {
    "Convolution": _filters,
    "Deconvolution": _filters,
    "Pooling": _pooling,
    "LRN": _lrn,
    "InnerProduct": _inner_product,
}
STEPS = ["Convolution"] * 5 + ["ReLU"] * 4 + ["Pooling"] * 4 + ["BatchNorm"] * 3
STEPS += ["LRN", "LRN", "Eltwise", "Eltwise", "Deconvolution", "InnerProduct"]
