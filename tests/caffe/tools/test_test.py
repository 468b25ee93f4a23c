"""caffe test: the log lines of each batch and the means."""

import re

import pytest

import caffe
from caffe import tools

NET = """name: "net"
layer { name: "x" type: "DummyData" top: "x" top: "t" include { phase: TEST } dummy_data_param { shape { dim: 4 dim: 1 }
  shape { dim: 4 dim: 1 } data_filler { type: "constant" value: 3 } data_filler { type: "constant" value: 1 } } }
layer { name: "x" type: "DummyData" top: "x" top: "t" include { phase: TRAIN }
  dummy_data_param { shape { dim: 1 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "l" loss_weight: 2 }
layer { name: "deep" type: "AbsVal" bottom: "ip" top: "deep" include { min_level: 1 stage: "more" } }
"""


@pytest.fixture
def files(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    net = caffe.Net(str(path), caffe.TEST)
    net.params["ip"][0].data[...] = 2  # 2 * 3 + 0 = 6; (6 - 1)^2 / 2 = 12.5
    net.save(str(tmp_path / "net.caffemodel"))
    return f"-model={path}", "--weights", str(tmp_path / "net.caffemodel")


def test_log_lines(files, capfd):
    assert tools.main(["test", *files, "-iterations", "3"]) == 0
    log = capfd.readouterr().err
    assert re.findall(r"\] Batch (\d), l = (\S+)", log) == [(str(i), "12.5") for i in range(3)]
    assert "] Loss: 25" in log and "] l = 12.5 (* 2 = 25 loss)" in log


def test_level_and_stage(files, capfd):
    assert tools.main(["test", *files, "--iterations=1", "-level", "1", "-stage=more"]) == 0
    assert "Batch 0, deep = 6" in capfd.readouterr().err


def test_missing_weights(files, capsys):
    assert tools.main(["test", files[0], "--weights=none.caffemodel"]) == 1
    assert "none.caffemodel" in capsys.readouterr().err
