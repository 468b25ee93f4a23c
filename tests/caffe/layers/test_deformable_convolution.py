"""DeformableConvolution compared with loops over the points, and with Convolution."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

from caffe.core.lazy_torch import F, torch


def value(plane, y, x):
    """Interpolate a plane; outside 0 <= y < rows, 0 <= x < columns it is 0."""
    rows, columns = plane.shape
    if not (0 <= y < rows and 0 <= x < columns):
        return 0.0
    top, left = int(y), int(x)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    fy, fx = y - top, x - left
    upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
    lower = plane[bottom, left] * (1 - fx) + plane[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def deformed(x, offset, weight, bias, stride, pad, dilation, group, deformable):
    outputs, inputs, kh, kw = weight.shape
    y = np.zeros((len(x), outputs, *offset.shape[2:]))
    for n, o, i, j in np.ndindex(y.shape):
        for c, a, b in np.ndindex(inputs, kh, kw):
            channel = o // (outputs // group) * inputs + c
            part = channel // (x.shape[1] // deformable)
            down, right = offset[n, 2 * (part * kh * kw + a * kw + b) :, i, j][:2]
            row, column = i * stride - pad + a * dilation + down, j * stride - pad + b * dilation + right
            y[n, o, i, j] += weight[o, c, a, b] * value(x[n, channel], row, column)
    return [y + (0 if bias is None else bias[:, None, None])]


@pytest.mark.parametrize("case", [(1, 1, 1, 1, 2), (2, 0, 1, 2, 1), (1, 2, 2, 1, 1)])
def test_matches_loops_over_the_points(case):
    stride, pad, dilation, group, deformable = case
    rng = np.random.default_rng(9)
    x, weight, bias = rng.standard_normal((2, 2, 4, 5)), rng.standard_normal((2, 2 // group, 2, 2)), np.array([1, -2.0])
    sizes = [(n + 2 * pad - dilation - 1) // stride + 1 for n in (4, 5)]
    offset = 0.9 * rng.standard_normal((2, 8 * deformable, *sizes))
    text = f"num_output: 2 kernel_size: 2 stride: {stride} pad: {pad} dilation: {dilation} group: {group}"
    check_layer(
        "DeformableConvolution",
        f"deformable_convolution_param {{ {text} deformable_group: {deformable} }}",
        [x, offset],
        lambda x, o, w, b: deformed(x, o, w, b, *case),
        [weight, bias],
    )


def test_without_offsets_it_is_a_convolution():
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((1, 4, 6, 7)), rng.standard_normal((3, 4, 3, 3))
    text = "num_output: 3 kernel_h: 3 kernel_w: 3 pad: 1 bias_term: false engine: 1"
    net = one_layer_net(
        "DeformableConvolution", f"deformable_convolution_param {{ {text} }}", [(1, 4, 6, 7), (1, 72, 6, 7)]
    )
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=1).numpy()
    assert_close(run(net, [x, np.zeros((1, 72, 6, 7))], [weight]).tops[0], expected, "top")


def test_errors():
    text = "deformable_convolution_param { num_output: 4 kernel_size: 3 %s }"
    shapes = [(1, 4, 5, 5), (1, 72, 3, 4)]
    assert "must be (1, 72, 3, 3)" in build_error("DeformableConvolution", text % "", shapes)
    assert "divide the 4 channels" in build_error("DeformableConvolution", text % "deformable_group: 3", shapes)
