"""Runners compared with each other, and their errors without a device."""

import shutil
import sys

import numpy as np
import pytest
from support import onnx_nets

from caffe.device.transform import Transform
from caffe.errors import CaffeError
from ncs import runtime
from ncs.compiler.ir import write_ir
from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base, open_runner, usb
from ncs.runtime.manifest import Manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    onnx_nets.tiny(folder / "tiny.onnx")
    onnx_nets.tiny(folder / "four.onnx", batch=4)
    write_ir(folder / "tiny.onnx", folder / "tiny.xml")
    transform = Transform(size=(8, 8))
    manifest = Manifest("tiny", "data", (1, 3, 8, 8), "prob", transform, list("abcde"), folder=str(folder))
    for kind in ("onnx", "xml", "bin"):
        manifest.add(kind, folder / ("tiny." + kind))
    manifest.write(folder / "tiny.json")
    return folder


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((7, 3, 8, 8), np.float32)


@pytest.fixture(scope="module")
def expected(folder, images):
    with open_runner("ONNXRUNTIME", folder / "tiny.onnx", threads=1) as runner:
        return runner.run(images)


@pytest.mark.parametrize(
    "device, name, tolerance",
    [
        ("CPU", "tiny.json", 1e-5),
        ("CPU", "tiny.onnx", 1e-5),
        ("CPU", "tiny.xml", 2e-3),
        ("AUTO", "tiny.json", 2e-2),
        ("ONNXRUNTIME", "four.onnx", 1e-6),
        ("CPU", "four.onnx", 1e-5),
        ("HETERO:CPU", "tiny.xml", 2e-2),
    ],
)
def test_runners_agree(folder, images, expected, device, name, tolerance):
    with open_runner(device, folder / name) as runner:
        result = runner.run(images)
    assert result.dtype == np.float32 and result.shape == (7, 5)
    np.testing.assert_allclose(result, expected, atol=tolerance)
    np.testing.assert_allclose(result.sum(1), 1, atol=1e-2)


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_run_many_keeps_the_order(folder, images, expected, hint):
    bounds = [0, 1, 3, 4, 7]
    consumed = []

    def batches():
        for begin, end in zip(bounds, bounds[1:]):
            consumed.append(begin)
            yield images[begin:end]

    with open_runner("CPU", folder / "tiny.onnx", hint=hint) as runner:
        results = runner.run_many(batches())
        assert consumed == []  # nothing is read before it is needed
        results = list(results)
    assert [len(result) for result in results] == [1, 2, 1, 3]
    np.testing.assert_allclose(np.concatenate(results), expected, atol=1e-5)


def test_results_are_not_overwritten(folder, images):
    with open_runner("CPU", folder / "tiny.onnx") as runner:
        first = runner.run(images[:1])
        copy = first.copy()
        runner.run(images[1:])
    assert np.array_equal(first, copy)


def test_submit(folder, images, expected):
    with open_runner("CPU", folder / "tiny.onnx", hint="throughput") as runner:
        waits = [runner.submit(images[i : i + 1]) for i in range(runner.in_flight)]
        results = np.concatenate([wait() for wait in waits])
    np.testing.assert_allclose(results, expected[: len(waits)], atol=1e-5)


@pytest.mark.parametrize(
    "batch, text",
    [
        (np.zeros((1, 3, 9, 8), np.float32), "expects images of 3x8x8, received 3x9x8"),
        (np.zeros((3, 8, 8), np.float32), "expected a batch of shape"),
        (np.zeros((0, 3, 8, 8), np.float32), "with N >= 1"),
    ],
)
def test_wrong_batches(folder, batch, text):
    with open_runner("CPU", folder / "tiny.onnx") as runner, pytest.raises(NcsError, match=text):
        runner.run(batch)


@pytest.mark.parametrize("device", ["GPU", "NPU", "MYRIAD", "MVNC", "HETERO:GPU,CPU"])
def test_missing_device_is_reported_in_one_line(folder, device):
    if device not in ("MYRIAD", "MVNC"):
        import openvino

        if set(device.replace("HETERO:", "").split(",")) <= set(openvino.Core().available_devices):
            pytest.skip("this machine has a " + device)
    with pytest.raises(NoDeviceError, match="^No devices found") as fault:
        open_runner(device, folder / "tiny.json")
    assert "\n" not in str(fault.value)
    assert fault.value.exit_status == 3 != CaffeError.exit_status


def test_unknown_devices_and_files(folder, tmp_path):
    with pytest.raises(NcsError, match="unknown device 'MYRAID'; did you mean 'MYRIAD'"):
        open_runner("MYRAID", folder / "tiny.json")
    with pytest.raises(NcsError, match="none.onnx: no such file"):
        open_runner("CPU", tmp_path / "none.onnx")
    with pytest.raises(NcsError, match="x.txt: not a model"):
        open_runner("CPU", tmp_path / "x.txt")
    with pytest.raises(NcsError, match="'tiny' has xml; this device needs onnx"):
        open_runner("ONNXRUNTIME", folder / "tiny.xml")
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    for device in ("CPU", "ONNXRUNTIME"):
        with pytest.raises(NcsError, match="bad.onnx"):
            open_runner(device, tmp_path / "bad.onnx")


def test_listing_devices_imports_no_runtime():
    import subprocess

    code = (
        "import sys, ncs.runtime as r; r.available(); print([m for m in sys.modules if m in "
        "('openvino', 'onnxruntime', 'torch', 'onnx', 'google.protobuf', 'ncs.runtime.openvino')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def create_bus(root, *sticks):
    for number, (vendor, product, speed) in enumerate(sticks, 1):
        port = root / f"1-{number}"
        port.mkdir(parents=True)
        for name, value in (
            ("idVendor", vendor),
            ("idProduct", product),
            ("speed", speed),
            ("busnum", "2"),
            ("devnum", str(number)),
        ):
            (port / name).write_text(value + "\n")


def test_sticks_on_the_bus(tmp_path):
    hub = ("1d6b", "0002", "480")
    create_bus(tmp_path, ("03e7", "2485", "480"), hub, ("03e7", "2150", "5000"), ("03e7", "f63b", "5000"))
    sticks = usb.sticks(str(tmp_path))
    assert [(s.port, s.product, s.speed, s.node) for s in sticks] == [
        ("1-1", "2485", 480, "/dev/bus/usb/002/001"),
        ("1-3", "2150", 5000, "/dev/bus/usb/002/003"),
        ("1-4", "f63b", 5000, "/dev/bus/usb/002/004"),
    ]
    assert "Myriad X" in sticks[0].kind and "Myriad 2" in sticks[1].kind
    assert usb.sticks(str(tmp_path / "none")) == []


@pytest.mark.parametrize(
    "products, available, expected_device, text",
    [
        ((), ("CPU",), "CPU", "no Neural Compute Stick is plugged in"),
        (("2485",), ("CPU", "MYRIAD"), "MYRIAD", "Myriad X"),
        (("2150",), ("CPU", "MVNC"), "MVNC", "Myriad 2"),
        (("2485",), ("CPU",), "CPU", "no installed runtime supports it"),
        ((), ("ONNXRUNTIME",), "ONNXRUNTIME", "no Neural Compute Stick"),
    ],
)
def test_default_device(tmp_path, monkeypatch, products, available, expected_device, text):
    create_bus(tmp_path, *[("03e7", product, "480") for product in products])
    sticks = usb.sticks
    monkeypatch.setattr(usb, "sticks", lambda: sticks(str(tmp_path)))
    monkeypatch.setattr(runtime, "available", lambda: list(available))
    device, reason = runtime.default_device()
    assert device == expected_device and text in reason


def test_model_with_several_files(folder):
    model = base.Model.of([folder / "tiny.onnx", folder / "tiny.xml"])
    assert model.pick(["xml", "onnx"]).endswith("tiny.xml")
    assert base.Model.of(Manifest.read(folder / "tiny.json")).output == "prob"


@pytest.mark.parametrize("kind, kinds", [("onnx", ("onnx",)), ("bin", ("xml", "onnx")), ("xml", ("xml",))])
@pytest.mark.parametrize("size", ["same size", "truncated"])
def test_artefact_that_changed_after_compilation_is_rejected(folder, tmp_path, kind, kinds, size):
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / f"tiny.{kind}"
    with open(path, "r+b") as stream:
        if size == "truncated":
            stream.truncate(path.stat().st_size - 1)
        else:
            stream.seek(40)
            stream.write(bytes(64))
    for source in (tmp_path / "model" / "tiny.json", Manifest.read(tmp_path / "model" / "tiny.json")):
        with pytest.raises(NcsError, match=f"tiny.{kind} has changed since it was compiled"):
            base.Model.of(source).pick(kinds)
    with pytest.raises(NcsError, match="changed since"):
        open_runner("ONNXRUNTIME" if kind == "onnx" else "HETERO:CPU", tmp_path / "model" / "tiny.json")


def test_damage_after_the_first_use_is_detected(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    model = base.Model.of(tmp_path / "model" / "tiny.json")
    model.pick(("onnx",))
    with open(tmp_path / "model" / "tiny.onnx", "r+b") as stream:
        stream.write(b"damage")
    with pytest.raises(NcsError, match="changed since"):
        model.pick(("onnx",))
