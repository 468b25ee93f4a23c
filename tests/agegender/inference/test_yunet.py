"""YuNet: OpenCV agrees with ONNX Runtime decoded by NumPy; a missing or modified net is refused."""

import hashlib

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender.errors import AgeGenderError
from agegender.inference import opencv_compat, yunet

SIDE = 640  # input size in the file


def decoded(image, threshold):
    """Rows of YuNet.rows before non-maximum suppression, computed from the file's twelve outputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(yunet.FILE, providers=["CPUExecutionProvider"])
    blob = image.transpose(2, 0, 1)[None].astype(np.float32)
    outputs = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"input": blob})))
    rows = []
    for stride in (8, 16, 32):
        level = {name: outputs[f"{name}_{stride}"][0] for name in ("cls", "obj", "bbox", "kps")}
        cells = SIDE // stride
        for cell in range(cells * cells):
            score = float(np.sqrt(level["cls"][cell, 0].clip(0, 1) * level["obj"][cell, 0].clip(0, 1)))
            if score < threshold:
                continue
            position = np.array([cell % cells, cell // cells])
            center, size = (position + level["bbox"][cell, :2]) * stride, np.exp(level["bbox"][cell, 2:]) * stride
            points = (level["kps"][cell].reshape(5, 2) + position) * stride
            rows.append([*(center - size / 2), *size, *points.ravel(), score])
    return np.array(rows)


def test_rows_agree_with_onnx_runtime():
    placements = [(20, 30, 200, 0), (330, 60, 120, 15), (120, 330, 280, -10), (480, 420, 100, 0)]
    image, matrices = composite_photographs.photograph(SIDE, SIDE, placements)
    rows = yunet.YuNet(0.6).rows(image)
    assert len(rows) == len(matrices)
    expected = decoded(image, 0.6)
    for row in rows:
        same_score = expected[np.abs(expected[:, 14] - row[14]) < 1e-5]
        assert np.abs(same_score[:, :14] - row[:14]).max(1).min() < 1e-3


def test_plain_images_have_no_faces():
    net = yunet.YuNet(0.6)
    for shape in ((1, 1), (16, 16), (3, 200), (100, 100)):
        assert net.rows(np.full((*shape, 3), 90, np.uint8)).shape == (0, 15)


def test_file_and_licence_are_the_published_ones(tmp_path, monkeypatch):
    with open(yunet.FILE, "rb") as stream:
        content = stream.read()
    assert len(content) == 232589 and hashlib.sha256(content).hexdigest() == yunet.SHA256
    licence = (tmp_path.__class__(yunet.FILE).parent / "LICENSE").read_text()
    assert "MIT License" in licence and "Shiqi Yu" in licence
    monkeypatch.setattr(yunet, "FILE", str(tmp_path / "net.onnx"))
    with pytest.raises(AgeGenderError, match="net is missing; .*pip install"):
        yunet.YuNet(0.6)
    (tmp_path / "net.onnx").write_bytes(content[:-1] + b"x")
    with pytest.raises(AgeGenderError, match="SHA-256 differs"):
        yunet.YuNet(0.6)


def test_old_opencv_is_refused(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "4.7.0")
    with pytest.raises(AgeGenderError, match="needs OpenCV 4.8 .* this is 4.7.0: pip install"):
        yunet.YuNet(0.6)


def test_opencv_log_level_is_restored(capfd):
    level = cv2.utils.logging.getLogLevel()
    yunet.YuNet(0.6)
    with opencv_compat.errors_only():
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_ERROR
    assert cv2.utils.logging.getLogLevel() == level
    assert capfd.readouterr().err == ""
