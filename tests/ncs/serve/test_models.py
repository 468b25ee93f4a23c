"""Served nets with several outputs and inputs: metadata, one inference per request, classification, errors."""

import cv2
import numpy as np
import pytest
from support import caffe_nets

from ncs.cli import main
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest
from ncs.serve import models
from ncs.serve.errors import RequestError
from ncs.serve.metrics import Metrics
from ncs.serve.protocol import RequestedOutput, Tensor


@pytest.fixture(params=["CPU", "ONNXRUNTIME"])
def serve(request, tmp_path):
    """Return a function that compiles a net and serves it."""
    opened = []

    def serve(text, *options):
        prototxt, weights = caffe_nets.tiny(tmp_path, text)
        assert main(["compile", prototxt, "-w", weights, "--no-blob", "-o", str(tmp_path / "net"), *options]) == 0
        opened.append(models.open_model(str(tmp_path / "net.json"), request.param, models.Limits(), Metrics()))
        return opened[-1], Manifest.read(tmp_path / "net.json")

    yield serve
    for model in opened:
        model.close()


def reference(manifest, batch):
    with open_runner("ONNXRUNTIME", manifest) as runner:
        return runner.run(batch)


def test_two_outputs(serve, tmp_path):
    (tmp_path / "sexes.txt").write_text("Male\nFemale\n")
    model, manifest = serve(caffe_nets.TWO_HEADS, "--labels", f"gender={tmp_path / 'sexes.txt'}")
    outputs = model.metadata()["outputs"]
    assert [(port["name"], port["shape"]) for port in outputs] == [("gender", [-1, 2]), ("age", [-1, 9])]
    x = np.random.default_rng(0).standard_normal((3, 3, 6, 6)).astype(np.float32)
    expected = reference(manifest, x)
    result = model.submit(model.rows([Tensor("data", "FP32", x.shape, x)])).result()
    answer = {tensor.name: tensor.array for tensor, _ in model.outputs(result, [], False)}
    np.testing.assert_allclose(answer["gender"], expected[:, :2], atol=1e-4)
    np.testing.assert_allclose(answer["age"], expected[:, 2:], atol=1e-4)
    ((best, _),) = model.outputs(result, [RequestedOutput("gender", False, 1)], False)
    names = [item.decode().split(":")[2] for item in best.array]
    assert names == [["Male", "Female"][row] for row in expected[:, :2].argmax(1)]
    with pytest.raises(RequestError, match="no output 'height'; expected 'gender', 'age'"):
        model.outputs(result, [RequestedOutput("height", False, 0)], False)


def test_two_inputs(serve):
    model, manifest = serve(caffe_nets.TWO_INPUTS)
    inputs = [(port["name"], port["shape"]) for port in model.metadata()["inputs"]]
    assert inputs == [("face", [-1, 3, 6, 6]), ("scene", [-1, 3, 4, 8]), ("image", [-1])]
    rng = np.random.default_rng(1)
    arrays = {"scene": rng.standard_normal((2, 3, 4, 8)), "face": rng.standard_normal((2, 3, 6, 6))}
    tensors = [Tensor(name, "FP32", a.shape, a.astype(np.float32)) for name, a in arrays.items()]
    np.testing.assert_allclose(model.submit(model.rows(tensors)).result(), reference(manifest, arrays), atol=1e-4)
    image = rng.integers(0, 256, (10, 12, 3), np.uint8)
    data = cv2.imencode(".png", image)[1].tobytes()
    result = model.submit(model.rows([Tensor("image", "BYTES", (1,), [data])])).result()
    blobs = {port.name: port.transform.image(image)[None] for port in manifest.all_inputs()}
    np.testing.assert_allclose(result, reference(manifest, blobs), rtol=1e-3, atol=1e-3)
    for bad, message in (
        (tensors[:1], "takes the inputs 'face', 'scene', or only 'image'"),
        ([tensors[0], Tensor("face", "FP32", (1, 3, 6, 6), np.zeros((1, 3, 6, 6)))], "same number of images"),
        ([tensors[0], Tensor("face", "FP32", (2, 3, 5, 6), np.zeros((2, 3, 5, 6)))], "expected shape"),
        ([*tensors, Tensor("x", "FP32", (1, 1), np.zeros((1, 1)))], "no input 'x'; expected 'face', 'scene'"),
    ):
        with pytest.raises(RequestError, match=message):
            model.rows(bad)
