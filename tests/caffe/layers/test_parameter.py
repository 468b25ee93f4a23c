"""Parameter: the top is the weight."""

import numpy as np
from support.layer_nets import net_of

TEXT = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "p" type: "Parameter" top: "w" parameter_param { shape { dim: 2 dim: 3 } } %s }
    layer { name: "m" type: "Eltwise" bottom: "x" bottom: "w" top: "y" eltwise_param { operation: PROD } }
    layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1
      reduction_param { operation: SUMSQ } }"""


def test_top_is_the_weight():
    net = net_of(TEXT % "")
    x, w = np.random.default_rng(17).normal(size=(2, 2, 3)).astype(np.float32)
    assert (net.params["p"][0].data == 0).all()
    net.blobs["x"].data[...], net.params["p"][0].data[...] = x, w
    for _ in range(2):  # the diff is set, not accumulated
        assert np.allclose(net.forward()["l"], ((x * w) ** 2).sum(), 1e-5)
        net.backward()
        assert np.array_equal(net.blobs["w"].data, w)
        assert np.allclose(net.params["p"][0].diff, 2 * x * x * w, 1e-5)
        assert np.array_equal(net.blobs["w"].diff, net.params["p"][0].diff)
    net.params["p"][0].data[...] = 2
    assert (net.blobs["w"].data == 2).all()


def test_no_gradient_with_lr_mult_0():
    net = net_of(TEXT % "param { lr_mult: 0 }")
    net.blobs["x"].data[...] = net.params["p"][0].data[...] = 1
    net.forward()
    net.backward()
    assert (net.params["p"][0].diff == 0).all()


def test_blob_filler():
    filler = 'blob_filler { type: "gaussian_unitball" }'
    net = net_of(TEXT.replace("parameter_param {", f"parameter_param {{ {filler}") % "")
    assert np.allclose((net.params["p"][0].data ** 2).sum(1), 1, atol=1e-5)
