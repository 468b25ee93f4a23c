"""Scripts in the style of the examples of 2017 and 2018 run unchanged; their results equal our Net's."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import onnx_nets

import caffe
from ncs.compiler.compile import Model, Options, compile_models
from ncs.mvnc_compat import mvncapi as mvnc
from ncs.runtime import open_runner

CLASSIFY = """
from mvnc import mvncapi as mvnc
import numpy
import sys

mvnc.SetGlobalOption(mvnc.GlobalOption.LOG_LEVEL, 2)
names = mvnc.EnumerateDevices()
if len(names) == 0:
    print("no stick")
    quit()
stick = mvnc.Device(names[0])
stick.OpenDevice()
optimisations = stick.GetDeviceOption(mvnc.DeviceOption.OPTIMISATION_LIST)
with open(sys.argv[1], mode="rb") as graph_file:
    graph = stick.AllocateGraph(graph_file.read())
graph.SetGraphOption(mvnc.GraphOption.ITERATIONS, 1)
image = numpy.load(sys.argv[2])
for turn in range(2):
    if graph.LoadTensor(image.astype(numpy.float16), "frame %d" % turn):
        result, frame = graph.GetResult()
        milliseconds = numpy.sum(graph.GetGraphOption(mvnc.GraphOption.TIME_TAKEN))
        print(frame, result.dtype, milliseconds > 0, " ".join("%.4f" % value for value in result))
graph.DeallocateGraph()
stick.CloseDevice()
"""
# Two frames in flight, and a busy stick: the pattern of the camera examples.
STREAM = """
import sys, time, threading
import numpy as np
import mvnc.mvncapi as fx

sticks = [fx.Device(name) for name in fx.EnumerateDevices()]
graphs = []
for stick in sticks:
    stick.OpenDevice()
    graphs.append(stick.AllocateGraph(open(sys.argv[1], "rb").read()))
for graph in graphs:
    graph.SetGraphOption(fx.GraphOption.DONTBLOCK, 1)
image = np.load(sys.argv[2]).astype(np.float16)
done = {}

def work(number):
    sent = received = 0
    while received < 6:
        if sent < 6 and graphs[number].LoadTensor(image * sent, (number, sent)):
            sent += 1
        output, label = graphs[number].GetResult()
        if output is None:
            time.sleep(0.001)
            continue
        assert label == (number, received)
        received += 1
        done[label] = output.argmax()

threads = [threading.Thread(target=work, args=(number,)) for number in range(len(graphs))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(sticks), len(done), "busy", all(done[(0, i)] == done[(1, i)] for i in range(6)))
[graph.DeallocateGraph() for graph in graphs]
[stick.CloseDevice() for stick in sticks]
"""
TWO_STICKS = """
import sys
import numpy as np
from mvnc import mvncapi

devices = []
for handle in mvncapi.enumerate_devices():
    device = mvncapi.Device(handle)
    device.open()
    devices.append(device)
if len(devices) < 2:
    sys.exit("this example needs two sticks")
print(devices[0].get_option(mvncapi.DeviceOption.RO_THERMAL_THROTTLING_LEVEL))
blob = open(sys.argv[1], "rb").read()
nets = []
for number, device in enumerate(devices):
    net = mvncapi.Graph("net %d" % number)
    nets.append((net,) + net.allocate_with_fifos(device, blob))
tensor = np.load(sys.argv[2]).astype(np.float32)
for net, source, sink in nets:
    net.queue_inference_with_fifo_elem(source, sink, tensor, None)
for net, source, sink in nets:
    shape = net.get_option(mvncapi.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)[0]
    result = sink.read_elem()[0].reshape(shape.h, shape.w, shape.c)
    print(" ".join("%.3f" % value for value in result[1, 2]))
for net, source, sink in nets:
    source.destroy(), sink.destroy(), net.destroy()
for device in devices:
    device.close()
    device.destroy()
"""
SPATIAL = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "gaussian" std: 0.3 } } }
"""


@pytest.fixture
def folder(tmp_path):
    onnx_nets.tiny(tmp_path / "net.onnx")
    os.rename(tmp_path / "net.onnx", tmp_path / "graph")
    np.save(tmp_path / "image.npy", np.random.default_rng(0).standard_normal((8, 8, 3)).astype(np.float32))
    return tmp_path


def run(folder, script, devices, graph="graph"):
    (folder / "script.py").write_text(script)
    command = [sys.executable, "-m", "ncs.mvnc_compat", "script.py", graph, "image.npy"]
    environment = dict(os.environ, NCS_DEVICE=devices)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_classification_script(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    onnx_nets.tiny(path)
    image = np.load(folder / "image.npy").astype(np.float16).astype(np.float32).transpose(2, 0, 1)[None]
    with open_runner("ONNXRUNTIME", path, threads=1) as runner:
        expected = runner.run(image)[0]
    result = run(folder, CLASSIFY, "CPU")
    assert result.returncode == 0, result.stderr
    for turn, line in enumerate(result.stdout.splitlines()):
        name, number, dtype, timed, *values = line.split()
        assert (name, number, dtype, timed) == ("frame", str(turn), "float16", "True")
        np.testing.assert_allclose(np.array(values, float), expected, atol=2e-3)
    assert turn == 1


def test_stream_script_on_two_devices(folder):
    result = run(folder, STREAM, "CPU,CPU")
    assert (result.returncode, result.stdout) == (0, "2 12 busy True\n"), result.stderr


def test_script_for_two_sticks_in_the_simulator(folder, compiler):
    """A feature map has its channels innermost, as on a stick, in the simulator as well."""
    (folder / "net.prototxt").write_text(SPATIAL)
    caffe.set_random_seed(2)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    net.save(str(folder / "net.caffemodel"))
    net.blobs["data"].data[...] = np.load(folder / "image.npy").transpose(2, 0, 1)
    expected = net.forward()["conv"][0, :, 1, 2]
    model = Model("net", str(folder / "net.prototxt"), str(folder / "net.caffemodel"), None, [])
    compile_models([(model, str(folder / "net"))], Options(ir=False), lambda text: None)
    result = run(folder, TWO_STICKS, "SIMULATOR,SIMULATOR", "net.blob")
    assert result.returncode == 0, result.stderr
    throttling, *rows = result.stdout.splitlines()
    assert throttling == "0" and len(rows) == 2
    for row in rows:
        np.testing.assert_allclose(np.array(row.split(), float), expected, atol=0.01)
    one = run(folder, TWO_STICKS, "SIMULATOR", "net.blob")
    assert (one.returncode, one.stderr.strip()) == (1, "this example needs two sticks")


def test_a_blob_without_a_stick_names_the_simulator(folder, compiler):
    (folder / "graph").write_bytes(b"\x7felf")
    assert "NCS_DEVICE=SIMULATOR executes it on this machine" in run(folder, CLASSIFY, "CPU").stderr


def test_a_graph_with_two_outputs_is_refused(folder, tmp_path, monkeypatch):
    """NCSDK's graphs have one output; the second one is not dropped silently."""
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in ("x", "y", "z")]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]))
    model.opset_import[0].version, model.ir_version = 11, 6
    for device in ("CPU", "ONNXRUNTIME"):
        monkeypatch.setenv("NCS_DEVICE", device)
        stick = mvnc.Device(mvnc.EnumerateDevices()[0])
        stick.OpenDevice()
        with pytest.raises(Exception, match="this file also has z; compile it with -on") as fault:
            stick.AllocateGraph(model.SerializeToString())
        assert fault.value.args[0] == mvnc.Status.UNSUPPORTED_GRAPH_FILE


def test_options_of_version_1(folder, monkeypatch):
    monkeypatch.setenv("NCS_DEVICE", "CPU")
    mvnc.SetGlobalOption(mvnc.GlobalOption.LOG_LEVEL, 1)
    assert mvnc.GetGlobalOption(mvnc.GlobalOption.LOGLEVEL) == 1
    device = mvnc.Device(mvnc.EnumerateDevices()[0])
    device.OpenDevice()
    assert device.GetDeviceOption(mvnc.DeviceOption.OPTIMISATIONLIST) == []
    assert device.GetDeviceOption(mvnc.DeviceOption.THERMAL_THROTTLING_LEVEL) == 0
    device.SetDeviceOption(mvnc.DeviceOption.TEMP_LIM_LOWER, 60.0)
    assert device.GetDeviceOption(mvnc.DeviceOption.TEMP_LIM_LOWER) == 60.0
    graph = device.AllocateGraph((folder / "graph").read_bytes())
    assert graph.GetGraphOption(mvnc.GraphOption.DONT_BLOCK) == 0
    assert graph.GetGraphOption(mvnc.GraphOption.DEBUG_INFO) == ""
    calls = [
        lambda: graph.SetGraphOption(mvnc.GraphOption.TIME_TAKEN, 1),
        lambda: graph.GetGraphOption(mvnc.GraphOption.RO_TIME_TAKEN),
        lambda: device.SetDeviceOption(mvnc.DeviceOption.OPTIMISATION_LIST, 1),
        lambda: graph.LoadTensor(np.zeros((8, 8, 3), np.float32), None),
    ]
    for call in calls:
        with pytest.raises(Exception) as fault:
            call()
        assert fault.value.args[0] == mvnc.Status.INVALID_PARAMETERS
    device.CloseDevice()
    with pytest.raises(Exception) as fault:
        graph.LoadTensor(np.zeros((8, 8, 3), np.float16), None)
    assert fault.value.args[0] == mvnc.Status.NOT_ALLOCATED
