"""BatchNorm compared with its formula, and its accumulated statistics."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

import caffe


def normalize(eps):
    def uses_batch_statistics(x, *statistics):
        axes = tuple(i for i in range(x.ndim) if i != 1)
        mean = x.mean(axes, keepdims=True)
        return [(x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)]

    return uses_batch_statistics


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (5, 2), (2, 3, 2, 2, 2), (1, 2, 6)])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_normalizes_by_batch_statistics(shape, eps):
    x = 3 + 2 * np.random.default_rng(1).standard_normal(shape)
    zeros = [np.zeros(shape[1]), np.zeros(shape[1]), np.zeros(1)]
    text = f"batch_norm_param {{ use_global_stats: false eps: {eps:g} }}"
    check_layer("BatchNorm", text, [x], normalize(eps), zeros)


def test_statistics_decay_and_use_the_unbiased_variance():
    rng, fraction = np.random.default_rng(2), 0.9
    net = one_layer_net(
        "BatchNorm", "batch_norm_param { moving_average_fraction: 0.9 }", [(4, 3, 2, 5)], phase=caffe.TRAIN
    )
    sums = [np.zeros(3), np.zeros(3), np.zeros(1)]
    for _ in range(3):
        x = 1 + rng.standard_normal((4, 3, 2, 5))
        net.blobs["x0"].data[...] = x
        net.forward()
        mean = x.mean((0, 2, 3))
        variance = ((x - mean[:, None, None]) ** 2).sum((0, 2, 3)) / (x.size / 3 - 1)
        sums = [fraction * old + new for old, new in zip(sums, (mean, variance, np.ones(1)))]
    for blob, expected in zip(net.params["l"], sums):
        assert_close(blob.data, expected, "sum")


@pytest.mark.parametrize("weight", [1.0, 2.5, 0.0])
def test_normalizes_by_accumulated_statistics(weight):
    rng = np.random.default_rng(3)
    x, mean, variance = rng.standard_normal((2, 3, 2, 2)), rng.standard_normal(3), rng.random(3) + 0.5
    factor = 1 / weight if weight else 0
    center, std = (factor * mean)[:, None, None], np.sqrt(factor * variance + 1e-5)[:, None, None]
    dy = rng.standard_normal(x.shape)
    net = one_layer_net("BatchNorm", "", [x.shape])  # TEST uses accumulated statistics by default
    result = run(net, [x], [mean, variance, [weight]], [dy])
    assert_close(result.tops[0], (x - center) / std, "top")
    assert_close(result.diffs[0], dy / std, "bottom's diff")
    for blob, expected in zip(result.weights, (mean, variance, np.array([weight]))):
        assert_close(blob, expected, "statistics, which must not change")


@pytest.mark.parametrize(
    ("phase", "setting", "uses_batch_statistics"),
    [
        (caffe.TRAIN, "", True),
        (caffe.TEST, "", False),
        (caffe.TRAIN, "use_global_stats: true", False),
        (caffe.TEST, "use_global_stats: false", True),
    ],
)
def test_phase_selects_the_statistics_by_default(phase, setting, uses_batch_statistics):
    x = np.random.default_rng(4).standard_normal((4, 2, 3, 3))
    net = one_layer_net("BatchNorm", f"batch_norm_param {{ {setting} }}", [x.shape], phase=phase)
    result = run(net, [x], [np.zeros(2), np.full(2, 4.0), [1.0]])
    assert_close(result.tops[0], normalize(1e-5)(x)[0] if uses_batch_statistics else x / np.sqrt(4 + 1e-5), "top")


def test_single_value_per_channel_has_no_variance():
    net = one_layer_net("BatchNorm", "", [(1, 3)], phase=caffe.TRAIN)
    result = run(net, [[[1.0, 2.0, 3.0]]], [], [np.ones((1, 3))])
    assert (result.tops[0] == 0).all() and (result.diffs[0] == 0).all()
    assert [w.tolist() for w in result.weights] == [[1, 2, 3], [0, 0, 0], [1]]


def test_in_place():
    x = np.random.default_rng(5).standard_normal((4, 3, 2, 2))
    from support.layer_nets import net_of
    from support.reference import input_layer

    net = net_of(input_layer("x", x.shape) + 'layer { name: "l" type: "BatchNorm" bottom: "x" top: "x" }')
    net.blobs["x"].data[...] = x
    net.forward()
    assert_close(net.blobs["x"].data, normalize(1e-5)(x)[0], "top")


def test_statistics_are_not_learnable():
    net = one_layer_net("BatchNorm", "", [(4, 3, 2, 2)], phase=caffe.TRAIN, force=False)
    assert [p.lr_mult for p in net.layer_dict["l"].param.param] == [0, 0, 0]
    text = "param { lr_mult: 0 } param { lr_mult: 1 }"
    assert "lr_mult of param 1 must be 0, received 1" in build_error("BatchNorm", text, [(4, 3, 2, 2)])


@pytest.mark.parametrize("setting", ["true", "false"])
def test_single_item_between_layers_of_different_memory_layout(setting):
    from support.layer_nets import net_of
    from support.reference import input_layer, slope

    rng = np.random.default_rng(6)
    layers = (
        'layer { name: "s" type: "Split" bottom: "x" top: "a" } '
        'layer { name: "l" type: "BatchNorm" bottom: "a" top: "b" '
        f"batch_norm_param {{ use_global_stats: {setting} }} }} "
        'layer { name: "t" type: "Split" bottom: "b" top: "c" } '
        'layer { name: "v" type: "Convolution" bottom: "c" top: "y" convolution_param { num_output: 2 kernel_size: 3 '
        'weight_filler { type: "gaussian" } } }'
    )
    net = net_of("force_backward: true " + input_layer("x", (1, 3, 4, 5)) + layers)
    for blob in net.params["l"]:
        blob.data[...] = rng.uniform(1, 2, blob.data.shape)
    x, dy = rng.standard_normal((1, 3, 4, 5)), rng.standard_normal((1, 2, 2, 3))
    mean, variance, weight = (blob.data.astype(float) for blob in net.params["l"])
    net.blobs["x"].data[...] = x
    net.forward()
    net.blobs["y"].diff[...] = dy
    net.backward()
    inner = net.blobs["b"].diff.astype(float)

    def reference(x):
        if setting == "false":
            return normalize(1e-5)(x)
        center, std = (mean / weight)[:, None, None], np.sqrt(variance / weight + 1e-5)[:, None, None]
        return [(x - center) / std]

    assert_close(net.blobs["x"].diff, slope(reference, x, [inner]), "bottom's diff", 2e-4)


def scaled(x, mean, variance, weight, gain, bias, eps=1e-5):
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        y[:, c] = gain[c] * (x[:, c] - mean[c] / weight[0]) / np.sqrt(variance[c] / weight[0] + eps) + bias[c]
    return [y]


FIVE = [np.array(v) for v in ([0.5, -1.0], [2.0, 0.5], [1.0], [3.0, -2.0], [0.25, 0.75])]


@pytest.mark.parametrize(
    "text", ["scale_bias: true", "scale_filler { value: 1 }", "filler { value: 1 } bias_filler { }"]
)
def test_scale_and_bias_of_forks(text):
    x = np.random.default_rng(3).standard_normal((3, 2, 2, 2))
    check_layer("BatchNorm", f"batch_norm_param {{ {text} }}", [x], scaled, FIVE, fixed=(1, 2, 3))


def test_blobs_of_nvcaffe_15_are_reordered():
    layer = one_layer_net("BatchNorm", "batch_norm_param { scale_bias: true }", [(3, 2, 2, 2)]).layer_dict["l"]
    mean, variance, _, gain, bias = FIVE
    shaped = [array.reshape(1, 2, 1, 1) for array in (gain, bias, mean, variance)]
    fitted = layer.fitted([*shaped, np.zeros((1, 1, 1, 1))])
    for received, expected in zip(fitted, FIVE):
        assert np.array_equal(received, expected)


def test_eps_outside_of_the_root():
    def outside(x, mean, variance, weight):
        y = np.zeros(x.shape)
        for c in range(2):
            y[:, c] = (x[:, c] - mean[c]) / (np.sqrt(variance[c]) + 0.1)
        return [y]

    x = np.random.default_rng(3).standard_normal((3, 2, 2, 2))
    text = "batch_norm_param { add_eps_before_sqrt: false eps: 0.1 }"
    check_layer("BatchNorm", text, [x], outside, FIVE[:3], fixed=(1, 2, 3))
