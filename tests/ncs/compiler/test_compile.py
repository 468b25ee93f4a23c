"""`ncs compile`: mvNCCompile's flags, parts of nets, bytes in, many blobs in one file, and NCSDK's own compiler."""

import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import caffe_nets, onnx_nets

from caffe.convert.subgraph import cut
from caffe.device.transform import Transform
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from ncs.cli import main
from ncs.compiler import embed_preprocessing
from ncs.compiler.compile import Model, Options, compile_models
from ncs.errors import NcsError
from ncs.myriad.archive import extract, read_index
from ncs.myriad.blob import read_blob
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return caffe_nets.tiny(tmp_path)


def test_several_shave_counts_and_one_file_of_all(compiler, net, tmp_path, capsys):
    prototxt, weights = net
    assert (
        main(["compile", prototxt, "-w", weights, "-s", "4,8", "-o", "out/tiny.blob", "--archive", "all.blobs", "-ec"])
        == 0
    )
    assert sorted(os.listdir("out")) == [
        "tiny.bin",
        "tiny.json",
        "tiny.onnx",
        "tiny.xml",
        "tiny_4shave.blob",
        "tiny_8shave.blob",
    ]
    assert [read_blob("out/tiny_%dshave.blob" % n).shaves for n in (4, 8)] == [4, 8]
    entries = read_index("all.blobs")
    assert [(entry.name, entry.shaves) for entry in entries] == [("tiny_4shave", 4), ("tiny_8shave", 8)]
    assert extract("all.blobs", "tiny_8shave") == (tmp_path / "out" / "tiny_8shave.blob").read_bytes()
    with pytest.raises(NcsError, match="no blob 'tiny_9shave'; did you mean"):
        extract("all.blobs", "tiny_9shave")
    manifest = Manifest.read("out/tiny.json")
    assert manifest.labels == list("01234") and manifest.path("blob").endswith("tiny_4shave.blob")
    capsys.readouterr()
    assert main(["inspect", "--json", "all.blobs"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["shaves"]) for row in rows] == [("tiny_4shave", 4), ("tiny_8shave", 8)]


def test_a_damaged_file_of_blobs_is_refused(compiler, net, capsys):
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "--archive", "all.blobs"]) == 0
    content = bytearray(Path("all.blobs").read_bytes())
    at = content.index(b"\x7felf") + 900
    content[at] ^= 1
    Path("all.blobs").write_bytes(content)
    with pytest.raises(NcsError, match="damaged"):
        extract("all.blobs", "net")
    assert main(["inspect", "all.blobs"]) == 1
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(NcsError, match="a ZIP, but not of blobs"):
        read_index("other.zip")


def test_the_size_of_the_pictures(net, capsys):
    """-is W H: another input size; the fully connected layer would not fit, so the net ends before it."""
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "-is", "16", "12", "-on", "relu2", "--no-blob"]) == 0
    import onnx

    model = onnx.load("net.onnx")
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 12, 16]
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [1, 6, 8, 12]
    assert "no manifest, since it answers with 1x6x8x12" in capsys.readouterr().out and not os.path.exists("net.json")


def test_a_part_of_a_net_computes_what_the_whole_does(net):
    prototxt, weights = net
    whole = caffe_nets.seeded(prototxt)
    picture = np.random.RandomState(2).randn(1, 3, 8, 8).astype(np.float32)
    whole.forward(data=picture)
    assert main(["compile", prototxt, "-w", weights, "-in", "conv2", "-on", "fc", "--no-blob", "-o", "part"]) == 0
    first = caffe_nets.seeded(prototxt)
    first.forward(data=picture, end="relu1")
    with open_runner("ONNXRUNTIME", "part.onnx") as runner:
        np.testing.assert_allclose(runner.run(first.blobs["conv1"].data), whole.blobs["fc"].data, atol=1e-5)


def test_names_of_layers_that_are_not_there():
    param = read_net_text(caffe_nets.TINY, "x").param
    with pytest.raises(NcsError, match="no layer 'conv3'; did you mean 'conv"):
        cut(param, "conv3")
    both = 'layer { name: "sum" type: "Silence" bottom: "conv2" bottom: "prob" }'
    branch = read_net_text(caffe_nets.TINY + both, "x").param
    with pytest.raises(NcsError, match="layer 'sum' needs blob 'conv2', which is produced before 'prob'"):
        cut(branch, "prob")
    assert [layer.name for layer in cut(param, "data", "relu1").layer] == ["data", "conv1", "relu1"]


@pytest.mark.parametrize("mean", [[100, 120, 140], "pixels"])
def test_bytes_in_give_the_same_answers(compiler, net, mean, capsys):
    """-ip U8: raw bytes into the folded net equal the Transform into the plain one."""
    prototxt, weights = net
    random = np.random.RandomState(3)
    if mean == "pixels":
        mean = random.uniform(90, 150, (3, 8, 8)).astype(np.float32)
    transform = Transform(size=(8, 8), mean=mean, scale=0.017)
    names = [str(i) for i in range(5)]
    for stem, bytes_in in (("plain", False), ("bytes", True)):
        model = Model(stem, prototxt, weights, transform, names)
        compile_models([(model, stem)], Options(bytes_in=bytes_in), print)
    assert "in FP16 the net's input differs by at most" in capsys.readouterr().out
    blob = read_blob("bytes.blob")
    assert [(array.dtype, array.dims) for array in blob.inputs] == [("U8", (1, 3, 8, 8))]
    assert blob.constants_size > read_blob("plain.blob").constants_size
    picture = random.randint(0, 256, (8, 8, 3), np.uint8)
    answers = []
    for stem in ("plain", "bytes"):
        manifest = Manifest.read(stem + ".json")
        with open_runner("CPU", manifest) as runner:
            answers.append(runner.run(manifest.transform.image(picture)[None]))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)
    assert Manifest.read("bytes.json").transform.mean is None
    assert "caffemodel" not in Manifest.read("bytes.json").parents


def test_what_folding_costs():
    """Witness: integers and a mean that half precision holds cost nothing; one it does not hold costs its rounding."""
    exact = embed_preprocessing.preprocessing_of(Transform(size=(4, 4), mean=[100, 120, 140.5]), (1, 3, 4, 4))
    assert exact.error() == (0, 0) and exact.mean.shape == (3, 1, 1)
    rounded = embed_preprocessing.preprocessing_of(Transform(size=(4, 4), mean=[100.03, 1, 2]), (1, 3, 4, 4))
    assert rounded.error()[0] == pytest.approx(abs(float(np.float16(100.03)) - 100.03), abs=1e-5)
    pixels = np.arange(3 * 6 * 6, dtype=np.float32).reshape(3, 6, 6)
    cropped = embed_preprocessing.preprocessing_of(Transform(size=(6, 6), crop=4, mean=pixels), (1, 3, 4, 4))
    np.testing.assert_array_equal(cropped.mean, pixels[:, 1:5, 1:5])
    with pytest.raises(NcsError, match="give the Transform the net's size or crop"):
        embed_preprocessing.preprocessing_of(Transform(size=(6, 6), mean=pixels), (1, 3, 4, 4))


def test_torch_is_not_needed(compiler, net):
    """Without it a compilation is a second shorter and 200 MB smaller."""
    code = (
        "import sys; sys.modules['torch'] = None; from ncs.cli import main; "
        "sys.exit(main(['compile', 'net.prototxt', '-w', 'net.caffemodel', '-ip', 'U8', '--mean', '1,2,3']) or "
        "main(['profile', 'net.prototxt', '-d', 'ESTIMATE']) or main(['inspect', 'net.blob']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_zero_weights_are_said(net, capsys):
    assert main(["compile", net[0], "--no-blob"]) == 0
    assert "all weights are zero" in capsys.readouterr().err
    with open_runner("CPU", "net.json") as runner:
        np.testing.assert_allclose(runner.run(np.ones((1, 3, 8, 8))), np.full((1, 5), 0.2), atol=1e-6)


def test_mean_scale_and_labels_go_into_the_manifest(net, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    mean = np.random.RandomState(1).uniform(0, 255, (3, 10, 10)).astype(np.float32)
    np.save("mean.npy", mean)
    prototxt, weights = net
    more = ["--mean", "mean.npy", "--scale", "0.5", "--labels", "names.txt", "--no-blob"]
    assert main(["compile", prototxt, "-w", weights, *more]) == 0
    manifest = Manifest.read("net.json")
    assert manifest.labels == list("abcde") and manifest.transform.scale == 0.5
    assert (manifest.transform.size, manifest.transform.crop) == ((10, 10), 8)
    np.testing.assert_array_equal(manifest.transform.mean, mean)
    assert set(manifest.parents) == {"prototxt", "caffemodel", "mean"}


def test_an_onnx_file(compiler, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["compile", model, "-ma2450", "-s", "1"]) == 0
    assert read_blob("tiny.blob").unit_counts().keys() == {"SHAVE"}
    assert "no released runtime" in capsys.readouterr().out
    assert main(["compile", model, "--mean", "1,2,3", "--no-blob"]) == 1
    assert "--mean, --no-blob are for a prototxt" in capsys.readouterr().err


@pytest.mark.parametrize("inputs, outputs", [("FP32", "FP32"), ("FP16", "FP16"), ("U8", "FP16")])
def test_types_of_inputs_and_outputs(compiler, net, tmp_path, inputs, outputs):
    """As compile_tool's -ip and -op: of a blob from ONNX, from IR v10, and from a prototxt."""
    prototxt, weights = net
    onnx_nets.tiny(tmp_path / "model.onnx")
    (tmp_path / "ir.xml").write_text(IR)
    (tmp_path / "ir.bin").write_bytes(b"")
    for model in ("model.onnx", "ir.xml", prototxt):
        more = ["-w", weights] if model == prototxt else []
        assert main(["compile", model, *more, "-ip", inputs, "-op", outputs, "-o", "x"]) == 0
        blob = read_blob("x.blob")
        assert ([a.dtype for a in blob.inputs], [a.dtype for a in blob.outputs]) == ([inputs], [outputs])
        assert blob.counts().get("Convert", 0) == (inputs != "FP16") + (outputs != "FP16")


IR = """<?xml version="1.0"?>
<net name="ir" version="10"><layers>
<layer id="0" name="data" type="Parameter" version="opset1"><data shape="1,3,8,8" element_type="f32"/>
<output><port id="0" precision="FP32"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output></layer>
<layer id="1" name="relu" type="ReLU" version="opset1">
<input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input>
<output><port id="1" precision="FP32"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output></layer>
<layer id="2" name="end" type="Result" version="opset1">
<input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges></net>
"""


def test_an_ir_without_its_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ir.xml").write_text(IR)
    assert main(["compile", "ir.xml"]) == 1
    assert "the weights of this IR, ir.bin, are not beside it" in capsys.readouterr().err


TWO_IN = """
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5 } }
"""
TWO_OUT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 10 dim: 3 dim: 12 dim: 8 } } }
layer { name: "age" type: "InnerProduct" bottom: "data" top: "age" inner_product_param { num_output: 9 } }
layer { name: "gender" type: "InnerProduct" bottom: "data" top: "gender" inner_product_param { num_output: 2 } }
"""


def test_nets_with_several_inputs_or_answers(compiler, tmp_path, monkeypatch, capsys):
    """They become blobs; a manifest is for one picture and one answer."""
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_IN)
    assert main(["compile", prototxt, "-w", weights, "-o", "two"]) == 0
    assert "no manifest, since it has 2 inputs (a, b)" in capsys.readouterr().out and not os.path.exists("two.json")
    assert [array.name for array in read_blob("two.blob").inputs] == ["a", "b"]
    for device, model in (("CPU", "two.onnx"), ("CPU", "two.xml"), ("ONNXRUNTIME", "two.onnx")):
        with pytest.raises(NcsError, match=r"has 2 inputs \(a, b\); runners feed pictures into one"):
            open_runner(device, model)
    assert main(["check", prototxt, "-w", weights]) == 1
    assert "has 2 inputs (a, b)" in capsys.readouterr().err
    assert main(["compile", prototxt, "-w", weights, "-ip", "U8", "-o", "three"]) == 1
    assert "the net has 2 inputs (a, b)" in capsys.readouterr().err
    assert main(["compile", "two.onnx", "-ip", "U8", "-o", "three"]) == 0
    assert [array.dtype for array in read_blob("three.blob").inputs] == ["U8", "U8"]
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_OUT)
    assert main(["compile", prototxt, "-w", weights, "-o", "two"]) == 0
    said = capsys.readouterr().out
    assert "no manifest, since it has 2 answers (age, gender; -on takes one of them)" in said
    assert "takes 10 pictures at a time; compiled for 1" in said
    blob = read_blob("two.blob")
    assert blob.batch_size == 1 and sorted((a.name, a.dims) for a in blob.outputs) == [
        ("age", (1, 9)),
        ("gender", (1, 2)),
    ]
    assert main(["compile", prototxt, "-w", weights, "-o", "two", "-on", "gender", "--batch", "10"]) == 0
    assert Manifest.read("two.json").shape == (10, 3, 12, 8) and Manifest.read("two.json").output == "gender"
    assert main(["check", prototxt, "-w", weights]) == 1
    assert "has 2 answers (age, gender): -on LAYER takes the road to one" in capsys.readouterr().err


def test_open_sizes_of_an_onnx_file(compiler, tmp_path, monkeypatch, capsys):
    """What today's exporters leave open: a batch is one picture, other sizes must be told."""
    import onnx

    monkeypatch.chdir(tmp_path)
    b = onnx_nets.Builder()
    model = onnx.load(b.save("net.onnx", b.relu(b.conv("data", "conv", 4, 3, 3)), [1, 4, 6, 6], [1, 3, 8, 8]))
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[0].dim_param = "batch"
    onnx.save(model, "batch.onnx", save_as_external_data=True, location="batch.data", size_threshold=0)
    assert main(["compile", "batch.onnx"]) == 0
    assert "batch.onnx: compiled for data 1x3x8x8" in capsys.readouterr().out
    assert read_blob("batch.blob").inputs[0].dims == (1, 3, 8, 8)
    shape.dim[2].dim_param = shape.dim[3].dim_param = "side"
    onnx.save(model, "open.onnx")
    assert main(["compile", "open.onnx"]) == 1
    assert (
        "input 'data' is batchx3xsidexside, and a blob has fixed sizes: -is W H gives them" in capsys.readouterr().err
    )
    assert main(["compile", "open.onnx", "-is", "12", "10"]) == 0
    assert read_blob("open.blob").outputs[0].dims == (1, 4, 8, 10)
    shape.dim[1].dim_param = "colours"
    onnx.save(model, "open.onnx")
    assert main(["compile", "open.onnx", "-is", "12", "10"]) == 1
    assert "export the model with the sizes it is to have" in capsys.readouterr().err
    Path("cut.onnx").write_bytes(Path("net.onnx").read_bytes()[:-9])
    assert main(["compile", "cut.onnx"]) == 1
    assert "cut.onnx: this is no ONNX model, or it is cut off" in capsys.readouterr().err


def test_a_manifest_of_files_that_are_replaced_goes(net):
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "--no-blob"]) == 0 and os.path.exists("net.json")
    assert main(["compile", prototxt, "-w", weights, "--no-blob", "-on", "conv1"]) == 0 and not os.path.exists(
        "net.json"
    )


def test_irs_of_other_times(net, tmp_path, capsys):
    """Today's goes back to v10 (myriad/test_older_ir.py tells what becomes of it); what neither is is told so."""
    (tmp_path / "old.xml").write_text(IR.replace('version="10"', 'version="7"'))
    (tmp_path / "old.bin").write_bytes(b"")
    assert main(["compile", "old.xml"]) == 1
    assert "old.xml is IR v7; read are v10 (OpenVINO 2020 to 2021.4) and v11" in capsys.readouterr().err
    assert main(["compile", "old.xml", "-is", "8", "8"]) == 1
    assert "-is is for a prototxt or an ONNX file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["none.prototxt"], "none.prototxt: no such file"),
        (["net.prototxt", "-s", "many"], r"[Error 27] -s takes a number"),
        (["net.prototxt", "-w", "net.caffemodel", "-on", "fc9"], "no layer 'fc9'; did you mean 'fc'"),
        (["net.prototxt", "-w", "net.caffemodel", "-s", "17"], "from 1 to 16, received 17"),
        (["net.prototxt", "-s", "13", "-ma2450"], "from 1 to 12, received 13"),
        (["net.caffemodel"], "holds weights; the net comes first and they behind -w"),
        (["."], "this is a folder"),
        (["net.prototxt", "-w", "net.prototxt"], "weights are in a .caffemodel"),
        (["net.prototxt", "--mean", "1,2"], "--mean gives 2 values, the net's input has 3 channels"),
        (["net.prototxt", "--scale", "0"], "--scale 0 makes every picture the same"),
        (["net.prototxt", "-o", "net.caffemodel/x"], "Not a directory"),
        (["net.prototxt", "-in", "fc", "-on", "conv1"], "the last layer, 'conv1', comes before the first, 'fc'"),
    ],
)
def test_what_a_user_can_put_right(net, arguments, said, capsys):
    assert main(["compile", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not os.path.exists("net.onnx")


def test_ncsdk_is_given_the_form_it_accepts(net, tmp_path, monkeypatch):
    """A program that answers as mvNCCompile does checks what it is given and writes down its arguments."""
    program = tmp_path / "bin" / "mvNCCompile"
    program.parent.mkdir()
    program.write_text(
        f"""#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
if "Input" in open(arguments[0]).read() or "12" not in arguments:
    sys.exit("[Error 20] Toolkit Error: Provide a correct input_shape")
kept = {{name: open(path, "rb").read().hex() for name, path in (("net", arguments[0]), ("weights", arguments[2]))}}
open(arguments[arguments.index("-o") + 1], "w").write(json.dumps([arguments, kept]))
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    prototxt, weights = net
    assert (
        main(["compile", prototxt, "-w", weights, "--toolkit", "ncsdk", "-s", "12", "-on", "fc", "-is", "8", "8"]) == 0
    )
    arguments, kept = json.loads(Path("graph").read_text())
    assert arguments[5:] == ["-s", "12", "-on", "fc", "-is", "8", "8"] and arguments[3] == "-o"
    param = read_net_text(bytes.fromhex(kept["net"]).decode(), "given").param
    assert [layer.name for layer in param.layer if layer.type != "Input"] == [
        "conv1",
        "relu1",
        "conv2",
        "relu2",
        "fc",
        "prob",
    ]
    assert b"input_shape {" in bytes.fromhex(kept["net"])
    given = caffe_pb2.NetParameter.FromString(bytes.fromhex(kept["weights"]))
    assert next(layer for layer in given.layer if layer.name == "fc").blobs[0].data[0] == pytest.approx(
        float(caffe_nets.seeded(prototxt).params["fc"][0].data.flat[0])
    )


def test_the_toolkits_own_words(net, tmp_path, monkeypatch, capsys):
    test_ncsdk_is_given_the_form_it_accepts(net, tmp_path, monkeypatch)
    assert main(["compile", net[0], "--toolkit", "ncsdk"]) == 1
    assert "mvNCCompile refused: [Error 20] Toolkit Error: Provide a correct input_shape" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["compile", net[0], "--toolkit", "ncsdk"]) == 1
    assert "mvNCCompile is not on the PATH" in capsys.readouterr().err
