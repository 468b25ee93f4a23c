"""The runner of OAK cameras, on a fake depthai 2 and 3 whose networks run in the simulator."""

import json

import numpy as np
import pytest
from support import caffe_nets, fake_depthai
from support.fake_depthai import Camera

from ncs.cli import main
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import oak, oak_session, open_runner
from ncs.runtime.manifest import Manifest

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.02 } } }
layer { name: "b" type: "InnerProduct" bottom: "data" top: "b"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.02 } } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiler):
    folder = tmp_path_factory.mktemp("oak")
    prototxt, weights = caffe_nets.tiny(folder, NET)
    arguments = ["compile", prototxt, "-w", weights, "--mean", "10,20,30"]
    assert main([*arguments, "--target", "oak", "-o", str(folder / "net")]) == 0
    assert main([*arguments, "--target", "oak", "-ip", "FP16", "--no-ir", "-o", str(folder / "half")]) == 0
    assert main([*arguments, "-o", str(folder / "stick")]) == 0
    return folder


@pytest.fixture(params=[3, 2])
def install(request, monkeypatch):
    """Return a function that installs a fake depthai with the given cameras."""

    def install(*cameras):
        module = fake_depthai.module(request.param, cameras)
        monkeypatch.setattr(oak, "_depthai", lambda: module)
        return module

    return install


def expected(folder, name, batch):
    with open_runner("SIMULATOR", folder / f"{name}.json") as runner:
        return runner.run(batch)


@pytest.mark.parametrize("name", ["net", "half"])
def test_outputs_equal_the_blobs(folder, install, name):
    camera = Camera("14442C10")
    install(camera)
    batch = np.random.default_rng(1).integers(0, 256, (5, 3, 6, 6)).astype(np.float32)
    with open_runner("OAK", folder / f"{name}.json") as runner:
        rows = runner.run(batch)
        assert runner.temperature() == 51.5
    assert (camera.messages, camera.opened, camera.closed) == (5, 1, 1) and rows.shape == (5, 5)
    np.testing.assert_allclose(rows, expected(folder, name, batch), rtol=2e-3, atol=1e-3)


def test_pixels_are_rounded_and_limited(folder, install):
    install(Camera("a"))
    batch = np.full((1, 3, 6, 6), 254.6, np.float32)
    with open_runner("OAK", folder / "net.json") as runner:
        np.testing.assert_array_equal(runner.run(batch), runner.run(np.full((1, 3, 6, 6), 255)))
        np.testing.assert_array_equal(runner.run(batch * 0 - 3), runner.run(batch * 0))


def test_several_cameras_share_the_batches(folder, install):
    cameras = [Camera("a"), Camera("b"), Camera("c", platform="X_LINK_RVC4")]
    install(*cameras)
    batch = np.random.default_rng(3).integers(0, 256, (20, 3, 6, 6)).astype(np.float32)
    with open_runner("OAK", folder / "net.json") as runner:
        rows = runner.run(batch)
        assert runner.device == "2 devices: OAK.a, OAK.b"
    np.testing.assert_allclose(rows, expected(folder, "net", batch), rtol=2e-3, atol=1e-3)
    assert cameras[0].messages + cameras[1].messages == 20 and cameras[2].opened == 0
    with open_runner("OAK.b", folder / "net.json") as runner:
        assert runner.device == "OAK.b"


def test_nets_of_one_process_share_the_camera(folder, install):
    """A camera runs one pipeline, so it is opened once; a net that is opened later is an error, not a hang."""
    camera = Camera("a")
    install(camera)
    batch = np.random.default_rng(5).integers(0, 256, (2, 3, 6, 6)).astype(np.float32)
    first, second = open_runner("OAK", folder / "net.json"), open_runner("OAK.a", folder / "half.json")
    for name, runner in (("net", first), ("half", second)):
        np.testing.assert_allclose(runner.run(batch), expected(folder, name, batch), rtol=2e-3, atol=1e-3)
    with pytest.raises(DeviceLostError, match="open all nets before the first inference"):
        open_runner("OAK", folder / "net.json")
    first.close()
    assert (camera.opened, camera.closed) == (1, 0)
    second.close()
    assert (camera.opened, camera.closed) == (1, 1)
    with open_runner("OAK", folder / "net.json") as runner:
        runner.run(batch)
    assert (camera.opened, camera.closed) == (2, 2)


def lost_at(number):
    def fault(count):
        if count == number:
            raise RuntimeError("Communication exception - possible device error/misconfiguration. (X_LINK_ERROR)")

    return fault


def test_an_unplugged_camera_is_an_error(folder, install):
    install(Camera("a", fault=lost_at(3)))
    with open_runner("OAK", folder / "net.json") as runner, pytest.raises(DeviceLostError, match="X_LINK_ERROR"):
        runner.run(np.zeros((5, 3, 6, 6), np.float32))


def test_the_other_camera_takes_over(folder, install):
    cameras = [Camera("a", fault=lost_at(2)), Camera("b")]
    install(*cameras)
    batch = np.random.default_rng(4).integers(0, 256, (12, 3, 6, 6)).astype(np.float32)
    with open_runner("OAK", folder / "net.json") as runner:
        np.testing.assert_allclose(runner.run(batch), expected(folder, "net", batch), rtol=2e-3, atol=1e-3)


def test_missing_cameras_and_wrong_blobs(folder, install):
    install(Camera("a"))
    with pytest.raises(NoDeviceError, match="no OAK camera with the id or address x responds; found: a"):
        open_runner("OAK.x", folder / "net.json")
    with pytest.raises(NcsError, match="the blob has data FP32, a FP32, b FP32; compile it with --target oak"):
        open_runner("OAK.a", folder / "stick.json")
    install()
    with pytest.raises(NoDeviceError, match="no OAK camera responds; found: none"):
        open_runner("OAK", folder / "net.json")


def test_without_depthai(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "depthai", None)
    with pytest.raises(NoDeviceError, match="pip install depthai"):
        open_runner("OAK", folder / "net.json")


def test_camera_program_of_a_bundle(install, tmp_path, compiler, capsys):
    """The compact net predicts the faces of a camera's frame as it does from an image file."""
    from support.composite_photographs import photograph

    from agegender.inference import oak_main
    from agegender.inference.faces.detect import Detector
    from agegender.inference.net_predictor import open_heads
    from agegender.inference.predict import FacePredictor

    assert main(["compile", "--model", "compact", "--target", "oak", "--no-ir", "-o", str(tmp_path / "graph")]) == 0
    manifest = str(tmp_path / "graph" / "compact.json")
    assert main(["bundle", manifest, "--target", "oak", "-o", str(tmp_path / "bundle")]) == 0
    names = {path.name for path in (tmp_path / "bundle").rglob("*")}
    assert {"oak_camera.py", "run_inference.py", "compact.blob", "compact.tar.xz"} <= names
    assert "compact.onnx" not in names and "depthai 3 or 2" in (tmp_path / "bundle" / "README.txt").read_text()
    image = photograph(600, 300, [(40, 60, 200, 0), (330, 70, 180, 10)])[0]
    camera = Camera("a", image)
    module = install(camera)
    capsys.readouterr()
    arguments = ["--model-dir", str(tmp_path / "bundle" / "graph"), "--frames", "2", "--json"]
    assert oak_main.main([*arguments, "--output", str(tmp_path / "out.jpg")], module) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (tmp_path / "out.jpg").is_file() and camera.closed == 1 and camera.messages == 4
    read = Manifest.read(manifest)
    with FacePredictor(open_heads(read, open_runner("SIMULATOR", read)), Detector().find) as predictor:
        faces = predictor.predict_array(image).predictions
    assert len(lines) == 2 and len(faces) == 2
    for line in lines:
        text = json.dumps(line)
        for face in faces:
            for answer in face.answers.values():
                assert answer.text in text
    assert oak_main.main([*arguments, "--device", "OAK.x"], module) != 0
    assert "no OAK camera with the id or address x responds" in capsys.readouterr().err


def test_the_real_package_has_the_interface():
    """Every name that the fake has exists in depthai."""
    dai = pytest.importorskip("depthai", reason="needs depthai, which is not a dependency: pip install depthai")
    for path, names in fake_depthai.INTERFACE[int(dai.__version__.split(".")[0])].items():
        owner = dai
        for part in path.split("."):
            owner = getattr(owner, part)
        assert [name for name in names if not hasattr(owner, name)] == [], path


def test_messages_of_the_real_package(folder):
    """Tensors go into a message and come out of it unchanged; depthai 2 builds the whole pipeline without a camera."""
    dai = pytest.importorskip("depthai", reason="needs depthai, which is not a dependency: pip install depthai")
    if hasattr(dai.NNData, "addTensor"):
        sent = []
        source, sink = (
            type("Queue", (), {"send": lambda self, data: sent.append(data), "get": lambda self: sent[-1]})(),
        ) * 2
        network = oak_session.Network3(dai, source, sink, ["data"])
        for array in (np.arange(108, dtype=np.uint8), np.arange(108, dtype=np.float16) / 4):
            network.put({"data": array.reshape(1, 3, 6, 6)})
            np.testing.assert_array_equal(network.get()[0].ravel(), array)
        return
    session = oak_session.Session2(dai, None)
    session.add_network(str(folder / "net.blob"), ["a", "b"], 108)
    session.add_camera((64, 48))
    facts = session._pipeline.serializeToJson()
    nodes = [node[1]["name"] for node in facts["pipeline"]["nodes"]]
    assert sorted(nodes) == ["ColorCamera", "NeuralNetwork", "XLinkIn", "XLinkOut", "XLinkOut"]
