"""YuNet: OpenCV's answers are those of ONNX Runtime, decoded by plain NumPy; a net that is not the known one is refused."""

import hashlib

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender.errors import AgeGenderError
from agegender.inference import opencv_compat, yunet

SIDE = 640  # the input's size in the file


def decoded(picture, threshold):
    """Rows as YuNet.rows gives them, before overlapping ones are dropped, from the file's twelve outputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(yunet.FILE, providers=["CPUExecutionProvider"])
    blob = picture.transpose(2, 0, 1)[None].astype(np.float32)
    outputs = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"input": blob})))
    rows = []
    for stride in (8, 16, 32):
        told = {name: outputs["%s_%d" % (name, stride)][0] for name in ("cls", "obj", "bbox", "kps")}
        cells = SIDE // stride
        for cell in range(cells * cells):
            score = float(np.sqrt(told["cls"][cell, 0].clip(0, 1) * told["obj"][cell, 0].clip(0, 1)))
            if score < threshold:
                continue
            at = np.array([cell % cells, cell // cells])
            centre, size = (at + told["bbox"][cell, :2]) * stride, np.exp(told["bbox"][cell, 2:]) * stride
            points = (told["kps"][cell].reshape(5, 2) + at) * stride
            rows.append([*(centre - size / 2), *size, *points.ravel(), score])
    return np.array(rows)


def test_the_numbers_are_those_of_another_runtime():
    places = [(20, 30, 200, 0), (330, 60, 120, 15), (120, 330, 280, -10), (480, 420, 100, 0)]
    picture, matrices = composite_photographs.photograph(SIDE, SIDE, places)
    rows = yunet.YuNet(0.6).rows(picture)
    assert len(rows) == len(matrices)
    truth = decoded(picture, 0.6)
    for row in rows:
        same = truth[np.abs(truth[:, 14] - row[14]) < 1e-5]
        assert np.abs(same[:, :14] - row[:14]).max(1).min() < 1e-3


def test_nothing_is_seen_where_nothing_is():
    net = yunet.YuNet(0.6)
    for shape in ((1, 1), (16, 16), (3, 200), (100, 100)):
        assert net.rows(np.full((*shape, 3), 90, np.uint8)).shape == (0, 15)


def test_the_file_is_the_known_one_and_its_licence_lies_beside_it(tmp_path, monkeypatch):
    with open(yunet.FILE, "rb") as stream:
        content = stream.read()
    assert len(content) == 232589 and hashlib.sha256(content).hexdigest() == yunet.SHA256
    licence = (tmp_path.__class__(yunet.FILE).parent / "LICENSE").read_text()
    assert "MIT License" in licence and "Shiqi Yu" in licence
    monkeypatch.setattr(yunet, "FILE", str(tmp_path / "net.onnx"))
    with pytest.raises(AgeGenderError, match="net is missing.*pip install"):
        yunet.YuNet(0.6)
    (tmp_path / "net.onnx").write_bytes(content[:-1] + b"x")
    with pytest.raises(AgeGenderError, match="SHA-256 differs"):
        yunet.YuNet(0.6)


def test_an_old_opencv_is_told_before_it_fails(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "4.7.0")
    with pytest.raises(AgeGenderError, match="needs OpenCV 4.8 .* this is 4.7.0: pip install"):
        yunet.YuNet(0.6)


def test_opencv_is_silent_only_for_a_while(capfd):
    before = cv2.utils.logging.getLogLevel()
    yunet.YuNet(0.6)
    with opencv_compat.errors_only():
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_ERROR
    assert cv2.utils.logging.getLogLevel() == before
    assert capfd.readouterr().err == ""
