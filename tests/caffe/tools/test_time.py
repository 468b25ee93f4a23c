"""caffe time: the lines that parsers of its output look for."""

import re

import pytest

from caffe import tools

NET = """
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 2 dim: 5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3
  weight_filler { type: "xavier" } } }
layer { name: "a_longer_name" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "test" type: "ReLU" bottom: "ip" top: "test" include { phase: TEST } }
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return str(tmp_path / "net.prototxt")


def said(capfd):
    return [line.split("] ", 1)[1] for line in capfd.readouterr().err.splitlines() if "] " in line]


def test_the_lines(net, capfd):
    assert tools.main(["time", "-model", net, "-iterations=3"]) == 0
    lines = said(capfd)
    number = r"[\d.e+-]+"
    expected = [
        "Use CPU.", "Performing Forward", "Initial loss: 0", "Performing Backward",
        r"\*\*\* Benchmark begins \*\*\*", "Testing for 3 iterations.",
    ]  # fmt: skip
    expected += ["Iteration: %d forward-backward time: %s ms." % (i, number) for i in (1, 2, 3)]
    expected.append("Average time per layer: ")
    for name in ("      data", "        ip", "a_longer_name"):
        expected += [f"{name}\tforward: {number} ms.", f"{name}\tbackward: {number} ms."]
    for what in ("Average Forward pass", "Average Backward pass", "Average Forward-Backward", "Total Time"):
        expected.append(f"{what}: {number} ms.")
    expected.append(r"\*\*\* Benchmark ends \*\*\*")
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), (pattern, line)


def test_phase_test_has_its_layers(net, capfd):
    assert tools.main(["time", "--model", net, "--iterations", "1", "--phase", "TEST"]) == 0
    assert any(line.startswith("      test\tforward") for line in said(capfd))


@pytest.mark.parametrize(
    "words, fault", [(["--phase", "test"], 'TRAIN" or "TEST'), (["--iterations", "0"], "positive")]
)
def test_faults(net, words, fault, capsys):
    assert tools.main(["time", "--model", net, *words]) == 1
    assert fault in capsys.readouterr().err
