"""A stick's runner in a process of another Python, with the real OpenVINO 2021.4.2 on its CPU plugin."""

import os
import signal
import sys

import numpy as np
import pytest
from support import older_python, onnx_nets

from caffe.utils.cache import bundled_libusb, runtime_python
from ncs import runtime
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import open_runner, remote
from ncs.runtime.remote import Remote

PACKAGES = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]


@pytest.fixture
def other_python(monkeypatch):
    """Set NCS_PYTHON to a Python with OpenVINO 2021.4.2; its process ends with the test."""
    path = older_python.environment("openvino-2021.4.2-python3.8", ["3.8", "3.9"], PACKAGES)
    monkeypatch.setenv("NCS_PYTHON", path)
    yield path
    process = remote.process(path)
    os.kill(process._child.pid, signal.SIGTERM)
    process._child.wait()
    remote._process.cache_clear()


@pytest.fixture
def model(tmp_path):
    return onnx_nets.tiny(tmp_path / "tiny.onnx")


@pytest.fixture
def images():
    return np.random.default_rng(1).standard_normal((7, 3, 8, 8), np.float32)


def test_outputs_match_the_current_openvino(other_python, model, images, tmp_path):
    second = onnx_nets.tiny(tmp_path / "second.onnx", seed=2)
    expected = []
    for path in (model, second):
        with open_runner("CPU", path) as runner:
            expected.append(runner.run(images))
    with Remote(model, "CPU", requests=3) as runner, Remote(second, "CPU") as second_runner:
        assert runner.in_flight == 3 and runner.input_shape == (1, 3, 8, 8)
        np.testing.assert_allclose(runner.run(images), expected[0], atol=1e-5)
        waits = [runner.submit(images[i : i + 1]) for i in range(3)]
        np.testing.assert_allclose(second_runner.run(images), expected[1], atol=1e-5)
        np.testing.assert_allclose(np.concatenate([wait() for wait in waits][::-1]), expected[0][:3][::-1], atol=1e-5)
        parts = list(runner.run_many(images[i : i + 2] for i in range(0, 7, 2)))
        np.testing.assert_allclose(np.concatenate(parts), expected[0], atol=1e-5)
        assert runner.temperature() is None
    with Remote(model, "CPU", counters=True) as runner:
        assert sum(milliseconds for _, _, milliseconds in runner.profile(images[:1])) > 0


def test_errors_are_raised_in_this_process(other_python, model, tmp_path, images):
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(NcsError, match="bad.onnx: cannot be loaded on CPU") as fault:
        Remote(tmp_path / "bad.onnx", "CPU")
    assert fault.type is NcsError
    with Remote(model, "CPU") as runner, pytest.raises(NcsError, match="expects images of 3x8x8"):
        runner.run(np.zeros((1, 3, 9, 9), np.float32))
    assert "MYRIAD" in runtime.available() and runtime.runner_class("MYRIAD") is Remote
    with pytest.raises(NoDeviceError, match="^No devices found") as fault:
        open_runner("MYRIAD", model)
    assert fault.value.exit_status == 3


def test_plugin_uses_the_bundled_libusb(compiler, other_python, model):
    """The real plugin searches the real bus without a system package of libusb."""
    import ctypes.util

    from ncs.runtime import usb

    if usb.sticks():
        pytest.skip("a stick is plugged in")
    with pytest.raises(NoDeviceError, match="No devices found: no Neural Compute Stick responds"):
        open_runner("MYRIAD", model)
    assert ctypes.util.find_library("usb-1.0") or bundled_libusb()


def test_ended_process_is_a_lost_device_and_is_restarted(other_python, model, images):
    runner = Remote(model, "CPU")
    os.kill(remote.process(other_python)._child.pid, signal.SIGKILL)
    with pytest.raises(DeviceLostError, match="the process that runs the stick ended: status -9"):
        runner.run(images[:1])
    runner.close()
    with Remote(model, "CPU") as new_runner:
        assert new_runner.run(images).shape == (7, 5)


@pytest.mark.parametrize(
    "path, message",
    [
        ("/none/python", "NCS_PYTHON=/none/python cannot be started: No such file"),
        (sys.executable, "no runtime for Neural Compute Stick 2 is installed"),
    ],
)
def test_unsuitable_python(monkeypatch, model, path, message):
    monkeypatch.setenv("NCS_PYTHON", path)
    with pytest.raises(NoDeviceError, match=message):
        open_runner("MYRIAD", model)
    remote._process.cache_clear()


def test_default_location_of_the_other_python(monkeypatch, tmp_path):
    monkeypatch.delenv("NCS_PYTHON", raising=False)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))
    assert runtime_python() == "" and "MYRIAD" not in runtime.available()
    (tmp_path / "ncs2" / "bin").mkdir(parents=True)
    (tmp_path / "ncs2" / "bin" / "python").symlink_to(sys.executable)
    assert runtime_python() == str(tmp_path / "ncs2" / "bin" / "python") and "MYRIAD" in runtime.available()
