"""MobileNet-SSD at full size: the simulated blob finds what our Net finds."""

import time

import numpy as np
import pytest
from support import mobilenet_ssd

from caffe.proto import text as prototxt_text
from ncs.compiler.compile import Model, Options, compile_models
from ncs.simulator import Simulator

# one core of a 2020s processor; the limit leaves room for a busy machine
LIMIT = 20.0  # seconds


@pytest.fixture(scope="module")
def ssd(compiler, tmp_path_factory):
    """(Net, image, simulated outputs, seconds): the blob has the raw locations and scores as outputs as well."""
    folder = tmp_path_factory.mktemp("ssd")
    text, (loc, conf, _) = mobilenet_ssd.prototxt()
    for name in (loc, conf):
        text += f'\nlayer {{ name: "{name}_copy" type: "Power" bottom: "{name}" top: "{name}_copy" }}'
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 300, 300)).astype(np.float32)
    net = mobilenet_ssd.seeded_net(text, image)
    (folder / "ssd.prototxt").write_bytes(prototxt_text.format(net.param).encode())
    net.save(str(folder / "ssd.caffemodel"))
    model = Model("ssd", str(folder / "ssd.prototxt"), str(folder / "ssd.caffemodel"), None, [])
    compile_models([(model, str(folder / "ssd"))], Options(ir=False), lambda line: None)
    simulator = Simulator.from_file(folder / "ssd.blob")
    began = time.perf_counter()
    outputs = simulator.run({"data": image})
    return net, outputs, time.perf_counter() - began, simulator.findings()


def test_locations_and_scores(ssd):
    net, outputs, seconds, findings = ssd
    assert findings == [] and seconds < LIMIT
    for name, bound in (("mbox_loc", 0.01), ("conf_flat", 0.01)):
        expected, found = net.blobs[name].data, outputs[name + "_copy"].reshape(net.blobs[name].data.shape)
        assert expected.std() > 0.05
        np.testing.assert_allclose(found, expected, atol=bound * np.abs(expected).max())


def detections(rows):
    """Return the rows (image, label, score, box) of a detection output; the list ends at image -1."""
    rows = rows.reshape(-1, 7)
    ends = np.flatnonzero(rows[:, 0] < 0)
    return rows[: ends[0]] if len(ends) else rows


def test_detections(ssd):
    """Every clear detection of the Net is in the blob's output, with the same class and box, and vice versa."""
    net, outputs, _, _ = ssd
    expected, found = detections(net.blobs["detection_out"].data), detections(outputs["detection_out"])
    assert len(expected) >= 20
    matched = [matches(first, found) for first in expected]
    assert np.mean(matched) >= 0.9  # scores that FP16 reorders decide which of two boxes suppresses the other
    assert np.mean([matches(first, expected) for first in found]) >= 0.9
    assert matched[int(expected[:, 2].argmax())]


def matches(row, others):
    same = others[others[:, 1] == row[1]]
    return bool(len(same)) and bool(
        ((np.abs(same[:, 3:] - row[3:]).max(1) < 0.02) & (np.abs(same[:, 2] - row[2]) < 0.05)).any()
    )
