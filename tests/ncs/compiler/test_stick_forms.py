"""Layers with another form for the stick: ONNX Runtime and the simulated blob equal the Net."""

import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.convert.onnx_export import export_net
from caffe.errors import CaffeError
from ncs.cli import main
from ncs.simulator import Simulator


def layer(text):
    return "layer { " + text + " }\n"


DATA = layer('name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 7 dim: 10 } }')
CONV = DATA + layer(
    'name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 pad: 1 '
    'weight_filler { type: "gaussian" std: 0.4 } }'
)
POOL = layer(
    'name: "pool" type: "Pooling" bottom: "conv" top: "pool" top: "mask" pooling_param { kernel_size: 2 stride: 2 }'
)
UNPOOL = layer(
    'name: "up" type: "Upsample" bottom: "pool" bottom: "mask" top: "up" upsample_param { upsample_h: 7 upsample_w: 10 }'
)
RELU = layer('name: "relu" type: "ReLU" bottom: "conv" top: "conv"')
NETS = {
    "unpooling": CONV + RELU + POOL + UNPOOL,
    "arctangent": CONV
    + layer('name: "s" type: "SeLu" bottom: "conv" top: "s"')
    + layer('name: "p" type: "Power" bottom: "s" top: "p" power_param { scale: 3 }')
    + layer('name: "a" type: "Atan" bottom: "p" top: "a"'),
    "sequence": CONV
    + layer('name: "t" type: "Transpose" bottom: "conv" top: "t" transpose_param { dim: [3, 0, 1, 2] }')
    + layer(
        'name: "lstm" type: "Lstm" bottom: "t" top: "lstm" lstm_param { num_output: 5 weight_filler { type: "gaussian" '
        "std: 0.3 } }"
    ),
}


def run_net(text):
    caffe.set_random_seed(11)
    net = net_of(text, caffe.TEST)
    net.blobs["data"].data[...] = np.random.default_rng(3).standard_normal((1, 3, 7, 10))
    net.forward()
    return net


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_onnx_runtime_equals_the_net(text, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    net = run_net(text)
    export_net(net, tmp_path / "net.onnx", stick=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    [received] = session.run(net.outputs, {"data": net.blobs["data"].data})
    np.testing.assert_allclose(received, net.blobs[net.outputs[0]].data, atol=2e-6)


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_the_blob_equals_the_net(compiler, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = run_net(text)
    (tmp_path / "net.prototxt").write_text(text)
    net.save("net.caffemodel")
    assert main(["compile", "net.prototxt", "-w", "net.caffemodel", "--no-ir"]) == 0
    simulator = Simulator.from_file(tmp_path / "net.blob")
    [received] = simulator.run({"data": net.blobs["data"].data.copy()}).values()
    expected = net.blobs[net.outputs[0]].data
    assert simulator.findings() == []
    np.testing.assert_allclose(received.reshape(expected.shape), expected, atol=6e-3 * np.abs(expected).max())


def test_other_masks_are_refused(tmp_path):
    net = run_net(CONV + POOL.replace("kernel_size: 2", "kernel_size: 3") + UNPOOL)
    with pytest.raises(CaffeError, match="a kernel of 2 with stride 2"):
        export_net(net, tmp_path / "net.onnx", stick=True)
