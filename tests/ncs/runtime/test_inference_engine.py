"""The stick's runner with the real OpenVINO 2021.4.2 on its CPU plugin, on an older Python.

No stick is needed: everything above the plugin is the same code. These tests also check that the runtime subset runs on
Python 3.7 with only numpy and OpenCV.
"""

import numpy as np
import pytest
from support import older_python, onnx_nets

from caffe.device.transform import Transform
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

PACKAGES = ["openvino==2021.4.2", "numpy", "opencv-python-headless"]


@pytest.fixture(scope="module", params=["3.7", "3.8 or 3.9"])
def python(request):
    versions = request.param.split(" or ")
    return older_python.environment("openvino-2021.4.2-python" + versions[0], versions, PACKAGES)


@pytest.fixture
def folder(tmp_path):
    onnx_nets.tiny(tmp_path / "tiny.onnx")
    manifest = Manifest(
        "tiny",
        "data",
        (1, 3, 8, 8),
        "prob",
        Transform(size=(8, 8), mean=[1, 2, 3]),
        list("abcde"),
        folder=str(tmp_path),
    )
    manifest.add("onnx", tmp_path / "tiny.onnx")
    manifest.write(tmp_path / "tiny.json")
    np.save(tmp_path / "images.npy", np.random.default_rng(1).standard_normal((7, 3, 8, 8), np.float32))
    return tmp_path


def test_stick_runner_on_the_cpu_plugin(python, folder):
    older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        from ncs.runtime.myriad import Myriad
        folder = sys.argv[1]
        images = np.load(folder + "/images.npy")
        with Myriad(folder + "/tiny.json", "CPU", requests=3) as runner:
            assert runner.in_flight == 3 and runner.input_shape == (1, 3, 8, 8), vars(runner)
            result = runner.run(images)
            parts = list(runner.run_many(images[i:i + 2] for i in range(0, 7, 2)))
        assert [len(part) for part in parts] == [2, 2, 2, 1]
        assert np.array_equal(np.concatenate(parts), result)
        np.save(folder + "/outputs.npy", result)
        """,
        folder,
    )
    images = np.load(folder / "images.npy")
    with open_runner("CPU", folder / "tiny.json") as runner:
        np.testing.assert_allclose(np.load(folder / "outputs.npy"), runner.run(images), atol=1e-5)


def test_missing_stick_is_reported_in_one_line(python, folder):
    output = older_python.run(
        python,
        """if 1:
        import sys
        from ncs.runtime import open_runner, available
        from ncs.errors import NoDeviceError
        assert "MYRIAD" in available()
        try:
            open_runner("MYRIAD", sys.argv[1] + "/tiny.json")
        except NoDeviceError as error:
            print(error, error.exit_status)
        """,
        folder,
    )
    if not output:
        pytest.skip("a stick is plugged in")
    assert output.startswith("No devices found") and output.strip().endswith(" 3") and output.count("\n") == 1


def test_runtime_subset_needs_only_numpy_and_opencv(python, folder):
    output = older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        import ncs.runtime.manifest, ncs.errors, ncs.runtime, ncs.runtime.usb, ncs.runtime.scheduler
        import ncs.runtime.openvino, ncs.runtime.myriad, ncs.runtime.mvnc, ncs.runtime.onnxruntime
        m = ncs.runtime.manifest.Manifest.read(sys.argv[1] + "/tiny.json")
        blob = m.transform.image(np.full((8, 8, 3), 7, np.uint8))
        print(m.labels, blob[:, 0, 0].tolist())
        print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "onnx", "google", "openvino"}))
        """,
        folder,
    )
    assert output.splitlines() == ["['a', 'b', 'c', 'd', 'e'] [6.0, 5.0, 4.0]", "[]"]
