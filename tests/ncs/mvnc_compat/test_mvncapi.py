"""NCSDK scripts run on our runners: calls, order and errors."""

import contextlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from support import onnx_nets

from ncs.mvnc_compat import PATH, mvncapi
from ncs.mvnc_compat.options import MvncError, Status
from ncs.runtime import open_runner
from ncs.runtime.mvnc import Mvnc

SCRIPT = """
import sys
import numpy as np
from mvnc import mvncapi as mvnc

mvnc.global_set_option(mvnc.GlobalOption.RW_LOG_LEVEL, 4)
devices = mvnc.enumerate_devices()
if len(devices) == 0:
    print("No devices found")
    quit()
device = mvnc.Device(devices[0])
device.open()
with open(sys.argv[1], mode="rb") as f:
    buffer = f.read()
graph = mvnc.Graph("AgeNet")
input_fifo, output_fifo = graph.allocate_with_fifos(device, buffer)
image = np.load(sys.argv[2])
for _ in range(2):
    graph.queue_inference_with_fifo_elem(input_fifo, output_fifo, image, "user object")
    output, user_obj = output_fifo.read_elem()
time = np.sum(graph.get_option(mvnc.GraphOption.RO_TIME_TAKEN))
print("time", time > 0, user_obj, output.dtype)
print(" ".join("%.6f" % p for p in output))
input_fifo.destroy()
output_fifo.destroy()
graph.destroy()
device.close()
device.destroy()
"""


@pytest.fixture
def folder(tmp_path):
    onnx_nets.tiny(tmp_path / "net.onnx")
    os.rename(tmp_path / "net.onnx", tmp_path / "AgeNet.graph")  # the name the script uses
    np.save(tmp_path / "image.npy", np.random.default_rng(0).standard_normal((8, 8, 3)).astype(np.float32))
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def expected(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    onnx_nets.tiny(path)
    image = np.load(folder / "image.npy").transpose(2, 0, 1)[None]
    with open_runner("ONNXRUNTIME", path, threads=1) as runner:
        return runner.run(image)[0]


@pytest.mark.parametrize("method", ["-m", "PYTHONPATH"])
def test_ncsdk_script(folder, tmp_path_factory, method):
    environment = dict(os.environ, NCS_DEVICE="CPU")
    command = [sys.executable, "script.py", "AgeNet.graph", "image.npy"]
    if method == "-m":
        command[1:1] = ["-m", "ncs.mvnc_compat"]
    else:
        environment["PYTHONPATH"] = PATH
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first == "time True user object float32"
    outputs = [float(value) for value in second.split()]
    np.testing.assert_allclose(outputs, expected(folder, tmp_path_factory), atol=1e-5)


def test_mvnc_is_not_importable_by_default():
    import importlib.util

    assert importlib.util.find_spec("mvnc") is None


def test_mvnc_runner_on_this_module(folder, tmp_path_factory, monkeypatch):
    """Runner -> mvncapi -> runner gives the same outputs as the net."""
    monkeypatch.setenv("NCS_DEVICE", "CPU")
    image = np.load(folder / "image.npy").transpose(2, 0, 1)[None]
    with Mvnc(folder / "AgeNet.graph", api=mvncapi) as stick:
        result = stick.run(np.concatenate([image] * 5))
    np.testing.assert_allclose(result, [expected(folder, tmp_path_factory)] * 5, atol=1e-5)


@pytest.fixture
def graph(folder, monkeypatch):
    monkeypatch.setenv("NCS_DEVICE", "CPU")
    device = mvncapi.Device(mvncapi.enumerate_devices()[0])
    device.open()
    graph = mvncapi.Graph("net")
    graph.buffer, graph.owner = (folder / "AgeNet.graph").read_bytes(), device
    yield graph
    device.close()


def test_fifos_and_their_options(graph):
    graph.allocate(graph.owner, graph.buffer)
    (input_descriptor,) = graph.get_option(mvncapi.GraphOption.RO_INPUT_TENSOR_DESCRIPTORS)
    assert (input_descriptor.c, input_descriptor.h, input_descriptor.w) == (3, 8, 8)
    strides = (input_descriptor.cStride, input_descriptor.wStride, input_descriptor.hStride)
    assert strides == (2, 6, 48) and input_descriptor.totalSize == 384
    (output_descriptor,) = graph.get_option(mvncapi.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)
    source = mvncapi.Fifo("in", mvncapi.FifoType.HOST_WO)
    sink = mvncapi.Fifo("out", mvncapi.FifoType.HOST_RO)
    source.allocate(graph.owner, input_descriptor, 3)
    sink.allocate(graph.owner, output_descriptor, 3)
    sink.set_option(mvncapi.FifoOption.RW_DATA_TYPE, mvncapi.FifoDataType.FP16)
    for number in range(3):
        source.write_elem(np.full((8, 8, 3), number, np.float16), number)
        graph.queue_inference(source, sink)
    results = [sink.read_elem() for _ in range(3)]
    assert [user for _, user in results] == [0, 1, 2]
    assert all(result.dtype == np.float16 and result.shape == (5,) for result, _ in results)
    assert source.get_option(mvncapi.FifoOption.RO_CAPACITY) == 3
    assert sink.get_option(mvncapi.FifoOption.RO_WRITE_FILL_LEVEL) == 0
    sink.set_option(mvncapi.FifoOption.RW_DONT_BLOCK, 1)
    with pytest.raises(MvncError, match="Status.BUSY"):
        sink.read_elem()
    with pytest.raises(MvncError, match="UNAUTHORIZED"):
        source.read_elem()


def test_host_may_reuse_its_array(graph):
    fifos = graph.allocate_with_fifos(graph.owner, graph.buffer)
    image = np.random.default_rng(3).standard_normal((8, 8, 3)).astype(np.float32)
    graph.queue_inference_with_fifo_elem(*fifos, image, None)
    first = fifos[1].read_elem()[0]
    graph.queue_inference_with_fifo_elem(*fifos, image, None)
    image[:] = 0
    np.testing.assert_array_equal(fifos[1].read_elem()[0], first)


def status(call, *arguments):
    with pytest.raises(Exception) as fault:
        call(*arguments)
    return fault.value.args[0]


def test_errors_have_the_ncsdks_status(graph):
    closed = mvncapi.Device("CPU")
    assert status(graph.allocate, closed, graph.buffer) == Status.INVALID_HANDLE
    assert status(graph.allocate, graph.owner, b"garbage") == Status.UNSUPPORTED_GRAPH_FILE
    assert status(graph.allocate, graph.owner, b"\x08garbage") == Status.UNSUPPORTED_GRAPH_FILE
    missing = mvncapi.Device("MYRIAD")
    missing.open()
    assert status(graph.allocate, missing, b"\x7felf") == Status.DEVICE_NOT_FOUND
    fifos = graph.allocate_with_fifos(graph.owner, graph.buffer)
    wrong = np.zeros((9, 9, 3), np.float32)
    assert status(graph.queue_inference_with_fifo_elem, *fifos, wrong, None) == Status.INVALID_DATA_LENGTH
    assert status(graph.owner.get_option, mvncapi.DeviceOption.RO_THERMAL_STATS) == Status.UNSUPPORTED_FEATURE
    graph.destroy()
    assert status(graph.queue_inference, *fifos) == Status.NOT_ALLOCATED
    fifos[0].destroy()
    assert status(fifos[0].write_elem, wrong) == Status.NOT_ALLOCATED


def test_one_handle_per_stick(tmp_path, monkeypatch):
    """Three sticks are three devices, each with its own graph."""
    from support.inference_engine import Core

    from ncs import runtime
    from ncs.runtime import myriad

    core = Core(["1.1-ma2480", "1.2-ma2480", "1.3-ma2480"], lambda image: image[:, 0, 0])
    monkeypatch.delenv("NCS_DEVICE", raising=False)
    monkeypatch.setattr(myriad, "ie_core", lambda: core)
    monkeypatch.setattr(runtime, "is_importable", lambda name: True)
    monkeypatch.setattr(mvncapi, "default_device", lambda: ("MYRIAD", "three sticks"))
    handles = mvncapi.enumerate_devices()
    assert handles == ["MYRIAD.1.1-ma2480", "MYRIAD.1.2-ma2480", "MYRIAD.1.3-ma2480"]
    for number, handle in enumerate(handles):
        device, graph = mvncapi.Device(handle), mvncapi.Graph("net")
        device.open()
        fifos = graph.allocate_with_fifos(device, b"\x7felf and so on")
        graph.queue_inference_with_fifo_elem(*fifos, np.full((4, 4, 3), number, np.float32), None)
        np.testing.assert_array_equal(fifos[1].read_elem()[0], [number] * 3)
        np.testing.assert_array_equal(device.get_option(mvncapi.DeviceOption.RO_THERMAL_STATS), [43.5])
        device.close()
    assert core.runs == dict.fromkeys(core.names, 2)  # the warm-up and the image


def test_enumeration_values_match_the_ncsdk():
    assert mvncapi.GraphOption.RO_TIME_TAKEN.value == 1001
    assert mvncapi.DeviceOption.RO_HW_VERSION.value == 2015
    assert mvncapi.FifoOption.RW_HOST_TENSOR_DESCRIPTOR.value == 11
    assert mvncapi.Status.INVALID_HANDLE.value == -15
    assert mvncapi.global_get_option(mvncapi.GlobalOption.RO_API_VERSION)[0] == 2


def test_a_full_fifo_of_a_host_that_does_not_wait_loses_no_result(graph):
    graph.allocate(graph.owner, graph.buffer)
    (input_descriptor,) = graph.get_option(mvncapi.GraphOption.RO_INPUT_TENSOR_DESCRIPTORS)
    (output_descriptor,) = graph.get_option(mvncapi.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)
    source = mvncapi.Fifo("in", mvncapi.FifoType.HOST_WO)
    sink = mvncapi.Fifo("out", mvncapi.FifoType.HOST_RO)
    source.allocate(graph.owner, input_descriptor, 4)
    sink.allocate(graph.owner, output_descriptor, 1)
    sink.set_option(mvncapi.FifoOption.RW_DONT_BLOCK, 1)
    for number in range(4):
        graph.queue_inference_with_fifo_elem(source, sink, np.zeros((8, 8, 3), np.float32), number)
    found, end = [], time.monotonic() + 30
    while len(found) < 4 and time.monotonic() < end:
        time.sleep(0.05)  # the graph fills the fifo and waits
        with contextlib.suppress(MvncError):
            found.append(sink.read_elem()[1])
    assert found == [0, 1, 2, 3]
