"""The benchmark on a runner with known times."""

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
    """Completes one request every 10 ms, in order."""

    input_shape = (2, 3, 4, 4)
    batch_size = 2

    def __init__(self, clock, in_flight):
        self.clock, self.in_flight, self.free = clock, in_flight, 0.0
        self.pending = self.max_pending = 0

    def _start(self, batch):
        assert batch.shape == self.input_shape
        self.free = end = max(self.free, self.clock.now) + 0.010
        self.pending += 1
        self.max_pending = max(self.max_pending, self.pending)

        def wait():
            self.clock.now = max(self.clock.now, end)
            self.pending -= 1
            return np.zeros((2, 5), np.float32)

        return wait

    def temperature(self):
        return 41.5


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_latency_grows_with_requests_in_flight_and_throughput_does_not(in_flight):
    clock = Clock()
    runner = Steady(clock, in_flight)
    result = bench.measure(runner, iterations=20, clock=clock)
    assert runner.max_pending == in_flight and len(result.latencies) == 20
    assert result.throughput == pytest.approx(200)  # two images every 10 ms
    assert result.percentile(50) == pytest.approx(10 * in_flight)
    assert min(result.latencies) == pytest.approx(10)
    assert result.temperature == 41.5


def test_seconds_limit_the_run():
    clock = Clock()
    result = bench.measure(Steady(clock, 1), seconds=0.095, clock=clock)
    assert len(result.latencies) == 10 and result.duration == pytest.approx(0.1)


def test_summary_and_table():
    clock = Clock()
    result = bench.measure(Steady(clock, 2), iterations=20, clock=clock)
    assert bench.summary(result).splitlines() == [
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


def test_command(tmp_path, capsys):
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


def test_limit_on_requests_in_flight():
    clock = Clock()
    runner = Steady(clock, 4)
    assert bench.measure(runner, iterations=8, clock=clock, max_in_flight=2).requests == 2
    assert runner.max_pending == 2


def test_all_available_devices(tmp_path, capsys):
    """The Caffe net, ONNX Runtime and OpenVINO; a blob without a stick is rejected."""
    from support import caffe_nets

    prototxt, weights = caffe_nets.tiny(tmp_path)
    assert main(["compile", prototxt, "-w", weights, "--no-blob", "-o", str(tmp_path / "net")]) == 0
    for device in ("CAFFE", "ONNXRUNTIME", "CPU", "AUTO"):
        assert main(["bench", "-m", str(tmp_path / "net.json"), "-d", device, "-niter", "3"]) == 0
        assert "Count:               3 iterations" in capsys.readouterr().out
    (tmp_path / "x.blob").write_bytes(b"")
    for device, message in (
        ("CPU", "this device needs onnx or xml; its files are for a Neural Compute Stick"),
        ("CAFFE", "device CAFFE needs a manifest"),
    ):
        assert main(["bench", "-m", str(tmp_path / "x.blob"), "-d", device, "-niter", "3"]) == 1
        assert message in capsys.readouterr().err


def test_ncsdk_stick(tmp_path, monkeypatch, capsys):
    """The graph reports the input size, the stick its temperature."""
    from support.fake_stick import Bus

    from ncs.runtime import mvnc

    bus = Bus(1, lambda image: image[0, 0])
    monkeypatch.setattr(mvnc, "_mvnc", bus.api)
    (tmp_path / "a.graph").write_bytes(b"graph")
    assert main(["bench", "-m", str(tmp_path / "a.graph"), "-d", "MVNC", "-niter", "9", "-nireq", "1,2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:4]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [("1", "9", "41.0"), ("2", "9", "41.0")]
    assert bus.max_queued == [2]


@pytest.mark.parametrize("options", [["-t", "0", "-niter", "-5"], ["-t", "-1"]])
def test_nothing_to_measure(tmp_path, capsys, options):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["bench", "-m", model, "-d", "CPU", *options]) == 1
    assert "nothing to measure" in capsys.readouterr().err


@pytest.mark.parametrize("requests", ["0", "a", "1,", "-1"])
def test_invalid_requests_are_rejected(tmp_path, capsys, requests):
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["bench", "-m", model, "-nireq=" + requests]) == 1
    assert "-nireq: expected a positive integer" in capsys.readouterr().err
