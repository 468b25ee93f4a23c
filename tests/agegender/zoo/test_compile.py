"""`--model`: both programs compile the same files; predictions, `Box 0 --> ...` and --compat agree with plain NumPy."""

import dataclasses
import functools
import json

import cv2
import numpy as np
import pytest

from agegender import cli, zoo
from agegender.inference.faces import face_settings
from agegender.zoo import compile
from caffe.proto import text
from caffe.proto.caffe_pb2 import NetParameter
from ncs import cli as ncs_cli
from ncs.runtime.manifest import Manifest

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 56 stride: 56 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: %d weight_filler { type: "gaussian" std: 0.004 } } }
"""


def small_body(classes):
    param = NetParameter()
    text.parse(NET % classes, param)
    return param


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """VGG-16's two nets with a tiny body, compiled into graph/ and ncs/, and an image of 300x200 pixels."""
    import caffe

    folder = tmp_path_factory.mktemp("zoo")
    cv2.imwrite(str(folder / "face.png"), np.random.default_rng(4).integers(0, 256, (200, 300, 3), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAFFE2NCS_CACHE", str(folder))
        (folder / "zoo").mkdir()
        nets = {}
        for name in ("vgg16-age", "vgg16-gender"):
            net = zoo.nets()[name]
            nets[name] = dataclasses.replace(net, body=functools.partial(small_body, len(net.labels)), logits="fc")
            caffe.set_random_seed(6)
            (folder / "body.prototxt").write_text(NET % len(net.labels))
            caffe.Net(str(folder / "body.prototxt"), caffe.TEST).save(str(folder / "zoo" / (name + ".caffemodel")))
        patch.setattr(zoo, "nets", lambda: nets)
        patch.setattr(zoo, "_nets_by_name", zoo._nets_by_name.__wrapped__)
        assert ncs_cli.main(["compile", "--model", "vgg16", "--no-blob", "-o", str(folder / "ncs")]) == 0
        compile.compile_nets(zoo.resolve("vgg16"), str(folder / "graph"), _options())
    return folder


def _options():
    from ncs.compiler.compile import Options

    return Options(blob=False, ir_v10=True)


def test_both_programs_write_the_same_manifests(folder):
    for name in ("vgg16-age", "vgg16-gender"):
        one, other = (json.loads((folder / program / (name + ".json")).read_text()) for program in ("ncs", "graph"))
        kinds = {"onnx", "xml", "bin", "xml_v10", "bin_v10"}
        assert one.pop("artefacts").keys() == other.pop("artefacts").keys() == kinds
        assert one == other
        assert (folder / "ncs" / (name + ".onnx")).read_bytes() == (folder / "graph" / (name + ".onnx")).read_bytes()


def predict(folder, capsys, *options):
    argv = ["--model", "vgg16", "--model-dir", folder / "graph", "--image_path", folder / "face.png", "--device", "CPU"]
    assert cli.main(["predict", *map(str, argv), *options]) == 0
    return capsys.readouterr()


def expected(folder, name, blob):
    """Probabilities by plain NumPy for a float32 blob of shape (3, 224, 224)."""
    from caffe.weights.snapshot import read_weights

    weight, bias = read_weights(folder / "zoo" / (name + ".caffemodel"))["fc"]
    logits = weight @ blob.reshape(3, 4, 56, 4, 56).mean((2, 4)).ravel() + bias
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def documented(image):
    """The documented preprocessing: raw BGR with a repeated border of 40 % on every side."""
    wide = cv2.copyMakeBorder(image, 80, 80, 120, 120, cv2.BORDER_REPLICATE)
    return cv2.resize(wide, (224, 224)).transpose(2, 0, 1).astype(np.float32)


def scripted(image):
    """The preprocessing of the ONNX model zoo's script: RGB, the detected box without a margin."""
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (224, 224)).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("options", "preprocess"), [([], documented), (["--compat"], scripted)])
def test_output_line_is_that_of_the_onnx_zoo(folder, capsys, options, preprocess):
    blob = preprocess(cv2.imread(str(folder / "face.png")))
    gender = ["Female", "Male"][expected(folder, "vgg16-gender", blob).argmax()]
    age = round(float((expected(folder, "vgg16-age", blob) * np.arange(101)).sum()), 1)
    assert predict(folder, capsys, *options).out == f"Box 0 --> {gender}, {age}\n"
    answers = json.loads(predict(folder, capsys, "--json", *options).out)["answers"]
    for name in ("vgg16-age", "vgg16-gender"):
        np.testing.assert_allclose(answers[name]["probabilities"], expected(folder, name, blob), atol=2e-5)


def test_evaluation_runs_every_net_of_a_family(folder, tmp_path, monkeypatch, capsys):
    """Both nets have separate weights; the expected metrics are computed from plain NumPy's predictions."""
    nets = {}
    for name in ("vgg16-age", "vgg16-gender"):
        net = zoo.nets()[name]
        nets[name] = dataclasses.replace(net, body=functools.partial(small_body, len(net.labels)), logits="fc")
    monkeypatch.setattr(zoo, "nets", lambda: nets)
    monkeypatch.setattr(zoo, "_nets_by_name", zoo._nets_by_name.__wrapped__)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(folder))
    rng, correct, error = np.random.default_rng(9), 0, 0.0
    for i, (years, gender) in enumerate([(10, 0), (30, 1), (50, 1), (70, 0)]):
        path = tmp_path / f"{years}_{gender:d}_2_2017010500000000{i}.jpg"
        cv2.imwrite(str(path), rng.integers(0, 256, (200, 300, 3), np.uint8))
        blob = documented(cv2.imread(str(path)))
        correct += ["Female", "Male"][expected(folder, "vgg16-gender", blob).argmax()] == ["Male", "Female"][gender]
        error += abs(float((expected(folder, "vgg16-age", blob) * np.arange(101)).sum()) - years)
    assert cli.main(["zoo", "evaluate", "vgg16", "--faces", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"faces: 4\ngender: {25 * correct:.1f} % (")
    assert f"mean absolute error {error / 4:.1f} years\n" in out
    (tmp_path / "list.txt").write_text(f"{path} 5\n")
    assert cli.main(["zoo", "evaluate", "vgg16-age", "--list", str(tmp_path / "list.txt")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("faces: 1\nage: ") and "gender: " not in out


def test_compat_by_net():
    def changed(name):
        net = zoo.nets()[name]
        return net.compat(net.transform())

    google = changed("googlenet-age")
    assert (google.order, google.mean.tolist(), face_settings.margin(google)) == ("RGB", [104, 117, 123], 0)
    wide = changed("wideresnet-age")
    assert (wide.order, wide.mean, face_settings.margin(wide)) == ("BGR", None, 0)
    assert changed("AgeNet").order == "RGB"
    face = changed("zealerww-vggface")
    assert face.mean is None and face.scale == pytest.approx(1 / 255) and face.order == "BGR"
    assert zoo.nets()["levi-age"].compat is None


def test_compat_without_effect_is_reported(folder, capsys):
    for name in ("age", "gender"):
        manifest = Manifest.read(folder / "graph" / f"vgg16-{name}.json")
        manifest.name = "levi-" + name
        manifest.write(folder / "graph" / f"levi-{name}.json")
    argv = ["--model", "levi", "--compat", "--model-dir", folder / "graph", "--image_path", folder / "face.png"]
    assert cli.main(["predict", *map(str, argv), "--device", "CPU"]) == 0
    out, err = capsys.readouterr()
    assert "levi-age: --compat changes nothing" in err and out.startswith("Age predicted: ")
