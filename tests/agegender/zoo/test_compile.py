"""`--model`: compiled by either program, asked by one; `Box 0 --> ...` and what --compat changes, by plain numpy."""

import dataclasses
import functools
import json

import cv2
import numpy as np
import pytest

from agegender import cli, zoo
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
    """VGG-16's two nets with a body of a few numbers, compiled into graph/, and a photograph 300 wide and 200 high."""
    import caffe

    folder = tmp_path_factory.mktemp("zoo")
    cv2.imwrite(str(folder / "face.png"), np.random.default_rng(4).integers(0, 256, (200, 300, 3), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAFFE2NCS_CACHE", str(folder))
        (folder / "zoo").mkdir()
        known = {}
        for name in ("vgg16-age", "vgg16-gender"):
            net = zoo.nets()[name]
            known[name] = dataclasses.replace(net, body=functools.partial(small_body, len(net.labels)), logits="fc")
            caffe.set_random_seed(6)
            (folder / "body.prototxt").write_text(NET % len(net.labels))
            caffe.Net(str(folder / "body.prototxt"), caffe.TEST).save(str(folder / "zoo" / (name + ".caffemodel")))
        patch.setattr(zoo, "nets", lambda: known)
        patch.setattr(zoo, "_meant", zoo._meant.__wrapped__)
        assert ncs_cli.main(["compile", "--model", "vgg16", "--no-blob", "-o", str(folder / "ncs")]) == 0
        compile.make(zoo.resolve("vgg16"), str(folder / "graph"), _options())
    return folder


def _options():
    from ncs.compiler.compile import Options

    return Options(blob=False)


def test_both_programs_make_the_same_manifests(folder):
    for name in ("vgg16-age", "vgg16-gender"):
        one, other = (json.loads((folder / where / (name + ".json")).read_text()) for where in ("ncs", "graph"))
        assert one.pop("artefacts").keys() == other.pop("artefacts").keys() == {"onnx", "xml", "bin"}
        assert one == other
        assert (folder / "ncs" / (name + ".onnx")).read_bytes() == (folder / "graph" / (name + ".onnx")).read_bytes()


def ask(folder, capsys, *more):
    argv = ["--model", "vgg16", "--model-dir", folder / "graph", "--image_path", folder / "face.png", "--device", "CPU"]
    assert cli.main(["predict", *map(str, argv), *more]) == 0
    return capsys.readouterr()


def expected(folder, name, picture):
    """Probabilities by plain numpy, of float32 (3, 224, 224)."""
    from caffe.weights.snapshot import read_weights

    weight, bias = read_weights(folder / "zoo" / (name + ".caffemodel"))["fc"]
    logits = weight @ picture.reshape(3, 4, 56, 4, 56).mean((2, 4)).ravel() + bias
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def documented(picture):
    """Blue first, raw, the border repeated by 40 % at every side."""
    wide = cv2.copyMakeBorder(picture, 80, 80, 120, 120, cv2.BORDER_REPLICATE)
    return cv2.resize(wide, (224, 224)).transpose(2, 0, 1).astype(np.float32)


def scripted(picture):
    """What the zoo's script does with the detector's box: red first, the box as it is."""
    return cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (224, 224)).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("more", "fed"), [([], documented), (["--compat"], scripted)])
def test_the_line_of_the_zoos_script(folder, capsys, more, fed):
    picture = fed(cv2.imread(str(folder / "face.png")))
    gender = ["Female", "Male"][expected(folder, "vgg16-gender", picture).argmax()]
    age = round(float((expected(folder, "vgg16-age", picture) * np.arange(101)).sum()), 1)
    assert ask(folder, capsys, *more).out == f"Box 0 --> {gender}, {age}\n"
    told = json.loads(ask(folder, capsys, "--json", *more).out)["answers"]
    for name in ("vgg16-age", "vgg16-gender"):
        np.testing.assert_allclose(told[name]["probabilities"], expected(folder, name, picture), atol=2e-5)


def test_measure_asks_every_net_of_a_family(folder, tmp_path, monkeypatch, capsys):
    """Each of both nets has weights of its own; the figures are counted here from plain numpy's answers."""
    nets = {}
    for name in ("vgg16-age", "vgg16-gender"):
        net = zoo.nets()[name]
        nets[name] = dataclasses.replace(net, body=functools.partial(small_body, len(net.labels)), logits="fc")
    monkeypatch.setattr(zoo, "nets", lambda: nets)
    monkeypatch.setattr(zoo, "_meant", zoo._meant.__wrapped__)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(folder))
    rng, right, off = np.random.default_rng(9), 0, 0.0
    for i, (years, gender) in enumerate([(10, 0), (30, 1), (50, 1), (70, 0)]):
        path = tmp_path / ("%d_%d_2_2017010500000000%d.jpg" % (years, gender, i))
        cv2.imwrite(str(path), rng.integers(0, 256, (200, 300, 3), np.uint8))
        picture = documented(cv2.imread(str(path)))
        right += ["Female", "Male"][expected(folder, "vgg16-gender", picture).argmax()] == ["Male", "Female"][gender]
        off += abs(float((expected(folder, "vgg16-age", picture) * np.arange(101)).sum()) - years)
    assert cli.main(["zoo", "measure", "vgg16", "--faces", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"faces: 4\ngender accuracy: {25 * right:.1f} %\nmean error in years: {off / 4:.2f}\n" in told
    (tmp_path / "list.txt").write_text(f"{path} 5\n")
    assert cli.main(["zoo", "measure", "vgg16-age", "--list", str(tmp_path / "list.txt")]) == 0
    assert "faces: 1\nmean error" in capsys.readouterr().out


def test_compat_by_net():
    def changed(name):
        net = zoo.nets()[name]
        return net.compat(net.transform())

    google = changed("googlenet-age")
    assert (google.order, google.mean.tolist(), google.margin) == ("RGB", [104, 117, 123], 0)
    wide = changed("wideresnet-age")
    assert (wide.order, wide.mean, wide.margin) == ("BGR", None, 0)
    assert changed("tringn-age").order == "RGB"
    face = changed("zealerww-vggface")
    assert face.mean is None and face.scale == pytest.approx(1 / 255) and face.order == "BGR"
    assert zoo.nets()["levi-age"].compat is None


def test_a_net_without_quirks_says_so(folder, capsys):
    for name in ("age", "gender"):
        manifest = Manifest.read(folder / "graph" / (f"vgg16-{name}.json"))
        manifest.name = "levi-" + name
        manifest.write(folder / "graph" / (f"levi-{name}.json"))
    argv = [
        "--model",
        "levi",
        "--compat",
        "--model-dir",
        folder / "graph",
        "--image_path",
        folder / "face.png",
        "--device",
        "CPU",
    ]
    assert cli.main(["predict", *map(str, argv)]) == 0
    told = capsys.readouterr()
    assert "levi-age: --compat changes nothing" in told.err and told.out.startswith("Age predicted: ")
