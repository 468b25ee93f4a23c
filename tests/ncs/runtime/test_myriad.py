"""The runner of Neural Compute Stick 2 on a simulated OpenVINO 2021.4 with injected faults; several sticks."""

import threading
import time

import numpy as np
import pytest
from support.inference_engine import Core

from ncs import runtime
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import myriad, open_runner
from ncs.runtime.scheduler import Scheduler

ONE, THREE = ["1.1-ma2480"], ["1.1-ma2480", "1.2-ma2480", "2.4-ma2480"]


def model(image):
    return np.array([image.sum(), image[0, 1, 2], image.max()], np.float32)


@pytest.fixture
def images():
    return np.random.default_rng(5).integers(-9, 10, (1000, 3, 4, 4)).astype(np.float32)


@pytest.fixture
def blob(tmp_path):
    (tmp_path / "net.blob").write_bytes(b"\x7felf and so on")
    return tmp_path / "net.blob"


@pytest.fixture
def plug(monkeypatch):
    """Return plug(names, delay) -> Core, which simulates an installed OpenVINO 2021.4 with these sticks."""

    def put(names, delay=0.0):
        core = Core(names, model, delay=delay)
        monkeypatch.setattr(myriad, "ie_core", lambda: core)
        monkeypatch.setattr(runtime, "is_importable", lambda name: True)
        return core

    return put


def test_one_stick(plug, blob, images):
    core = plug(ONE)
    with open_runner("MYRIAD", blob) as stick:
        assert (stick.device, stick.in_flight, stick.input_shape) == ("MYRIAD", 2, (1, 3, 4, 4))
        np.testing.assert_array_equal(stick.run(images[:9]), [model(p) for p in images[:9]])
        assert stick.temperature() == 43.5
    assert core.max_pending == {"1.1-ma2480": 2}
    with open_runner("MYRIAD", blob, counters=True) as stick:
        assert stick.profile(images[:1]) == [("conv1", "Convolution", 1.5)]
    assert core.loaded[1][2] == {"PERF_COUNT": "YES"}


def test_all_sticks_are_used_unless_one_is_named(plug, blob, images):
    core = plug(THREE, delay=0.001)
    with open_runner("MYRIAD", blob) as sticks:
        assert (
            isinstance(sticks, Scheduler)
            and sticks.in_flight == 6
            and sticks.device.startswith("3 devices: MYRIAD.1.1")
        )
        np.testing.assert_array_equal(sticks.run(images[:60]), [model(p) for p in images[:60]])
        waits = [sticks.submit(images[i : i + 1]) for i in range(6)]
        np.testing.assert_array_equal(np.concatenate([wait() for wait in waits]), [model(p) for p in images[:6]])
        assert sticks.temperature() == 43.5
    assert sorted(core.runs) == THREE and min(core.runs.values()) > 5
    with open_runner("MYRIAD.1.2-ma2480", blob) as stick:
        stick.run(images[:2])
        assert stick.device == "MYRIAD.1.2-ma2480"
    with open_runner("myriad.1.2-MA2480", blob) as stick:
        assert stick.device == "MYRIAD.1.2-ma2480"


def test_three_sticks_with_one_unplugged_twice(plug, blob, images):
    core = plug(THREE, delay=0.001)
    core.plan = {("1.2-ma2480", 50): "pull out", ("1.2-ma2480", 150): "pull out", ("1.1-ma2480", 20): -1}
    unplugged_after = []

    def reconnect():
        while len(unplugged_after) < 2:
            if not core.plugged["1.2-ma2480"]:
                unplugged_after.append(core.runs["1.2-ma2480"])
                time.sleep(0.05)
                core.put_back("1.2-ma2480")
            time.sleep(0.001)

    thread = threading.Thread(target=reconnect, daemon=True)
    thread.start()
    with open_runner("MYRIAD", blob) as sticks:
        results = list(sticks.run_many(images[i : i + 1] for i in range(1000)))
        lost = list(sticks.lost)
    thread.join(5)
    assert unplugged_after == [50, 150] and lost == [1, 2, 0]  # a request that fails with a status also loses its stick
    np.testing.assert_array_equal(np.concatenate(results), [model(p) for p in images])
    assert set(core.max_pending.values()) == {2}


def test_lost_stick(plug, blob, images):
    core = plug(ONE)
    stick = open_runner("MYRIAD", blob)
    core.pull_out("1.1-ma2480")
    with pytest.raises(DeviceLostError, match="MYRIAD: Failed to queue inference: NC_ERROR"):
        stick.run(images[:1])
    assert stick.temperature() is None
    stick.close()
    with pytest.raises(NoDeviceError, match="no Neural Compute Stick responds"):
        open_runner("MYRIAD", blob)
    with pytest.raises(NoDeviceError, match="no Neural Compute Stick responds"):
        open_runner("MYRIAD.1.1-ma2480", blob)


def test_unknown_stick_and_invalid_blob(plug, tmp_path, blob):
    plug(THREE)
    with pytest.raises(NoDeviceError, match="with the name MYRIAD.9; available: MYRIAD.1.1-ma2480, MYRIAD.1.2"):
        open_runner("MYRIAD.9", blob)
    (tmp_path / "bad.blob").write_bytes(b"")
    with pytest.raises(NcsError, match="bad.blob: cannot be loaded on MYRIAD.1.1-ma2480: Blob is empty"):
        open_runner("MYRIAD", tmp_path / "bad.blob")


def test_invalid_image_does_not_affect_the_others(plug, blob, images):
    plug(THREE)
    with open_runner("MYRIAD", blob) as sticks:
        waits = [sticks.submit(images[i : i + 1]) for i in range(3)]
        wrong = sticks.submit(np.zeros((1, 3, 5, 5), np.float32))
        with pytest.raises(NcsError, match="expects images of 3x4x4, received 3x5x5"):
            wrong()
        np.testing.assert_array_equal(np.concatenate([wait() for wait in waits]), [model(p) for p in images[:3]])
        np.testing.assert_array_equal(sticks.run(images[:4]), [model(p) for p in images[:4]])


def test_commands_on_a_stick(compiler, plug, tmp_path, monkeypatch, capsys):
    """check, profile and bench compile for the stick and run on it; it simulates the Caffe net in half precision."""
    from support import caffe_nets

    from ncs.cli import main

    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path)
    net = caffe_nets.seeded(prototxt)
    net.copy_from(weights)
    core = plug(ONE)
    core.shape = (1, 3, 8, 8)
    core.model = lambda image: net.forward(data=image[None])["prob"][0].astype(np.float16)
    assert main(["check", prototxt, "-w", weights, "-s", "4", "-d", "MYRIAD"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Device: MYRIAD") and "emulation" not in output and "Pass" in output
    core.model = lambda image: np.full(5, 0.2, np.float16)
    assert main(["check", prototxt, "-w", weights, "-d", "myriad.1.1-MA2480"]) == 1
    assert "Fail" in capsys.readouterr().out
    assert main(["profile", prototxt, "-w", weights, "-d", "MYRIAD", "-n", "3"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Measured on MYRIAD: median of 3 runs")
    assert "1.500" in output and "ESTIMATE" not in output
    assert main(["compile", prototxt, "-w", weights, "-o", "net"]) == 0
    assert main(["bench", "-m", "net.json", "-d", "MYRIAD", "-nireq", "1,4", "-niter", "8"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()[1:2] == ["8"]]
    assert [(row[0], row[-1]) for row in rows] == [("1", "43.5"), ("4", "43.5"), ("Count:", "iterations")]


def test_requested_stick_is_not_replaced_by_the_emulation(plug, tmp_path, capsys):
    """A missing stick is an error if it was requested; the emulation does not replace it."""
    from support import caffe_nets

    from ncs.cli import main

    prototxt, weights = caffe_nets.tiny(tmp_path)
    plug([])
    assert main(["check", prototxt, "-w", weights, "-d", "MYRIAD"]) == 3
    assert "no Neural Compute Stick responds" in capsys.readouterr().err
