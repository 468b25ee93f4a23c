"""Build-only nets: without torch they have the same shapes and the same ONNX export as runnable nets."""

import json
import subprocess
import sys

import numpy as np
import pytest
from support import caffe_examples

from caffe.convert.onnx_export import model_bytes
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None  # importing it raises ImportError
import numpy as np
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from caffe.convert.onnx_export import model_bytes
folder, names = sys.argv[1], json.loads(sys.argv[2])
for name in names:
    text = open(folder + "/" + name + ".prototxt").read()
    net = Net.from_param(read_net_text(text, name).param, caffe_pb2.TEST, build_only=True)
    weights = np.load(folder + "/" + name + ".npz")
    for layer, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            blob.assign(weights["%s %d" % (layer, number)])
    with open(folder + "/" + name + ".onnx", "wb") as stream:
        stream.write(model_bytes(net))
    with open(folder + "/" + name + ".json", "w") as stream:
        json.dump({blob: net.blobs[blob].shape for blob in net.blobs}, stream)
"""


def test_examples_of_every_layer_export_to_the_same_file(tmp_path):
    from caffe.proto import text

    expected = {}
    for name, net in caffe_examples.exportable():
        (tmp_path / (name + ".prototxt")).write_text(text.format(net.param))
        weights = {f"{layer} {i}": blob.data for layer, blobs in net.params.items() for i, blob in enumerate(blobs)}
        np.savez(tmp_path / (name + ".npz"), **weights)
        expected[name] = model_bytes(net), {blob: list(net.blobs[blob].shape) for blob in net.blobs}
    assert len(expected) > 100
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path), json.dumps(list(expected))]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    for name, (model, shapes) in expected.items():
        assert json.loads((tmp_path / (name + ".json")).read_text()) == shapes, name
        assert (tmp_path / (name + ".onnx")).read_bytes() == model, name


NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 weight_filler {
  type: "xavier" } } param { name: "shared" } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 3 }
  param { name: "shared" } }
"""


def test_build_only_net_takes_weights_but_cannot_be_run(tmp_path):
    net = Net.from_param(read_net_text(NET, "net").param, caffe_pb2.TEST, build_only=True)
    assert net.blobs["b"].shape == (2, 3) and net.blobs["b"].count == 6
    assert net.params["a"][0] is net.params["b"][0] and not net.params["a"][0].data.any()
    net.params["a"][0].assign(np.arange(9))
    net.save(str(tmp_path / "w.caffemodel"))
    real = Net.from_param(read_net_text(NET, "net").param, caffe_pb2.TEST)
    real.copy_from(str(tmp_path / "w.caffemodel"))
    np.testing.assert_array_equal(real.params["b"][0].data, np.arange(9).reshape(3, 3))
    for run in (net.forward, lambda: net.blobs["b"].tensor, lambda: net.blobs["b"].diff):
        with pytest.raises(CaffeError, match="built with build_only=True and cannot be run"):
            run()
