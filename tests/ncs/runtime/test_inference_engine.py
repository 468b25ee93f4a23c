"""The stick's runner against the real OpenVINO 2021.4.2, on its CPU plugin, under a board's Python.

A stick is not needed: everything above the plugin is the same code. This is also where the device wing shows
that it runs on Python 3.7 with numpy and OpenCV alone.
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
    m = Manifest(
        "tiny",
        "data",
        (1, 3, 8, 8),
        "prob",
        Transform(size=(8, 8), mean=[1, 2, 3]),
        list("abcde"),
        folder=str(tmp_path),
    )
    m.add("onnx", tmp_path / "tiny.onnx")
    m.write(tmp_path / "tiny.json")
    np.save(tmp_path / "pictures.npy", np.random.default_rng(1).standard_normal((7, 3, 8, 8), np.float32))
    return tmp_path


def test_the_sticks_runner_on_the_cpu_plugin(python, folder):
    older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        from ncs.runners.myriad import Myriad
        folder = sys.argv[1]
        pictures = np.load(folder + "/pictures.npy")
        with Myriad(folder + "/tiny.json", "CPU", requests=3) as runner:
            assert runner.in_flight == 3 and runner.input_shape == (1, 3, 8, 8), vars(runner)
            one = runner.run(pictures)
            many = list(runner.run_many(pictures[i:i + 2] for i in range(0, 7, 2)))
        assert [len(m) for m in many] == [2, 2, 2, 1]
        assert np.array_equal(np.concatenate(many), one)
        np.save(folder + "/answers.npy", one)
        """,
        folder,
    )
    pictures = np.load(folder / "pictures.npy")
    with open_runner("CPU", folder / "tiny.json") as runner:
        np.testing.assert_allclose(np.load(folder / "answers.npy"), runner.run(pictures), atol=1e-5)


def test_no_stick_is_said_in_one_line(python, folder):
    said = older_python.run(
        python,
        """if 1:
        import sys
        from ncs.runners import open_runner, available
        from ncs.errors import NoDeviceError
        assert "MYRIAD" in available()
        try:
            open_runner("MYRIAD", sys.argv[1] + "/tiny.json")
        except NoDeviceError as error:
            print(error, error.exit_status)
        """,
        folder,
    )
    if not said:
        pytest.skip("a stick is plugged in")
    assert said.startswith("No devices found") and said.strip().endswith(" 3") and said.count("\n") == 1


def test_the_device_wing_needs_numpy_and_opencv_only(python, folder):
    said = older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        import ncs.manifest, ncs.errors, ncs.runners, ncs.runners.usb, ncs.runners.scheduler
        import ncs.runners.openvino, ncs.runners.myriad, ncs.runners.mvnc, ncs.runners.onnxruntime
        m = ncs.runtime.manifest.Manifest.read(sys.argv[1] + "/tiny.json")
        blob = m.transform.image(np.full((8, 8, 3), 7, np.uint8))
        print(m.labels, blob[:, 0, 0].tolist())
        print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "onnx", "google", "openvino"}))
        """,
        folder,
    )
    assert said.splitlines() == ["['a', 'b', 'c', 'd', 'e'] [6.0, 5.0, 4.0]", "[]"]
