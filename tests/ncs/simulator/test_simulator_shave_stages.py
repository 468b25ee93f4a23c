"""Compare SHAVE stages with loops written from their definitions, with padded rows and both orders of axes."""

import itertools
import math

import numpy as np
import pytest
from stage_machine import assert_close, fp16_normal, packed, run_stage

RANDOM = np.random.RandomState(5)


def nhwc(array):
    """Return (array in NHWC, "NHWC")."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)), "NHWC"


def nchw(array):
    """Return an NHWC array as NCHW."""
    return array.transpose(0, 3, 1, 2)


def conv_loop(x, w, stride, pad, dilation, size):
    """Convolve x (C, H, W) with w (O, C, kh, kw) by definition."""
    out = np.zeros((len(w), *size))
    for o, y, z in itertools.product(range(len(w)), *map(range, size)):
        for c, i, j in itertools.product(*map(range, w.shape[1:])):
            row = y * stride[0] - pad[0] + i * dilation[0]
            column = z * stride[1] - pad[1] + j * dilation[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                out[o, y, z] += float(x[c, row, column]) * float(w[o, c, i, j])
    return out


PACKINGS = {
    "1x1": ((4, 3, 1, 1), "NHWC", "Conv", lambda w: w.reshape(4, 3)),
    "few channels": ((4, 3, 3, 3), "NHWC", "Conv", lambda w: w.reshape(4, 3, 9).transpose(2, 1, 0)),
    "3x3": ((20, 16, 3, 3), "NHWC", "Conv", lambda w: w.reshape(20, 16, 9).transpose(2, 0, 1)),
    "im2col": ((4, 3, 2, 4), "NHWC", "Im2ColConvolution", lambda w: w.reshape(4, 3, 8).transpose(0, 2, 1)),
    "channels outermost": ((4, 3, 3, 2), "NCHW", "Conv", lambda w: w.reshape(4, 3, 6).transpose(2, 0, 1)),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_convolution_in_each_packing(name):
    shape, order, kind, pack = PACKINGS[name]
    x, w = fp16_normal(RANDOM, 1, shape[1], 6, 7), fp16_normal(RANDOM, *shape)
    stride, pad, dilation, size = (2, 1), (1, 1), (1, 1), (3, 5)
    params = packed(shape[3], shape[2], 1, 2, 1, 1, 1, 1)  # x before y
    source = nhwc(x) if order == "NHWC" else x
    output = ((1, *size, shape[0]), np.float16, order) if order == "NHWC" else ((1, shape[0], *size),)
    weights = np.ascontiguousarray(pack(w)).reshape(-1)
    result = run_stage(kind, params, source, output, weights, outputs=(1,))
    assert_close((nchw(result) if order == "NHWC" else result)[0], conv_loop(x[0], w, stride, pad, dilation, size))


def test_dilation():
    x, w = fp16_normal(RANDOM, 1, 2, 7, 7), fp16_normal(RANDOM, 3, 2, 3, 3)
    result = run_stage(
        "Conv",
        packed(3, 3, 1, 1, 0, 0, 2, 2),
        x,
        ((1, 3, 3, 3),),
        w.reshape(3, 2, 9).transpose(2, 0, 1).copy().reshape(-1),
        outputs=(1,),
    )
    assert_close(result[0], conv_loop(x[0], w, (1, 1), (0, 0), (2, 2), (3, 3)))


def test_depthwise():
    x, w = fp16_normal(RANDOM, 1, 5, 6, 6), fp16_normal(RANDOM, 5, 3, 3)
    result = run_stage(
        "DepthConv",
        packed(3, 3, 1, 1, 1, 1, 1, 1),
        x,
        ((1, 5, 6, 6),),
        w.reshape(5, 9).T.copy().reshape(-1),
        outputs=(1,),
    )
    for c in range(5):
        assert_close(
            result[0, c : c + 1], conv_loop(x[0, c : c + 1], w[c : c + 1, None], (1, 1), (1, 1), (1, 1), (6, 6))
        )


def test_deconvolution_adds_a_kernel_per_value():
    x, w = fp16_normal(RANDOM, 1, 3, 3, 4), fp16_normal(RANDOM, 3, 2, 4, 3)  # input, output, kernel
    stride, pad, size = (2, 3), (1, 0), (6, 12)
    full = np.zeros((2, 2 * 2 + 4, 3 * 3 + 3))
    for c, o, y, z in itertools.product(range(3), range(2), range(3), range(4)):
        full[o, y * 2 : y * 2 + 4, z * 3 : z * 3 + 3] += float(x[0, c, y, z]) * w[c, o].astype(np.float64)
    expected = full[:, pad[0] : pad[0] + size[0], pad[1] : pad[1] + size[1]]
    rotated = w[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)  # position, output, input
    result = run_stage(
        "Deconvolution",
        packed(3, 4, stride[1], stride[0], pad[1], pad[0]),
        x,
        ((1, 2, *size),),
        rotated.copy().reshape(-1),
        outputs=(1,),
    )
    assert_close(result[0], expected)


@pytest.mark.parametrize("kind", ["MaxPool", "AvgPool", "AvgPool without padding"])
def test_pooling(kind):
    x = fp16_normal(RANDOM, 1, 3, 7, 6)
    exclude = kind.endswith("padding")
    params = packed(3, 2, 2, 3, 1, 0, int(exclude))  # kernel 2x3, stride 3x2, padding (0, 1)
    result = run_stage(kind.split()[0], params, x, ((1, 3, 3, 3),), outputs=(1,))
    for c, y, z in itertools.product(range(3), range(3), range(3)):
        rows = [r for r in range(y * 3, y * 3 + 2) if r < 7]
        columns = [k for k in range(z * 2 - 1, z * 2 + 2) if 0 <= k < 6]
        values = [float(x[0, c, r, k]) for r in rows for k in columns]
        count = len(values) if exclude else 6
        assert_close(result[0, c, y, z], max(values) if kind == "MaxPool" else sum(values) / count)


def test_fully_connected_reads_nhwc():
    x, w = fp16_normal(RANDOM, 1, 3, 2, 2), fp16_normal(RANDOM, 5, 3, 4)  # output, channel, position
    array, order = nhwc(x)
    result = run_stage("FC", b"", (array, order), ((1, 5),), w.transpose(2, 1, 0).copy().reshape(-1), outputs=(1,))
    assert_close(result[0], w.reshape(5, 12).astype(np.float64) @ x.reshape(12).astype(np.float64))


@pytest.mark.parametrize("size", [3, 5])
def test_lrn(size):
    x = fp16_normal(RANDOM, 1, 6, 2, 3)
    k, alpha, beta = (np.float16(v) for v in (1.5, 0.2, 0.75))
    result = run_stage(
        "LRN", packed(size) + b"".join(v.tobytes() for v in (k, alpha, beta)), x, ((1, 6, 2, 3),), outputs=(1,)
    )
    for c in range(6):
        window = x[0, max(0, c - size // 2) : c + size // 2 + 1].astype(np.float64)
        assert_close(result[0, c], x[0, c] / (float(k) + float(alpha) / size * (window**2).sum(0)) ** float(beta), 3)


def test_lrn_within_a_channel():
    x = fp16_normal(RANDOM, 1, 2, 4, 5)
    k, alpha, beta = (np.float16(v) for v in (1.0, 0.5, 0.5))
    result = run_stage(
        "InnerLRN", packed(3) + b"".join(v.tobytes() for v in (k, alpha, beta)), x, ((1, 2, 4, 5),), outputs=(1,)
    )
    for y, z in itertools.product(range(4), range(5)):
        window = x[0, :, max(0, y - 1) : y + 2, max(0, z - 1) : z + 2].astype(np.float64)
        assert_close(result[0, :, y, z], x[0, :, y, z] / (1 + 0.5 / 9 * (window**2).sum((1, 2))) ** 0.5, 3)


def test_softmax_axis_counts_from_the_innermost():
    x = fp16_normal(RANDOM, 2, 3, 4)
    result = run_stage("SoftMax", packed(1), x, ((2, 3, 4),), outputs=(1,))
    for a, b in itertools.product(range(2), range(4)):
        powers = [math.exp(float(v)) for v in x[a, :, b]]
        assert_close(result[a, :, b], np.array(powers) / sum(powers))


ELTWISE = {
    "Sum": lambda a, b: 0.5 * a - 2 * b,
    "Prod": lambda a, b: a * b,
    "Max": max,
    "Min": min,
    "Squared_diff": lambda a, b: (a - b) ** 2,
    "Greater": lambda a, b: float(a > b),
    "Greater_equal": lambda a, b: float(a >= b),
    "Less": lambda a, b: float(a < b),
    "Less_equal": lambda a, b: float(a <= b),
    "Equal": lambda a, b: float(a == b),
    "Not_equal": lambda a, b: float(a != b),
    "Logical_AND": lambda a, b: float(bool(a) and bool(b)),
    "Logical_OR": lambda a, b: float(bool(a) or bool(b)),
    "Logical_XOR": lambda a, b: float(bool(a) != bool(b)),
    "Div": lambda a, b: a / b if b else math.copysign(math.inf, a) if a else math.nan,
}


@pytest.mark.parametrize("kind", ELTWISE)
@pytest.mark.parametrize("post", [-1, 6])
def test_eltwise(kind, post):
    a, b = fp16_normal(RANDOM, 1, 2, 3, 4), fp16_normal(RANDOM, 1, 2, 3, 4)
    b[0, 0, 0, :2] = a[0, 0, 0, :2]
    if kind.startswith("Logical"):
        a[0, 0, 1], b[0, 0, :, 0] = 0, 0
    params = packed(0.5, -2.0, post, 0.25, 0.0, 1.0)
    result = run_stage(kind, params, a, ((1, 2, 3, 4),), b, None, outputs=(1,))
    for index in np.ndindex(a.shape):
        value = ELTWISE[kind](float(a[index]), float(b[index]))
        assert_close(result[index], value * 0.25 if post == 6 and value < 0 else value)


def test_eltwise_broadcasts():
    a, b = fp16_normal(RANDOM, 1, 2, 3, 4), fp16_normal(RANDOM, 1, 2, 1, 1)
    result = run_stage("Prod", packed(1.0, 1.0, -1, 0.0, 0.0, 1.0), a, ((1, 2, 3, 4),), b, None, outputs=(1,))
    assert_close(result, a.astype(np.float64) * b.astype(np.float64))


FUNCTIONS = {
    "Sigmoid": ((), lambda v: 1 / (1 + math.exp(-v))),
    "Tanh": ((), math.tanh),
    "Exp": ((), math.exp),
    "Floor": ((), math.floor),
    "Ceiling": ((), math.ceil),
    "Erf": ((), math.erf),
    "Gelu": ((), lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2),
    "Mish": ((), lambda v: v * math.tanh(math.log1p(math.exp(v)))),
    "SoftPlus": ((), lambda v: math.log1p(math.exp(v))),
    "HSwish": ((), lambda v: v * min(max(v + 3, 0), 6) / 6),
    "Swish": ((0.5,), lambda v: v / (1 + math.exp(-0.5 * v))),
    "Clamp": ((-0.5, 0.75), lambda v: min(max(v, -0.5), 0.75)),
    "Elu": ((0.5,), lambda v: v if v >= 0 else 0.5 * math.expm1(v)),
    "Power": ((1.0, -2.0, 2.0), lambda v: (1 - 2 * v) ** 2),
    "Relu": ((0, 0.0), lambda v: max(v, 0)),
    "LeakyRelu": ((0, 0.125), lambda v: v if v > 0 else v * 0.125),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_elementwise_functions(kind):
    params, formula = FUNCTIONS[kind]
    x = fp16_normal(RANDOM, 1, 2, 3, 5, scale=2)
    result = run_stage(kind, packed(*params), x, ((1, 2, 3, 5),), outputs=(1,))
    for index in np.ndindex(x.shape):
        assert_close(result[index], formula(float(x[index])))


def test_one_value_per_channel():
    x, slopes = fp16_normal(RANDOM, 1, 3, 2, 2), fp16_normal(RANDOM, 3)
    wide, per_channel = x.astype(np.float64), slopes.astype(np.float64)[None, :, None, None]
    cases = {
        ("Bias", b""): wide + per_channel,
        ("Scale", b""): wide * per_channel,
        ("PRelu", b""): np.where(wide < 0, wide * per_channel, wide),
        ("BiasRelu", packed(1, 0.0)): np.maximum(wide + per_channel, 0),
        ("BiasLeakyRelu", packed(1, 0.125)): np.where(
            wide + per_channel < 0, (wide + per_channel) * 0.125, wide + per_channel
        ),
    }
    for (kind, params), expected in cases.items():
        assert_close(run_stage(kind, params, x, ((1, 3, 2, 2),), slopes, outputs=(1,)), expected)
        array, order = nhwc(x)
        assert_close(
            nchw(run_stage(kind, params, (array, order), ((1, 2, 2, 3), np.float16, order), slopes, outputs=(1,))),
            expected,
        )


def test_permute():
    x = fp16_normal(RANDOM, 2, 3, 4, 5)
    result = run_stage("Permute", packed(2, 0, 1, 3, -1, -1, -1, -1), x, ((2, 4, 5, 3),), outputs=(1,))
    for n, c, h, w in np.ndindex(x.shape):
        assert result[n, h, w, c] == x[n, c, h, w]


def test_copy_reorders_axes():
    x = fp16_normal(RANDOM, 1, 3, 4, 5)
    result = run_stage("Copy", b"", x, ((1, 4, 5, 3), np.float16, "NHWC"), outputs=(1,))
    assert np.array_equal(nchw(result), x)


def test_convert_scales_rounds_and_saturates():
    x = np.array([[-3.0, 0.5, 1.5, 300.0]], np.float32)
    assert run_stage("Convert", packed(2.0, 1.0, 0, 1), x, ((1, 4), np.float16), outputs=(1,)).tolist() == [
        [-5, 2, 4, 601]
    ]
    x = x.astype(np.float16)
    assert run_stage("Convert", packed(1.0, 0.0, 0, 1), x, ((1, 4), np.uint8), outputs=(1,)).tolist() == [
        [0, 0, 2, 255]
    ]


@pytest.mark.parametrize("mode, name", list(enumerate(["constant", "edge", "reflect", "symmetric"])))
def test_pad(mode, name):
    x = fp16_normal(RANDOM, 1, 1, 3, 4)
    result = run_stage("Pad", packed(1, 2, 2, 1, 0, 0, 0, 0, 0.5, mode), x, ((1, 1, 6, 7),), outputs=(1,))
    source_index = {
        "constant": lambda i, n: i if 0 <= i < n else None,
        "edge": lambda i, n: min(max(i, 0), n - 1),
        "reflect": lambda i, n: -i if i < 0 else 2 * n - 2 - i if i >= n else i,
        "symmetric": lambda i, n: -i - 1 if i < 0 else 2 * n - 1 - i if i >= n else i,
    }[name]
    for y, z in itertools.product(range(6), range(7)):
        row, column = source_index(y - 2, 3), source_index(z - 1, 4)
        assert result[0, 0, y, z] == (0.5 if row is None or column is None else x[0, 0, row, column])


@pytest.mark.parametrize("kind, formula", [("ReduceMean", np.mean), ("ReduceSum", np.sum), ("ReduceMax", np.max)])
def test_reduce(kind, formula):
    x = fp16_normal(RANDOM, 2, 3, 4, 5)
    axes = np.array([0, 2], np.int32)  # counted from the innermost: W and C
    result = run_stage(kind, packed(1), x, ((2, 1, 4, 1),), axes, outputs=(1,))
    for n, h in itertools.product(range(2), range(4)):
        assert_close(result[n, 0, h, 0], formula(x[n, :, h, :].astype(np.float64)))


def test_normalize_and_mvn():
    x, scales = fp16_normal(RANDOM, 1, 3, 2, 4), fp16_normal(RANDOM, 3)
    wide = x[0].astype(np.float64)
    result = run_stage("Normalize", packed(0, 0, 0.01), x, ((1, 3, 2, 4),), scales, outputs=(1,))
    assert_close(result[0], wide / np.sqrt((wide**2).sum(0) + 0.01) * scales.astype(np.float64)[:, None, None], 3)
    result = run_stage("MVN", packed(1, 0, 0.01), x, ((1, 3, 2, 4),), outputs=(1,))
    for c in range(3):
        mean, variance = wide[c].mean(), wide[c].var()
        assert_close(result[0, c], (wide[c] - mean) / (math.sqrt(variance) + 0.01), 4)


def test_gather_tile_and_top_k():
    x = fp16_normal(RANDOM, 1, 5, 2, 3)
    indices = np.array([4, 0, 4], np.int32)
    result = run_stage("Gather", packed(2), x, ((1, 3, 2, 3),), indices, outputs=(1,))
    assert all(np.array_equal(result[0, i], x[0, p]) for i, p in enumerate(indices))
    result = run_stage("Tile", packed(0, 2), x, ((1, 5, 2, 6),), outputs=(1,))
    assert np.array_equal(result[..., :3], x) and np.array_equal(result[..., 3:], x)
    values, indices = run_stage(
        "TopK",
        packed(2, 0, 1, 1, 1),
        x,
        np.array([2], np.int32),
        ((1, 2, 2, 3),),
        ((1, 2, 2, 3), np.int32),
        outputs=(2, 3),
    )
    for h, w in itertools.product(range(2), range(3)):
        order = sorted(range(5), key=lambda c: -float(x[0, c, h, w]))[:2]
        assert indices[0, :, h, w].tolist() == order and np.array_equal(values[0, :, h, w], x[0, order, h, w])


def test_concat_broadcast_and_reduce_and():
    a, b = fp16_normal(RANDOM, 1, 2, 3, 4), fp16_normal(RANDOM, 1, 5, 3, 4)
    result = run_stage("Concat", packed(2, 2), a, b, ((1, 7, 3, 4),), outputs=(2,))
    assert np.array_equal(result[:, :2], a) and np.array_equal(result[:, 2:], b)
    a = fp16_normal(RANDOM, 1, 2, 1, 4)
    result = run_stage("Broadcast", packed(0), a, np.array([1, 2, 3, 4], np.int32), ((1, 2, 3, 4),), outputs=(2,))
    assert all(np.array_equal(result[:, :, row], a[:, :, 0]) for row in range(3))
    a = np.array([[1, 0, 2], [3, 1, 1]], np.float16)
    assert run_stage("ReduceAnd", packed(1), a, ((2, 1),), np.array([0], np.int32), outputs=(1,)).tolist() == [[0], [1]]


def test_relayout_flattens_an_image():
    x = fp16_normal(RANDOM, 1, 2, 3, 4)
    result = run_stage("HwFcRelayout", b"", x, ((1, 24, 1, 1),), outputs=(1,))
    assert np.array_equal(result[0, :, 0, 0], [x[0, c, h, w] for c in range(2) for h in range(3) for w in range(4)])


def test_scaled_relu():
    x, scales, biases = fp16_normal(RANDOM, 1, 3, 2, 4), fp16_normal(RANDOM, 3), fp16_normal(RANDOM, 3)
    result = run_stage("SCRelu", packed(0.25, 2), x, ((1, 3, 2, 4),), scales, biases, outputs=(1,))
    for c, h, w in np.ndindex(3, 2, 4):
        value = float(x[0, c, h, w])
        assert_close(result[0, c, h, w], (value if value > 0 else value * 0.25) * float(scales[c]) + float(biases[c]))


def test_gemm():
    a, b, c = fp16_normal(RANDOM, 1, 2, 3, 4), fp16_normal(RANDOM, 1, 2, 5, 4), fp16_normal(RANDOM, 1, 2, 3, 5)
    result = run_stage("GEMM", packed(2.0, 0.5, 1, 0, 1), a, b, c, ((1, 2, 3, 5),), outputs=(3,))
    for n in range(2):
        expected = 2 * a[0, n].astype(np.float64) @ b[0, n].T.astype(np.float64) + 0.5 * c[0, n].astype(np.float64)
        assert_close(result[0, n], expected, 3)


def test_resample_and_interp():
    x = fp16_normal(RANDOM, 1, 2, 2, 3)
    result = run_stage("Resample", packed(0, 1.0, 0, 2, 2), x, ((1, 2, 4, 6),), outputs=(1,))  # asymmetric, floor
    for y, z in itertools.product(range(4), range(6)):
        assert np.array_equal(result[0, :, y, z], x[0, :, y // 2, z // 2])
    result = run_stage("Interp", packed(1, 1, 0), x, ((1, 2, 3, 5),), outputs=(1,))  # corners aligned
    for y, z in itertools.product(range(3), range(5)):
        row, column = y / 2, z / 2
        low, left, part, side = int(row), int(column), row % 1, column % 1
        high, right = min(low + 1, 1), min(left + 1, 2)
        top = x[0, :, low, left] * (1 - side) + x[0, :, low, right].astype(np.float64) * side
        bottom = x[0, :, high, left] * (1 - side) + x[0, :, high, right].astype(np.float64) * side
        assert_close(result[0, :, y, z], top * (1 - part) + bottom * part)


def test_upsampling_inserts_zeros():
    x = fp16_normal(RANDOM, 1, 2, 2, 3)
    result = run_stage("Upsampling", packed(2, 3, 1, 1, 0, 2, 1, 0, 0), x, ((1, 2, 7, 6),), outputs=(1,))
    for y, z in itertools.product(range(7), range(6)):
        row, column = (y - 2) / 3, (z - 1) / 2
        inside = row in (0, 1) and column in (0, 1, 2)
        assert np.array_equal(result[0, :, y, z], x[0, :, int(row), int(column)] if inside else [0, 0])


def test_lstm_cell():
    sigmoid = lambda v: 1 / (1 + math.exp(-v))  # noqa: E731
    x, h, c = fp16_normal(RANDOM, 1, 4), fp16_normal(RANDOM, 1, 3), fp16_normal(RANDOM, 1, 3)
    wx, wh, b = fp16_normal(RANDOM, 12, 4), fp16_normal(RANDOM, 12, 3), fp16_normal(RANDOM, 12)
    weights = np.concatenate([wx.reshape(-1), wh.reshape(-1)])
    hidden, cell = run_stage(
        "LSTMCell", packed(1, 1, 1, 1, 2), x, h, c, weights, b, ((1, 3),), ((1, 3),), outputs=(5, 6)
    )
    for s in range(3):
        sums = [
            sum(float(wx[g * 3 + s, i]) * float(x[0, i]) for i in range(4))
            + sum(float(wh[g * 3 + s, i]) * float(h[0, i]) for i in range(3))
            + float(b[g * 3 + s])
            for g in range(4)
        ]
        expected = sigmoid(sums[0]) * float(c[0, s]) + sigmoid(sums[1]) * math.tanh(sums[2])
        assert_close(cell[0, s], expected)
        assert_close(hidden[0, s], sigmoid(sums[3]) * math.tanh(expected))


def test_roi_pooling_takes_the_maximum_per_cell():
    x = fp16_normal(RANDOM, 1, 2, 6, 8)
    regions = np.array([[0, 2, 2, 9, 7]], np.float16)  # at scale 1/2: columns 1 to 5 (4.5 rounds up), rows 1 to 4
    result = run_stage("ROIPooling", packed(2, 2, 0.5, 0), x, ((1, 2, 2, 2),), regions, outputs=(1,))
    assert np.array_equal(result[0, :, 0, 0], x[0, :, 1:3, 1:4].max((1, 2)))
    assert np.array_equal(result[0, :, 1, 1], x[0, :, 3:5, 3:6].max((1, 2)))


def test_detection_output():
    priors = np.array(
        [[[0.1, 0.1, 0.3, 0.3] + [0.1, 0.1, 0.32, 0.3] + [0.6, 0.6, 0.9, 0.9], [0.1, 0.1, 0.2, 0.2] * 3]], np.float16
    )
    scores = np.array([[0.1, 0.9, 0.2, 0.8, 0.3, 0.7]], np.float16)  # background, class 1 of each
    locations = np.zeros((1, 12), np.float16)
    params = packed(2, 1, 0, 0.45, 10, 2, 5, 0.25, 0, 3, 0, 0, 0, 1, 1, 1, 1, 0.0, 0)
    result = run_stage(
        "DetectionOutput", params, locations, scores, priors, ((1, 1, 5, 7),), np.zeros(8, np.float16), outputs=(3,)
    )[0, 0]
    assert np.allclose(result[:2, :3], [[0, 1, 0.9], [0, 1, 0.7]], atol=1e-3)
    assert np.allclose(result[0, 3:], priors[0, 0, :4], atol=1e-3) and np.allclose(
        result[1, 3:], priors[0, 0, 8:], atol=1e-3
    )
    assert result[2, 0] == -1


def test_fp16_accumulation_rounds_after_every_product():
    x, w = np.full((1, 64), 1, np.float16), np.full((64, 1), 1, np.float16)
    w[0] = 2048  # adding 1 then has no effect: the spacing of FP16 is 2
    weights = w.reshape(1, 64, 1).reshape(-1)
    assert run_stage("FC", b"", x, ((1, 1),), weights, outputs=(1,), half=True).item() == 2048
    assert run_stage("FC", b"", x, ((1, 1),), weights, outputs=(1,)).item() == 2048 + 64  # 2111 rounds to 2112
