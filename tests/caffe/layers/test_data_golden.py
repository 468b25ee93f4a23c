"""The data layers match real Caffe bit for bit (tests/golden/data_layers)."""

from pathlib import Path

import numpy as np
import pytest
from support.layer_nets import net_of

GOLDEN = Path(__file__).parents[2] / "golden" / "data_layers"
CASES = dict(np.load(GOLDEN / "cases.npz"))
NAMES = sorted({key.split("/")[0] for key in CASES})


@pytest.mark.parametrize("name", NAMES)
def test_matches_real_caffe(name, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    net = net_of(CASES[name + "/prototxt"].tobytes().decode(), int(CASES[name + "/phase"]))
    passes = {key.split("/")[1] for key in CASES if key.startswith(name + "/")} - {"prototxt", "phase"}
    for number in range(len(passes)):
        net.forward()
        for blob in net.blobs:
            expected = CASES[f"{name}/{number}/{blob}"]
            assert np.array_equal(net.blobs[blob].data, expected), (number, blob)


def test_all_layer_types_have_cases():
    assert {name.split("_")[0] for name in NAMES} == {"data", "image", "hdf5", "window"} and len(NAMES) == 42
