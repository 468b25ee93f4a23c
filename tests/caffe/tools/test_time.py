"""caffe time: the log lines that existing parsers read."""

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


def log_lines(capfd):
    return [line.split("] ", 1)[1] for line in capfd.readouterr().err.splitlines() if "] " in line]


def test_log_lines(net, capfd):
    assert tools.main(["time", "-model", net, "-iterations=3"]) == 0
    lines = log_lines(capfd)
    number = r"[\d.e+-]+"
    expected = [
        "Use CPU.",
        "Performing Forward",
        "Initial loss: 0",
        "Performing Backward",
        r"\*\*\* Benchmark begins \*\*\*",
        "Testing for 3 iterations.",
    ]
    expected += [f"Iteration: {i} forward-backward time: {number} ms." for i in (1, 2, 3)]
    expected.append("Average time per layer: ")
    for name in ("      data", "        ip", "a_longer_name"):
        expected += [f"{name}\tforward: {number} ms.", f"{name}\tbackward: {number} ms."]
    for name in ("Average Forward pass", "Average Backward pass", "Average Forward-Backward", "Total Time"):
        expected.append(f"{name}: {number} ms.")
    expected.append(r"\*\*\* Benchmark ends \*\*\*")
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), (pattern, line)


def test_layers_of_phase_test(net, capfd):
    assert tools.main(["time", "--model", net, "--iterations", "1", "--phase", "TEST"]) == 0
    assert any(line.startswith("      test\tforward") for line in log_lines(capfd))


@pytest.mark.parametrize(
    "flags, message", [(["--phase", "test"], 'TRAIN" or "TEST'), (["--iterations", "0"], "positive")]
)
def test_errors(net, flags, message, capsys):
    assert tools.main(["time", "--model", net, *flags]) == 1
    assert message in capsys.readouterr().err
