"""The model `faces`: boxes where the faces are, and what the nets predict for the faces that --detect finds."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from support import compiled_nets
from support.composite_photographs import photograph

from agegender.inference import net_predictor, predict
from agegender.inference.faces import detect
from agegender.inference.serving import Faces
from caffe.device.image_file import ImageError
from ncs.errors import NcsError
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest
from ncs.serve import photographs, protocol
from ncs.serve.errors import RequestError
from ncs.serve.metrics import Metrics
from ncs.serve.models import Limits, ServedModel
from ncs.serve.protocol import RequestedOutput, Tensor

NETS = ("AgeNet", "GenderNet")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    compiled_nets.compile_age_and_gender(folder, compiled_nets.transform(np.full((3, 20, 20), 110, np.float32)))
    return folder


@pytest.fixture
def faces(graph, monkeypatch):
    """The model over two served nets, as the entry point makes it."""
    point = SimpleNamespace(name="agegender", load=lambda: Faces)
    monkeypatch.setattr(photographs, "entry_points", lambda group: [point])
    models = {}
    for name in NETS:
        manifest = Manifest.read(str(graph / f"{name}.json"))
        models[name] = ServedModel(manifest, open_runner("CPU", manifest, max_batch=8), Limits(max_batch=8), Metrics())
    model = photographs.photographs(models)
    yield model
    model.close()
    for served in models.values():
        served.close()


def _image(data):
    return [Tensor("image", "BYTES", (1,), [data])]


def test_faces_are_those_of_detect(graph, faces):
    image, _ = photograph(640, 480, [(40, 60, 200, 0), (360, 200, 150, 10)])
    data = cv2.imencode(".png", image)[1].tobytes()
    arrays = faces.submit(faces.rows(_image(data))).result(30)
    nets = [
        net_predictor.NetPredictor(manifest, open_runner("CPU", manifest))
        for manifest in (Manifest.read(str(graph / f"{name}.json")) for name in NETS)
    ]
    with predict.FacePredictor(nets, detect.Detector().find) as reference:
        expected = reference.predict_array(image).predictions
    assert len(expected) == 2
    assert arrays["boxes"].tolist() == [list(prediction.face.box) for prediction in expected]
    left, top, right, bottom = arrays["boxes"][0]
    assert 40 < left < right < 240 and 60 < top < bottom < 260  # where the larger face is
    for name in NETS:
        probabilities = [prediction.answers[name].probabilities for prediction in expected]
        np.testing.assert_allclose(arrays[name], probabilities, atol=1e-5)


def test_answer_in_the_protocols_terms(faces):
    data = cv2.imencode(".png", np.full((64, 64, 3), 127, np.uint8))[1].tobytes()
    arrays = faces.submit(faces.rows(_image(data))).result(30)  # no face
    outputs = faces.outputs(arrays, [], True)
    assert [(tensor.name, tensor.datatype) for tensor, _ in outputs] == [
        (output["name"], output["datatype"]) for output in faces.metadata()["outputs"]
    ]
    assert {tensor.name: tensor.shape for tensor, _ in outputs}["boxes"] == (0, 4)
    content, length = protocol.encode("faces", outputs)
    assert len(content) == length  # nothing follows
    assert [t.name for t, _ in faces.outputs(arrays, [RequestedOutput("scores")], False)] == ["scores"]
    boxes = Tensor("boxes", "INT32", (1, 4), np.array([[1, 2, 3, 4]], np.int32))
    assert protocol.to_bytes(boxes) == struct.pack("<4i", 1, 2, 3, 4)


def test_errors(faces, monkeypatch):
    for tensors in (
        [],
        _image(b"a") * 2,
        [Tensor("image", "BYTES", (2,), [b"a", b"b"])],
        [Tensor("x", "BYTES", (1,), [b""])],
    ):
        with pytest.raises(RequestError, match="takes one image file"):
            faces.rows(tensors)
    with pytest.raises(ImageError, match="image 0: truncated or not an image"):
        faces.submit([b"nothing"]).result(30)
    with pytest.raises(RequestError, match="no output 'x'; known: boxes"):
        faces.outputs({"boxes": np.zeros((0, 4), np.int32)}, [RequestedOutput("x")], False)
    monkeypatch.setattr(photographs, "MAX_WAITING", 0)
    with pytest.raises(RequestError, match="queue is full") as caught:
        faces.submit([b""])
    assert caught.value.status == 503


def test_without_an_application_faces_is_an_error(monkeypatch):
    monkeypatch.setattr(photographs, "entry_points", lambda group: [])
    with pytest.raises(NcsError, match="--faces: no installed package detects faces"):
        photographs.photographs({})
