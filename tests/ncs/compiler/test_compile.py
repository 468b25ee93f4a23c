"""`ncs compile`: mvNCCompile's flags, subgraphs, raw pixel input, archives of blobs, and the NCSDK's own compiler."""

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
from caffe.errors import CaffeError
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


def test_several_shave_counts_and_archive(compiler, net, tmp_path, capsys):
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
        "tiny_v10.bin",
        "tiny_v10.xml",
    ]
    assert [read_blob(f"out/tiny_{n}shave.blob").shaves for n in (4, 8)] == [4, 8]
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


def test_damaged_archive_is_rejected(compiler, net, capsys):
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
    with pytest.raises(NcsError, match="a ZIP, but not an archive of blobs"):
        read_index("other.zip")


def test_input_size(net, capsys):
    """-is W H sets the input size; -on excludes the fully connected layer, which needs the original size."""
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "-is", "16", "12", "-on", "relu2", "--no-blob"]) == 0
    import onnx

    model = onnx.load("net.onnx")
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 12, 16]
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [1, 6, 8, 12]
    assert (
        "no manifest is written because the net has an output 'conv2' of 1x6x8x12" in capsys.readouterr().out
        and not os.path.exists("net.json")
    )


def test_subgraph_computes_the_same_as_the_whole_net(net):
    prototxt, weights = net
    whole = caffe_nets.seeded(prototxt)
    image = np.random.RandomState(2).randn(1, 3, 8, 8).astype(np.float32)
    whole.forward(data=image)
    assert main(["compile", prototxt, "-w", weights, "-in", "conv2", "-on", "fc", "--no-blob", "-o", "part"]) == 0
    first = caffe_nets.seeded(prototxt)
    first.forward(data=image, end="relu1")
    with open_runner("ONNXRUNTIME", "part.onnx") as runner:
        np.testing.assert_allclose(runner.run(first.blobs["conv1"].data), whole.blobs["fc"].data, atol=1e-5)


def test_unknown_layer_names():
    param = read_net_text(caffe_nets.TINY, "x").param
    with pytest.raises(CaffeError, match="no layer 'conv3'; did you mean 'conv"):
        cut(param, "conv3")
    both = 'layer { name: "sum" type: "Silence" bottom: "conv2" bottom: "prob" }'
    branch = read_net_text(caffe_nets.TINY + both, "x").param
    with pytest.raises(CaffeError, match="layer 'sum' needs blob 'conv2', which is produced before 'prob'"):
        cut(branch, "prob")
    assert [layer.name for layer in cut(param, "data", "relu1").layer] == ["data", "conv1", "relu1"]


def test_a_blob_stands_for_the_layer_that_writes_it():
    param = read_net_text(
        'input: "image" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }\n'
        'layer { name: "first" type: "Power" bottom: "image" top: "a" }\n'
        'layer { name: "second" type: "ReLU" bottom: "a" top: "a" }\n'
        'layer { name: "third" type: "Power" bottom: "a" top: "b" }\n',
        "x",
    ).param
    assert [layer.name for layer in cut(param, "image", "a").layer][1:] == ["first", "second"]
    assert [layer.name for layer in cut(param, None, "first").layer][1:] == ["first"]


@pytest.mark.parametrize("mean", [[100, 120, 140], "pixels"])
def test_raw_pixel_input_gives_the_same_outputs(compiler, net, mean, capsys):
    """-ip U8: raw pixels into the net with preprocessing give the same outputs as the Transform and the plain net."""
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
    image = random.randint(0, 256, (8, 8, 3), np.uint8)
    outputs = []
    for stem in ("plain", "bytes"):
        manifest = Manifest.read(stem + ".json")
        with open_runner("CPU", manifest) as runner:
            outputs.append(runner.run(manifest.transform.image(image)[None]))
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5)
    assert Manifest.read("bytes.json").transform.mean is None
    assert "caffemodel" not in Manifest.read("bytes.json").parents


def test_rounding_error_of_embedded_preprocessing():
    """A mean that FP16 can represent adds no error; any other mean adds its rounding error."""
    exact = embed_preprocessing.preprocessing_of(Transform(size=(4, 4), mean=[100, 120, 140.5]), (1, 3, 4, 4))
    assert exact.error() == (0, 0) and exact.mean.shape == (3, 1, 1)
    rounded = embed_preprocessing.preprocessing_of(Transform(size=(4, 4), mean=[100.03, 1, 2]), (1, 3, 4, 4))
    assert rounded.error()[0] == pytest.approx(abs(float(np.float16(100.03)) - 100.03), abs=1e-5)
    pixels = np.arange(3 * 6 * 6, dtype=np.float32).reshape(3, 6, 6)
    cropped = embed_preprocessing.preprocessing_of(Transform(size=(6, 6), crop=4, mean=pixels), (1, 3, 4, 4))
    np.testing.assert_array_equal(cropped.mean, pixels[:, 1:5, 1:5])
    with pytest.raises(NcsError, match="give the Transform the net's size or crop"):
        embed_preprocessing.preprocessing_of(Transform(size=(6, 6), mean=pixels), (1, 3, 4, 4))


def test_compiling_needs_no_torch(compiler, net):
    """Compiling without torch saves a second and 200 MB."""
    code = (
        "import sys; sys.modules['torch'] = None; from ncs.cli import main; "
        "sys.exit(main(['compile', 'net.prototxt', '-w', 'net.caffemodel', '-ip', 'U8', '--mean', '1,2,3']) or "
        "main(['profile', 'net.prototxt', '-d', 'ESTIMATE']) or main(['inspect', 'net.blob']))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_zero_weights_are_reported(net, capsys):
    assert main(["compile", net[0], "--no-blob"]) == 0
    assert "all weights are zero" in capsys.readouterr().err
    with open_runner("CPU", "net.json") as runner:
        np.testing.assert_allclose(runner.run(np.ones((1, 3, 8, 8))), np.full((1, 5), 0.2), atol=1e-6)


def test_mean_scale_and_labels_are_in_the_manifest(net, tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    mean = np.random.RandomState(1).uniform(0, 255, (3, 10, 10)).astype(np.float32)
    np.save("mean.npy", mean)
    prototxt, weights = net
    options = ["--mean", "mean.npy", "--scale", "0.5", "--labels", "names.txt", "--no-blob"]
    assert main(["compile", prototxt, "-w", weights, *options]) == 0
    manifest = Manifest.read("net.json")
    assert manifest.labels == list("abcde") and manifest.transform.scale == 0.5
    assert (manifest.transform.size, manifest.transform.crop) == ((10, 10), 8)
    np.testing.assert_array_equal(manifest.transform.mean, mean)
    assert set(manifest.parents) == {"prototxt", "caffemodel", "mean"}


def test_onnx_file(compiler, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = onnx_nets.tiny(tmp_path / "tiny.onnx")
    assert main(["compile", model, "-ma2450", "-s", "1"]) == 0
    assert read_blob("tiny.blob").unit_counts().keys() == {"SHAVE"}
    assert "no released runtime" in capsys.readouterr().out
    assert main(["compile", model, "--mean", "1,2,3", "--no-blob"]) == 1
    assert "--mean, --no-blob apply to a prototxt only" in capsys.readouterr().err


@pytest.mark.parametrize("inputs, outputs", [("FP32", "FP32"), ("FP16", "FP16"), ("U8", "FP16")])
def test_input_and_output_types(compiler, net, tmp_path, inputs, outputs):
    """-ip and -op work as in compile_tool, for a blob from ONNX, from IR v10, and from a prototxt."""
    prototxt, weights = net
    onnx_nets.tiny(tmp_path / "model.onnx")
    (tmp_path / "ir.xml").write_text(IR)
    (tmp_path / "ir.bin").write_bytes(b"")
    for model in ("model.onnx", "ir.xml", prototxt):
        options = ["-w", weights] if model == prototxt else []
        assert main(["compile", model, *options, "-ip", inputs, "-op", outputs, "-o", "x"]) == 0
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


def test_ir_without_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ir.xml").write_text(IR)
    assert main(["compile", "ir.xml"]) == 1
    assert "the weights of this IR, ir.bin, are missing" in capsys.readouterr().err


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


def test_nets_with_several_inputs_or_outputs(compiler, tmp_path, monkeypatch, capsys):
    """A manifest describes all image inputs and all outputs; runners without one take a single input."""
    monkeypatch.chdir(tmp_path)
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_IN)
    assert main(["compile", prototxt, "-w", weights, "-o", "two"]) == 0
    assert [port.name for port in Manifest.read("two.json").all_inputs()] == ["a", "b"]
    assert [array.name for array in read_blob("two.blob").inputs] == ["a", "b"]
    for device, model in (("CPU", "two.onnx"), ("CPU", "two.xml"), ("ONNXRUNTIME", "two.onnx")):
        with pytest.raises(NcsError, match=r"has 2 inputs \(a, b\); give its manifest"):
            open_runner(device, model)
    assert main(["check", prototxt, "-w", weights]) == 1
    assert "expected a net with one input, received 2 (a, b)" in capsys.readouterr().err
    assert main(["compile", prototxt, "-w", weights, "-ip", "U8", "-o", "three"]) == 1
    assert "expected a net with one input, received 2 inputs (a, b)" in capsys.readouterr().err
    assert main(["compile", "two.onnx", "-ip", "U8", "-o", "three"]) == 0
    assert [array.dtype for array in read_blob("three.blob").inputs] == ["U8", "U8"]
    prototxt, weights = caffe_nets.tiny(tmp_path, TWO_OUT)
    assert main(["compile", prototxt, "-w", weights, "-o", "two"]) == 0
    assert "has batch size 10; compiled for 1" in capsys.readouterr().out
    heads = [(head.name, head.output, head.labels) for head in Manifest.read("two.json").all_heads()]
    assert heads == [("age", "age", list("012345678")), ("gender", "gender", ["0", "1"])]
    (tmp_path / "sexes.txt").write_text("Male\nFemale\n")
    arguments = ["compile", prototxt, "-w", weights, "-o", "named", "--no-blob"]
    assert main([*arguments, "--labels", "gender=sexes.txt"]) == 0
    assert [head.name for head in Manifest.read("named.json").all_heads()] == ["gender", "age"]
    assert Manifest.read("named.json").labels == ["Male", "Female"]
    assert main([*arguments, "--labels", "sexes.txt"]) == 1
    assert "labels for one output, but the net has 2 (age, gender)" in capsys.readouterr().err
    assert main([*arguments, "--labels", "sex=sexes.txt"]) == 1
    assert "no output sex; it has age, gender" in capsys.readouterr().err
    blob = read_blob("two.blob")
    assert blob.batch_size == 1 and sorted((a.name, a.dims) for a in blob.outputs) == [
        ("age", (1, 9)),
        ("gender", (1, 2)),
    ]
    assert main(["compile", prototxt, "-w", weights, "-o", "two", "-on", "gender", "--batch", "10"]) == 0
    assert Manifest.read("two.json").shape == (10, 3, 12, 8) and Manifest.read("two.json").output == "gender"
    assert main(["check", prototxt, "-w", weights]) == 1
    assert (
        "expected a net with one output, received 2 (age, gender); select one with -on LAYER" in capsys.readouterr().err
    )


def test_dynamic_sizes_of_an_onnx_file(compiler, tmp_path, monkeypatch, capsys):
    """A dynamic batch size becomes 1; other dynamic sizes must be given."""
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
        "input 'data' is batchx3xsidexside, but a blob needs fixed sizes: set them with -is W H"
        in capsys.readouterr().err
    )
    assert main(["compile", "open.onnx", "-is", "12", "10"]) == 0
    assert read_blob("open.blob").outputs[0].dims == (1, 4, 8, 10)
    shape.dim[1].dim_param = "colours"
    onnx.save(model, "open.onnx")
    assert main(["compile", "open.onnx", "-is", "12", "10"]) == 1
    assert "export the model with fixed sizes" in capsys.readouterr().err
    Path("cut.onnx").write_bytes(Path("net.onnx").read_bytes()[:-9])
    assert main(["compile", "cut.onnx"]) == 1
    assert "cut.onnx: not an ONNX model, or truncated" in capsys.readouterr().err


def test_outdated_manifest_is_removed(net):
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "--no-blob"]) == 0 and os.path.exists("net.json")
    assert main(["compile", prototxt, "-w", weights, "--no-blob", "-on", "conv1"]) == 0 and not os.path.exists(
        "net.json"
    )


def test_ir_versions(net, tmp_path, capsys):
    """IR v11 is converted to v10 (see myriad/test_ir_downgrade.py); other versions are rejected."""
    (tmp_path / "old.xml").write_text(IR.replace('version="10"', 'version="7"'))
    (tmp_path / "old.bin").write_bytes(b"")
    assert main(["compile", "old.xml"]) == 1
    assert "old.xml: expected IR v10 (OpenVINO 2020 to 2021.4) or v11, received v7" in capsys.readouterr().err
    assert main(["compile", "old.xml", "-is", "8", "8"]) == 1
    assert "-is applies to a prototxt or an ONNX file only" in capsys.readouterr().err


def test_a_caffemodel_alone_has_net_and_weights(net):
    prototxt, weights = net
    assert main(["compile", prototxt, "-w", weights, "--no-blob", "-o", "two"]) == 0
    assert main(["compile", weights, "--dialect", "bvlc", "--no-blob", "-o", "one"]) == 0
    assert Path("one.bin").read_bytes() == Path("two.bin").read_bytes()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["none.prototxt"], "none.prototxt: no such file"),
        (["net.prototxt", "-s", "many"], "[Error 27] -s: expected a number"),
        (["net.prototxt", "-w", "net.caffemodel", "-on", "fc9"], "no layer 'fc9'; did you mean 'fc'"),
        (["net.prototxt", "-w", "net.caffemodel", "-s", "17"], "expected 1 to 16, received 17"),
        (["net.prototxt", "-s", "13", "-ma2450"], "expected 1 to 12, received 13"),
        (["net.caffemodel", "-w", "net.prototxt"], "contains weights; give the network first and the weights with -w"),
        (["."], "this is a folder"),
        (["net.prototxt", "-w", "net.prototxt"], "weights are in a .caffemodel"),
        (["net.caffemodel", "--dialect", "sdd"], "unknown dialect 'sdd': did you mean 'ssd'"),
        (["net.prototxt", "--mean", "1,2"], "--mean has 2 values, the net's input has 3 channels"),
        (["net.prototxt", "--scale", "0"], "--scale 0 would make every input the same"),
        (["net.prototxt", "-o", "net.caffemodel/x"], "Not a directory"),
        (["net.prototxt", "-in", "fc", "-on", "conv1"], "the last layer, 'conv1', comes before the first, 'fc'"),
    ],
)
def test_user_errors(net, arguments, message, capsys):
    assert main(["compile", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not os.path.exists("net.onnx")


def test_ncsdk_receives_the_form_it_accepts(net, tmp_path, monkeypatch):
    """A fake mvNCCompile checks its input and records its arguments."""
    program = tmp_path / "bin" / "mvNCCompile"
    program.parent.mkdir()
    program.write_text(
        f"""#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
if "Input" in open(arguments[0]).read() or "12" not in arguments:
    sys.exit("[Error 20] Toolkit Error: Provide a correct input_shape")
files = {{name: open(path, "rb").read().hex() for name, path in (("net", arguments[0]), ("weights", arguments[2]))}}
open(arguments[arguments.index("-o") + 1], "w").write(json.dumps([arguments, files]))
"""
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    prototxt, weights = net
    assert (
        main(["compile", prototxt, "-w", weights, "--toolkit", "ncsdk", "-s", "12", "-on", "fc", "-is", "8", "8"]) == 0
    )
    arguments, files = json.loads(Path("graph").read_text())
    assert arguments[5:] == ["-s", "12", "-on", "fc", "-is", "8", "8"] and arguments[3] == "-o"
    param = read_net_text(bytes.fromhex(files["net"]).decode(), "net").param
    assert [layer.name for layer in param.layer if layer.type != "Input"] == [
        "conv1",
        "relu1",
        "conv2",
        "relu2",
        "fc",
        "prob",
    ]
    assert b"input_shape {" in bytes.fromhex(files["net"])
    weights = caffe_pb2.NetParameter.FromString(bytes.fromhex(files["weights"]))
    assert next(layer for layer in weights.layer if layer.name == "fc").blobs[0].data[0] == pytest.approx(
        float(caffe_nets.seeded(prototxt).params["fc"][0].data.flat[0])
    )


def test_ncsdk_error_message(net, tmp_path, monkeypatch, capsys):
    test_ncsdk_receives_the_form_it_accepts(net, tmp_path, monkeypatch)
    assert main(["compile", net[0], "--toolkit", "ncsdk"]) == 1
    assert "mvNCCompile failed: [Error 20] Toolkit Error: Provide a correct input_shape" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["compile", net[0], "--toolkit", "ncsdk"]) == 1
    assert "mvNCCompile is not on the PATH" in capsys.readouterr().err
