"""The bench on a runner whose times are known."""

import json

import numpy as np
import pytest
from support import onnx_nets

from ncs.cli import main
from ncs.profile import bench
from ncs.runtime.base import Runner


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Steady(Runner):
    """Answers one request every 10 ms, in order, however many are under way."""

    input_shape = (2, 3, 4, 4)
    batch_size = 2

    def __init__(self, clock, in_flight):
        self.clock, self.in_flight, self.free = clock, in_flight, 0.0
        self.open = self.most = 0

    def _start(self, batch):
        assert batch.shape == self.input_shape
        self.free = done = max(self.free, self.clock.now) + 0.010
        self.open += 1
        self.most = max(self.most, self.open)

        def wait():
            self.clock.now = max(self.clock.now, done)
            self.open -= 1
            return np.zeros((2, 5), np.float32)

        return wait

    def temperature(self):
        return 41.5


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_latency_grows_with_what_is_under_way_and_throughput_does_not(in_flight):
    clock = Clock()
    runner = Steady(clock, in_flight)
    result = bench.measure(runner, iterations=20, clock=clock)
    assert runner.most == in_flight and len(result.latencies) == 20
    assert result.throughput == pytest.approx(200)  # two pictures every 10 ms
    assert result.percentile(50) == pytest.approx(10 * in_flight)
    assert min(result.latencies) == pytest.approx(10)
    assert result.temperature == 41.5


def test_seconds_end_it():
    clock = Clock()
    result = bench.measure(Steady(clock, 1), seconds=0.095, clock=clock)
    assert len(result.latencies) == 10 and result.duration == pytest.approx(0.1)


def test_closing_lines_and_table():
    clock = Clock()
    result = bench.measure(Steady(clock, 2), iterations=20, clock=clock)
    assert bench.closing(result).splitlines() == [
        "Count:               20 iterations",
        "Duration:            200.00 ms",
        "Latency:",
        "   Median:           20.00 ms",
        "   Average:          19.50 ms",
        "   Min:              10.00 ms",
        "   Max:              20.00 ms",
        "Throughput:          200.00 FPS",
    ]
    assert bench.table([result]).splitlines()[1].split() == [
        "2",
        "20",
        "20.00",
        "20.00",
        "20.00",
        "20.00",
        "200.00",
        "41.5",
    ]


def test_the_verb(tmp_path, capsys):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    status = main(
        ["bench", "-m", model, "-d", "CPU", "-niter", "5", "-nireq", "1,2", "--json", str(tmp_path / "out.json")]
    )
    out = capsys.readouterr().out
    assert status == 0 and "Count:               5 iterations" in out and "Throughput:" in out
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [row["requests"] for row in rows] == [1, 2]
    latencies = [rows[0]["latency_" + key] for key in ("min", "p50", "p99", "max")]
    assert latencies == sorted(latencies)


def test_fewer_under_way_than_the_device_could():
    clock = Clock()
    runner = Steady(clock, 4)
    assert bench.measure(runner, iterations=8, clock=clock, most=2).requests == 2 and runner.most == 2


def test_every_device_that_is_here(tmp_path, capsys):
    """Our own Net, ONNX Runtime, OpenVINO; a blob without a stick is refused in plain words."""
    from support import caffe_nets

    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert main(["compile", prototxt, "-w", weights, "--no-blob", "-o", str(tmp_path / "net")]) == 0
    for device in ("CAFFE", "ONNXRUNTIME", "CPU", "AUTO"):
        assert main(["bench", "-m", str(tmp_path / "net.json"), "-d", device, "-niter", "3"]) == 0
        assert "Count:               3 iterations" in capsys.readouterr().out
    (tmp_path / "x.blob").write_bytes(b"")
    for device, said in (
        ("CPU", "this device takes onnx or xml; what it has is for a Neural Compute Stick"),
        ("CAFFE", "our Net needs a manifest"),
    ):
        assert main(["bench", "-m", str(tmp_path / "x.blob"), "-d", device, "-niter", "3"]) == 1
        assert said in capsys.readouterr().err


def test_a_stick_of_the_ncsdk(tmp_path, monkeypatch, capsys):
    """Its graph tells the size of the pictures, the stick its temperature."""
    from runners.simulated import Bus

    from ncs.runtime import mvnc

    bus = Bus(1, lambda picture: picture[0, 0])
    monkeypatch.setattr(mvnc, "_mvnc", bus.api)
    (tmp_path / "a.graph").write_bytes(b"graph")
    assert main(["bench", "-m", str(tmp_path / "a.graph"), "-d", "MVNC", "-niter", "9", "-nireq", "1,2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:4]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [("1", "9", "41.0"), ("2", "9", "41.0")]
    assert bus.most_queued == [2]


@pytest.mark.parametrize("more", [["-t", "0", "-niter", "-5"], ["-t", "-1"]])
def test_nothing_to_measure(tmp_path, capsys, more):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["bench", "-m", model, "-d", "CPU", *more]) == 1
    assert "nothing to measure" in capsys.readouterr().err


@pytest.mark.parametrize("requests", ["0", "a", "1,", "-1"])
def test_nonsense_is_refused(tmp_path, capsys, requests):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["bench", "-m", model, "-nireq=" + requests]) == 1
    assert "-nireq takes a positive number" in capsys.readouterr().err
