"""BN of SegNet and of PSPNet compared with their definitions."""

import numpy as np
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

import caffe

X = np.random.default_rng(10).standard_normal((3, 2, 2, 3)) * 2 + 1


def normalised(x, scale, bias, mean, variance, eps):
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        y[:, c] = scale[c] * (x[:, c] - mean[c]) / np.sqrt(variance[c] + eps) + bias[c]
    return [y]


def by_batch(x, scale, bias, eps):
    mean = [x[:, c].mean() for c in range(x.shape[1])]
    variance = [((x[:, c] - m) ** 2).mean() for c, m in enumerate(mean)]
    return normalised(x, scale, bias, mean, variance, eps)


PAIR = [np.array([2.0, 0.5]), np.array([0.1, -0.2])]


def test_segnet_inference_is_scale_and_shift():
    text = "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } shift_filler { value: 0.001 } }"
    check_layer("BN", text, [X], lambda x, s, b: normalised(x, s, b, [0, 0], [1, 1], 0), PAIR)


def test_segnet_learn_uses_batch_statistics_in_test():
    text = "bn_param { scale_filler { value: 1 } shift_filler { value: 0.001 } }"
    check_layer("BN", text, [X], lambda x, s, b: by_batch(x, s, b, 1e-9), PAIR)


def test_segnet_learn_gives_the_statistics_of_the_batch():
    text = "bn_param { bn_mode: LEARN }"
    result = run(one_layer_net("BN", text, [X.shape], tops=3), [X], PAIR)
    expected = by_batch(X, *PAIR, 1e-9)[0], X.mean((0, 2, 3)), X.var((0, 2, 3))
    for top, values, name in zip(result.tops, expected, ("top", "mean", "variance")):
        assert_close(top, values.reshape(top.shape), name, 1e-4)
    assert result.tops[1].shape == result.tops[2].shape == (1, 2, 1, 1)


STATISTICS = [np.array([0.5, -1.0]), np.array([2.0, 0.25])]


def test_pspnet_uses_accumulated_statistics():
    check_layer(
        "BN", "bn_param { eps: 0.01 }", [X], lambda x, *w: normalised(x, *w, 0.01), PAIR + STATISTICS, fixed=(3, 4)
    )


def test_pspnet_updates_statistics_in_training():
    net = one_layer_net("BN", "bn_param { momentum: 0.75 }", [X.shape], phase=caffe.TRAIN)
    result = run(net, [X], PAIR + STATISTICS)
    assert_close(result.tops[0], by_batch(X, *PAIR, 1e-5)[0], "top", 1e-4)
    mean = np.array([X[:, c].mean() for c in range(2)])
    assert_close(result.weights[2], 0.75 * STATISTICS[0] + 0.25 * mean, "mean")
    variance = np.array([X[:, c].var() for c in range(2)])
    assert_close(result.weights[3], 0.75 * STATISTICS[1] + 0.25 * variance, "variance")


def test_frozen_has_no_learnable_blobs():
    net = one_layer_net("BN", "bn_param { frozen: true }", [X.shape], phase=caffe.TRAIN, force=False)
    assert [spec.lr_mult for spec in net.layer_dict["l"].param.param] == [0, 0, 0, 0]
    assert_close(run(net, [X], PAIR + STATISTICS).tops[0], normalised(X, *PAIR, *STATISTICS, 1e-5)[0], "top")


def test_blobs_of_files_are_flattened():
    layer = one_layer_net("BN", "bn_param { frozen: true }", [X.shape]).layer_dict["l"]
    assert [array.shape for array in layer.fitted([np.zeros((1, 2, 1, 1))] * 4)] == [(2,)] * 4


def test_old_fields_raise():
    assert "decay" in build_error("BN", "bn_param { scale_filler { value: 1 } decay: 0.9 }", [(2, 3, 2, 2)])


def test_only_segnet_has_tops_for_statistics():
    assert "only SegNet's LEARN" in build_error("BN", "bn_param { frozen: true }", [(2, 3, 2, 2)], tops=3)
