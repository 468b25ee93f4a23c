"""DenseBlock compared with loops over steps and pixels."""

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net

import caffe


def convolved(x, weights):
    pad = weights.shape[2] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    y = np.zeros((len(x), len(weights), x.shape[2] - 2 * pad, x.shape[3] - 2 * pad))
    for i, j in np.ndindex(y.shape[2:]):
        window = x[:, :, i : i + weights.shape[2], j : j + weights.shape[3]]
        y[:, :, i, j] = np.einsum("nchw,ochw->no", window, weights)
    return y


def normalized(x, scale, bias, mean, variance, count):
    if count is None:
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    else:
        mean, variance = mean / count, variance / count
    return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + bias, 0)


def block(x, blobs, steps, bottleneck, training=False):
    count = None if training else float(blobs[-1][0])
    for step in range(steps):
        y = normalized(x, *(blobs[step + group * steps] for group in (1, 2, 3, 4)), count)
        if bottleneck:
            y = convolved(y, blobs[step + 5 * steps])
            y = normalized(y, *(blobs[step + group * steps] for group in (6, 7, 8, 9)), count)
        x = np.concatenate([x, convolved(y, blobs[step])], axis=1)
    return [x]


def weights(steps, channels, growth, bottleneck):
    rng = np.random.default_rng(3)
    inputs = [channels + step * growth for step in range(steps)]
    middle = 4 * growth
    shapes = [(growth, middle if bottleneck else n, 3, 3) for n in inputs]
    shapes += [(1, n, 1, 1) for n in inputs] * 4
    if bottleneck:
        shapes += [(middle, n, 1, 1) for n in inputs] + [(1, middle, 1, 1)] * 4 * steps
    blobs = [rng.standard_normal(shape) for shape in shapes]
    for group in (4, 9):
        for index in range(group * steps, min((group + 1) * steps, len(blobs))):
            blobs[index] = np.abs(blobs[index]) + 1
    return [*blobs, np.array([2.5])]


@pytest.mark.parametrize("bottleneck", [False, True])
def test_matches_loops(bottleneck):
    x = np.random.default_rng(1).standard_normal((1, 2, 2, 3))
    steps, growth = (1, 1) if bottleneck else (2, 1)
    text = f"denseblock_param {{ numTransition: {steps} growthRate: {growth} use_BC: {str(bottleneck).lower()} }}"
    blobs = weights(steps, 2, growth, bottleneck)
    statistics = {*range(3 * steps, 5 * steps), *range(8 * steps, 10 * steps), len(blobs) - 1}
    check_layer(
        "DenseBlock",
        text,
        [x],
        lambda x, *blobs: block(x, blobs, steps, bottleneck),
        blobs,
        fixed=[1 + index for index in statistics],
    )


def test_training_uses_and_sums_batch_statistics():
    x = np.random.default_rng(2).standard_normal((2, 2, 3, 3))
    blobs = weights(1, 2, 2, False)
    text = "denseblock_param { numTransition: 1 growthRate: 2 moving_average_fraction: 0.5 }"
    net = one_layer_net("DenseBlock", text, [x.shape], phase=caffe.TRAIN)
    net.blobs["x0"].data[...] = x
    for blob, value in zip(net.params["l"], blobs):
        blob.data[...] = value
    expected = block(x, blobs, 1, False, training=True)[0]
    np.testing.assert_allclose(net.forward()["y0"], expected, atol=1e-4)
    np.testing.assert_allclose(net.params["l"][3].data, blobs[3] * 0.5 + x.mean((0, 2, 3), keepdims=True), atol=1e-5)
    assert net.params["l"][5].data[0] == pytest.approx(2.5 * 0.5 + 1)


def test_dropout_is_refused():
    assert "use_dropout" in build_error("DenseBlock", "denseblock_param { use_dropout: true }", [(1, 2, 3, 3)])
