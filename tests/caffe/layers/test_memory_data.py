"""MemoryData: batches of the user's arrays, in a cycle."""

import numpy as np
import pytest
from support.layer_nets import net_of

from caffe.errors import CaffeError

TEXT = """layer { name: "m" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }"""


def arrays(n=6):
    return np.arange(n * 6, dtype=np.float32).reshape(n, 1, 2, 3), np.arange(n, dtype=np.float32)


def test_batches_cycle_through_the_arrays():
    net, (data, label) = net_of(TEXT), arrays()
    net.set_input_arrays(data, label)
    for start in (0, 2, 4, 0):
        net.forward()
        assert np.array_equal(net.blobs["data"].data, data[start : start + 2])
        assert np.array_equal(net.blobs["label"].data, label[start : start + 2])


def test_four_axis_labels_and_reset():
    net, (data, label) = net_of(TEXT), arrays()
    net.set_input_arrays(data, label.reshape(-1, 1, 1, 1))
    net.forward()
    net.nodes[0].layer.reset(data[::-1].copy(), label, 4)
    net.forward()
    assert np.array_equal(net.blobs["data"].data, data[::-1][:2])


def test_arrays_are_not_copied():
    net, (data, label) = net_of(TEXT), arrays()
    net.set_input_arrays(data, label)
    data += 100
    net.forward()
    assert np.array_equal(net.blobs["data"].data, data[:2])


def test_in_place_layer_does_not_change_the_users_array():
    net = net_of(TEXT + 'layer { name: "r" type: "Power" bottom: "data" top: "data" power_param { scale: 2 } }')
    data, label = arrays()
    net.set_input_arrays(data, label)
    net.forward()
    assert np.array_equal(net.blobs["data"].data, 2 * arrays()[0][:2]) and np.array_equal(data, arrays()[0])


def test_state_restores_the_position():
    net, (data, label) = net_of(TEXT), arrays()
    net.set_input_arrays(data, label)
    net.forward()
    state = net.nodes[0].layer.state()
    net.forward()
    net.nodes[0].layer.restore(state)
    net.forward()
    assert state == {"position": 2} and np.array_equal(net.blobs["label"].data, [2, 3])


@pytest.mark.parametrize(
    "data, label, message",
    [
        (arrays()[0].astype(np.float64), arrays()[1], "float32"),
        (arrays()[0][:, :, ::-1], arrays()[1], "C contiguous"),
        (arrays()[0].reshape(6, 1, 3, 2), arrays()[1], "n x 1 x 2 x 3"),
        (arrays(5)[0], arrays(5)[1], "multiple of the batch size 2"),
        (arrays(4)[0], arrays(6)[1], "same first dimension"),
    ],
)
def test_invalid_arrays_raise(data, label, message):
    with pytest.raises(CaffeError, match=message):
        net_of(TEXT).set_input_arrays(data, label)


def test_forward_without_arrays_raises_with_hint():
    with pytest.raises(CaffeError, match="set_input_arrays"):
        net_of(TEXT).forward()
    with pytest.raises(CaffeError, match="positive"):
        net_of(TEXT.replace("width: 3", ""))
    with pytest.raises(CaffeError, match="2 top"):
        net_of(TEXT.replace('top: "label"', ""))
