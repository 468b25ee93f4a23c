"""CuDNNBatchNorm compared with its definition."""

import numpy as np
from support.reference import assert_close, check_layer, one_layer_net, run

import caffe

X = np.random.default_rng(10).standard_normal((3, 2, 2, 3)) * 2 + 1
WEIGHTS = [np.array(v) for v in ([2.0, 0.5], [0.1, -0.2], [0.5, -1.0], [2.0, 0.25])]


def normalized(x, scale, bias, mean, variance, eps):
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        y[:, c] = scale[c] * (x[:, c] - mean[c]) / np.sqrt(variance[c] + eps) + bias[c]
    return [y]


def test_accumulated_statistics():
    text = "cudnn_batch_norm_param { eps: 0.01 }"
    check_layer("CuDNNBatchNorm", text, [X], lambda x, *w: normalized(x, *w, 0.01), WEIGHTS, fixed=(3, 4))


def test_training_updates_the_statistics():
    net = one_layer_net("CuDNNBatchNorm", "cudnn_batch_norm_param { momentum: 0.75 }", [X.shape], phase=caffe.TRAIN)
    result = run(net, [X], WEIGHTS)
    mean, variance = X.mean((0, 2, 3)), X.var((0, 2, 3))
    assert_close(result.tops[0], normalized(X, *WEIGHTS[:2], mean, variance, 1e-5)[0], "top", 1e-4)
    assert_close(result.weights[2], 0.75 * WEIGHTS[2] + 0.25 * mean, "mean")
    assert_close(result.weights[3], 0.75 * WEIGHTS[3] + 0.25 * variance, "variance")


def test_fillers():
    text = "cudnn_batch_norm_param { scale_filler { value: 3 } bias_filler { value: 0.5 } frozen: true }"
    net = one_layer_net("CuDNNBatchNorm", text, [X.shape], force=False)
    assert [blob.data[0] for blob in net.layer_dict["l"].blobs] == [3, 0.5, 0, 1]
