"""`--target oak`: what the blob, the NN Archive and the superblob contain, and that depthai reads them the same."""

import json
import tarfile

import numpy as np
import pytest
from support import caffe_nets

from caffe.device.transform import Transform
from ncs.cli import main
from ncs.myriad import superblob
from ncs.myriad.blob import parse_blob, read_blob
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 12 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "age" type: "InnerProduct" bottom: "conv" top: "age"
  inner_product_param { num_output: 9 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "gender" type: "InnerProduct" bottom: "conv" top: "gender"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.01 } } }
"""
needs_depthai = "needs depthai, which is not a dependency: pip install depthai"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, compiler):
    folder = tmp_path_factory.mktemp("oak")
    prototxt, weights = caffe_nets.tiny(folder, NET)
    (folder / "sexes.txt").write_text("Male\nFemale\n")
    arguments = ["compile", prototxt, "-w", weights, "--mean", "10,20,30", "--scale", "0.5", "--target", "oak"]
    assert main([*arguments, "--labels", f"gender={folder / 'sexes.txt'}", "-o", str(folder / "net")]) == 0
    assert main([*arguments, "--superblob", "-o", str(folder / "many")]) == 0
    assert main(["compile", str(folder / "net.onnx"), "--target", "RVC2", "-o", str(folder / "file")]) == 0
    return folder


def config(path):
    with tarfile.open(path) as archive:
        names = archive.getnames()
        facts = json.loads(archive.extractfile("config.json").read())
        return facts, names, archive.extractfile(facts["model"]["metadata"]["path"]).read()


def test_blob_takes_pixels_and_returns_halves(folder):
    blob = read_blob(folder / "net.blob")
    (data,) = blob.inputs
    assert (data.dtype, data.order, data.dims, data.strides) == ("U8", "NCHW", (1, 3, 12, 8), (288, 96, 8, 1))
    assert {port.dtype for port in blob.outputs} == {"FP16"} and blob.shaves == 6


def test_config(folder):
    facts, names, content = config(folder / "net.tar.xz")
    assert names == ["config.json", "net.blob"] and content == (folder / "net.blob").read_bytes()
    assert facts["config_version"] == "1.0"
    (data,) = facts["model"]["inputs"]
    assert (data["name"], data["dtype"], data["shape"], data["layout"]) == ("data", "uint8", [1, 3, 12, 8], "NCHW")
    assert data["input_type"] == "image" and data["preprocessing"]["dai_type"] == "BGR888p"
    outputs = {port["name"]: (port["dtype"], port["shape"], port["layout"]) for port in facts["model"]["outputs"]}
    assert outputs == {"age": ("float16", [1, 9], "NC"), "gender": ("float16", [1, 2], "NC")}
    heads = {head["name"]: (head["outputs"], head["metadata"]["classes"]) for head in facts["model"]["heads"]}
    assert heads == {"gender": (["gender"], ["Male", "Female"]), "age": (["age"], list("012345678"))}
    assert [head["metadata"]["is_softmax"] for head in facts["model"]["heads"]] == [False, False]


MASK = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "scores" type: "Convolution" bottom: "data" top: "scores"
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.1 } } }
"""
PROBABILITIES = (
    MASK
    + """
layer { name: "fc" type: "InnerProduct" bottom: "scores" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
)


@pytest.mark.parametrize(
    ("text", "parser", "softmax", "layout"),
    [(MASK, "SegmentationParser", False, "NCHW"), (PROBABILITIES, "ClassificationParser", True, "NC")],
)
def test_kinds_of_heads(compiler, tmp_path, text, parser, softmax, layout):
    prototxt, weights = caffe_nets.tiny(tmp_path, text)
    command = ["compile", prototxt, "-w", weights, "--target", "oak", "--no-ir", "--order", "RGB"]
    assert main([*command, "-o", str(tmp_path / "net")]) == 0
    facts = config(tmp_path / "net.tar.xz")[0]["model"]
    assert facts["inputs"][0]["preprocessing"]["dai_type"] == "RGB888p"  # the camera delivers what the net expects
    (head,) = facts["heads"]
    assert (head["parser"], head["metadata"]["is_softmax"], facts["outputs"][0]["layout"]) == (parser, softmax, layout)


def test_archive_of_an_onnx_file_has_outputs_without_heads(folder):
    facts, names, _ = config(folder / "file.tar.xz")
    assert names[1] == "file.blob" and facts["model"]["heads"] == []


def test_manifest_lists_the_files(folder):
    manifest = Manifest.read(folder / "many.json")
    assert {"blob", "superblob", "nn_archive"} <= set(manifest.artefacts) and manifest.verify() == []
    assert config(folder / "many.tar.xz")[1] == ["config.json", "many.superblob"]


def test_superblob_has_a_blob_for_every_number_of_cores(folder):
    for count in superblob.COUNTS:
        assert parse_blob(superblob.read_superblob(folder / "many.superblob", count)).shaves == count
    assert superblob.read_superblob(folder / "many.superblob", 6) == (folder / "many.blob").read_bytes()


def test_inspect_lists_the_blobs_of_a_superblob(folder, capsys):
    assert main(["inspect", str(folder / "many.superblob")]) == 0
    out = capsys.readouterr().out
    assert [f"many.superblob [{count} shaves]: " in out for count in (1, 16, 17)] == [True, True, False]
    assert main(["inspect", str(folder / "net.superblob")]) == 1
    assert "net.superblob: No such file" in capsys.readouterr().err


def test_mean_and_scale_are_in_the_blob(folder):
    """The simulated blob gives for raw pixels what the net gives for prepared ones."""
    image = np.random.default_rng(2).integers(0, 256, (12, 8, 3), np.uint8)
    manifest = Manifest.read(folder / "net.json")
    raw = manifest.transform.image(image)
    np.testing.assert_array_equal(raw, image.transpose(2, 0, 1))
    with open_runner("SIMULATOR", manifest) as runner:
        simulated = runner.run(raw[None])
    prepared = Transform(size=(12, 8), mean=[10, 20, 30], scale=0.5).image(image)[None]
    parents = [str(folder / manifest.parents["unfolded " + kind].file) for kind in ("prototxt", "caffemodel")]
    import caffe

    net = caffe.Net(*parents, caffe.TEST)
    net.blobs["data"].data[...] = prepared
    outputs = net.forward()
    expected = np.concatenate([outputs["gender"], outputs["age"]], axis=1)
    np.testing.assert_allclose(simulated, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-ma2450"], "--target oak: cannot be combined with --platform MA2450"),
        (["--no-blob"], "cannot be combined with --no-blob"),
    ],
)
def test_contradictions(folder, options, message, capsys):
    assert main(["compile", str(folder / "net.onnx"), "--target", "oak", *options]) == 1
    assert message in capsys.readouterr().err


def test_a_superblob_is_for_cameras(folder, capsys):
    assert main(["compile", str(folder / "net.onnx"), "--superblob"]) == 1
    assert "--superblob: expected --target oak" in capsys.readouterr().err


def test_depthai_reads_blob_and_archives(folder):
    dai = pytest.importorskip("depthai", reason=needs_depthai)
    blob = dai.OpenVINO.Blob(str(folder / "net.blob"))
    assert (blob.numShaves, blob.numSlices, blob.stageCount) == (6, 6, len(read_blob(folder / "net.blob").stages))
    data = blob.networkInputs["data"]
    assert (data.dataType, data.dims, data.order) == (
        dai.TensorInfo.DataType.U8F,
        [8, 12, 3, 1],
        dai.TensorInfo.StorageOrder.NCHW,
    )
    assert {name: (port.dataType.name, port.dims) for name, port in blob.networkOutputs.items()} == {
        "age": ("FP16", [9, 1]),
        "gender": ("FP16", [2, 1]),
    }
    if not hasattr(dai, "NNArchive"):
        return  # depthai 2 has no archives
    archive = dai.NNArchive(str(folder / "net.tar.xz"))
    assert archive.getInputSize() == (8, 12) and archive.getBlob().numShaves == 6
    heads = archive.getConfigV1().model.heads
    assert [(head.parser, head.outputs, head.metadata.nClasses) for head in heads] == [
        ("ClassificationParser", ["gender"], 2),
        ("ClassificationParser", ["age"], 9),
    ]
    blobs = dai.NNArchive(str(folder / "many.tar.xz")).getSuperBlob()
    for count in superblob.COUNTS:
        content = bytes(blobs.getBlobWithNumShaves(count).data)
        assert content == superblob.read_superblob(folder / "many.superblob", count)


def test_config_follows_the_schema_of_luxonis(folder):
    schema = pytest.importorskip("luxonis_ml.nn_archive.config", reason="needs luxonis-ml, which is not a dependency")
    for name in ("net", "many", "file"):
        model = schema.Config.model_validate(config(folder / f"{name}.tar.xz")[0]).model
        kinds = {type(head.metadata).__name__ for head in model.heads}
        assert kinds <= {"HeadClassificationMetadata"} and len(model.heads) == (0 if name == "file" else 2)
