"""The layout of spatial tensors in mvncapi: NCSDK's channels innermost, or that of the host's descriptor."""

import numpy as np
import pytest
from support import onnx_nets

from ncs.mvnc_compat import layout, mvncapi
from ncs.mvnc_compat.options import MvncError
from ncs.runtime.mvnc import Mvnc

IMAGE = np.arange(12, dtype=np.float32).reshape(2, 2, 3)  # (H, W, C)
# channel 0 of the output is channel 0 of the image, channel 1 is 100 + channel 1, for the four pixels in turn
INNERMOST = [0, 101, 3, 104, 6, 107, 9, 110]
OUTERMOST = [0, 3, 6, 9, 101, 104, 107, 110]


@pytest.fixture
def path(tmp_path):
    """An ONNX net of a 1x1 convolution from 3 to 2 channels."""
    import onnx
    from onnx import numpy_helper

    builder = onnx_nets.Builder()
    builder.node("Conv", ["data", "w", "b"], "out", kernel_shape=[1, 1])
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0] = weights[1, 1] = 1
    builder.constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.array([0, 100], np.float32), "b"),
    ]
    builder.save(tmp_path / "net.onnx", "out", [1, 2, 2, 2], [1, 3, 2, 2])
    assert onnx.load(str(tmp_path / "net.onnx")).graph.node
    return tmp_path / "net.onnx"


@pytest.fixture
def opened(path, monkeypatch):
    monkeypatch.setenv("NCS_DEVICE", "CPU")
    device = mvncapi.Device(mvncapi.enumerate_devices()[0])
    device.open()
    graph = mvncapi.Graph("net")
    yield device, graph, path.read_bytes()
    device.close()


def test_outputs_have_their_channels_innermost(opened):
    device, graph, content = opened
    fifos = graph.allocate_with_fifos(device, content)
    graph.queue_inference_with_fifo_elem(*fifos, IMAGE, None)
    assert fifos[1].read_elem()[0].tolist() == INNERMOST
    (output,) = graph.get_option(mvncapi.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)
    assert (output.n, output.c, output.h, output.w) == (1, 2, 2, 2)
    assert (output.cStride, output.wStride, output.hStride) == (2, 4, 8)


def planar(descriptor, size=4):
    """A descriptor of the same tensor with channels outermost."""
    result = mvncapi.TensorDescriptor(descriptor.n, descriptor.c, descriptor.h, descriptor.w)
    result.wStride, result.hStride, result.cStride = size, size * result.w, size * result.w * result.h
    return result


def test_descriptors_of_the_host(opened):
    device, graph, content = opened
    graph.allocate(device, content)
    options = (mvncapi.GraphOption.RO_INPUT_TENSOR_DESCRIPTORS, mvncapi.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)
    fifos = []
    for name, kind, option in zip(("in", "out"), (mvncapi.FifoType.HOST_WO, mvncapi.FifoType.HOST_RO), options):
        (descriptor,) = graph.get_option(option)
        fifos.append(mvncapi.Fifo(name, kind))
        fifos[-1].set_option(mvncapi.FifoOption.RW_HOST_TENSOR_DESCRIPTOR, planar(descriptor))
        fifos[-1].allocate(device, descriptor, 2)
    host = fifos[1].get_option(mvncapi.FifoOption.RW_HOST_TENSOR_DESCRIPTOR)
    assert (host.wStride, host.hStride, host.cStride) == (4, 8, 16)
    graph.queue_inference_with_fifo_elem(*fifos, IMAGE.transpose(2, 0, 1), None)
    assert fifos[1].read_elem()[0].tolist() == OUTERMOST


def test_a_wrong_descriptor(opened):
    fifo = mvncapi.Fifo("out", mvncapi.FifoType.HOST_RO)
    gaps = planar(mvncapi.TensorDescriptor(1, 2, 2, 2))
    gaps.hStride = 64
    for value in (gaps, "a text"):
        with pytest.raises(MvncError, match="INVALID_PARAMETERS"):
            fifo.set_option(mvncapi.FifoOption.RW_HOST_TENSOR_DESCRIPTOR, value)
    device, graph, content = opened
    fifos = graph.allocate_with_fifos(device, content)
    fifos[1].set_option(mvncapi.FifoOption.RW_HOST_TENSOR_DESCRIPTOR, mvncapi.TensorDescriptor(1, 3, 2, 2))
    graph.queue_inference_with_fifo_elem(*fifos, IMAGE, None)
    with pytest.raises(MvncError, match="INVALID_PARAMETERS"):
        fifos[1].read_elem()


def test_every_layout_against_plain_strides():
    """to_host and from_host against a loop over all elements with their strides."""
    shape, values = (2, 3, 4), np.arange(24, dtype=np.float32)
    for axes in ((0, 1, 2), (1, 2, 0), (2, 1, 0), (1, 0, 2)):
        descriptor = mvncapi.TensorDescriptor(1, *shape)
        stride = 4
        for axis in reversed(axes):
            setattr(descriptor, ("cStride", "hStride", "wStride")[axis], stride)
            stride *= shape[axis]
        layout.check(descriptor)
        expected = np.zeros(24, np.float32)
        for (c, h, w), value in np.ndenumerate(values.reshape(shape)):
            expected[(c * descriptor.cStride + h * descriptor.hStride + w * descriptor.wStride) // 4] = value
        np.testing.assert_array_equal(layout.to_host(values, shape, descriptor), expected)
        np.testing.assert_array_equal(layout.from_host(expected, shape, descriptor), values.reshape(shape))


def test_the_runner_of_sticks_returns_channels_outermost(path, monkeypatch):
    """ncs.runtime.mvnc reads NCSDK's layout and answers as all runners do."""
    monkeypatch.setenv("NCS_DEVICE", "CPU")
    graph = path.rename(path.with_suffix(".graph"))
    with Mvnc(graph, api=mvncapi) as stick:
        assert stick.run(IMAGE.transpose(2, 0, 1)[None]).tolist() == [OUTERMOST]


def test_throttling_level(opened):
    assert opened[0].get_option(mvncapi.DeviceOption.RO_THERMAL_THROTTLING_LEVEL) == 0
