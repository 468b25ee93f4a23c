"""InnerProduct compared with loops for every axis, transpose and bias setting; weight diffs accumulate."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(2)
SETTINGS = [
    (s, a, t, b)
    for s, a in [((2, 3, 4), 1), ((2, 3, 4), 2), ((2, 3), 0), ((2, 3, 2, 2), -1), ((3, 1), 1)]
    for t in (False, True)
    for b in (False, True)
]


@pytest.mark.parametrize("shape, axis, transpose, bias", SETTINGS)
def test_value_and_gradients(shape, axis, transpose, bias):
    outputs, axis_ = 5, axis % len(shape)
    rows, inputs = int(np.prod(shape[:axis_])), int(np.prod(shape[axis_:]))
    x = RNG.normal(size=shape).astype(np.float32)
    w = RNG.normal(size=(inputs, outputs) if transpose else (outputs, inputs)).astype(np.float32)
    b = RNG.normal(size=outputs).astype(np.float32)
    dy = RNG.normal(size=(*shape[:axis_], outputs)).astype(np.float32)
    flags = f"transpose: {str(transpose).lower()} bias_term: {str(bias).lower()}"
    text = f"inner_product_param {{ num_output: 5 axis: {axis} {flags} }}"
    run = run_layer("InnerProduct", text, x, diffs=[dy], weights=[w, b][: 1 + bias])
    flat, grad = x.reshape(rows, inputs), dy.reshape(rows, outputs)
    y, dx = np.zeros((rows, outputs)), np.zeros((rows, inputs))
    dw, db = np.zeros((outputs, inputs)), np.zeros(outputs)
    for n in range(rows):
        for o in range(outputs):
            row = w[:, o] if transpose else w[o]
            y[n, o] = sum(row * flat[n]) + (b[o] if bias else 0)
            dx[n] += grad[n, o] * row
            dw[o] += grad[n, o] * flat[n]
            db[o] += grad[n, o]
    assert run.tops[0].shape == dy.shape and np.allclose(run.tops[0].reshape(rows, -1), y, 1e-4, 1e-5)
    assert np.allclose(run.diffs[0].reshape(rows, -1), dx, 1e-4, 1e-5)
    assert len(run.blobs) == 1 + bias and np.allclose(run.blobs[0].diff, dw.T if transpose else dw, 1e-4, 1e-5)
    assert not bias or np.allclose(run.blobs[1].diff, db, 1e-4, 1e-5)
    run.net.backward()
    assert np.allclose(run.blobs[0].diff, 2 * (dw.T if transpose else dw), 1e-4, 1e-5)  # accumulated
    assert np.allclose(run.diffs[0].reshape(rows, -1), dx, 1e-4, 1e-5)  # set


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="num_output must be positive"):
        run_layer("InnerProduct", "", np.ones((2, 3)))
    with pytest.raises(CaffeError, match="axis 2 is out of range"):
        run_layer("InnerProduct", "inner_product_param { num_output: 2 axis: 2 }", np.ones((2, 3)))


def test_changing_the_number_of_inputs_raises():
    net = net_of(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 4 } }'
    )
    net.blobs["x"].reshape(5, 3)
    assert net.forward()["y"].shape == (5, 4)
    net.blobs["x"].reshape(5, 4)
    with pytest.raises(CaffeError, match=r"net.prototxt:2: layer 'ip' \(InnerProduct\): .*does not have the 3 inputs"):
        net.forward()
