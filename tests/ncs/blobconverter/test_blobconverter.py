"""Scripts of blobconverter's users run offline; the blobs compute the preprocessing that the flags describe."""

import numpy as np
import pytest

import caffe
import ncs.blobconverter as blobconverter
from ncs.blobconverter.__main__ import main
from ncs.blobconverter.model_optimizer import Preprocessing, parse_preprocessing
from ncs.errors import NcsError
from ncs.myriad.blob import read_blob
from ncs.runtime import open_runner

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" std: 0.05 } } }
"""
FLAGS = ["--mean_values=[100,110,120]", "--scale_values=[50,40,80]"]


@pytest.fixture(scope="module")
def net(tmp_path_factory, compiler):
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.prototxt").write_text(NET)
    caffe.set_random_seed(4)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    net.save(str(folder / "net.caffemodel"))
    weight, bias = (blob.data.copy() for blob in net.params["fc"])
    return folder, lambda x: x.reshape(len(x), -1) @ weight.T + bias


@pytest.fixture
def options(tmp_path):
    return {"output_dir": tmp_path / "blobs", "shaves": 5}


def pixels(seed=1):
    return np.random.default_rng(seed).integers(0, 256, (1, 3, 6, 6)).astype(np.float32)


def simulated(path, x):
    with open_runner("SIMULATOR", path) as runner:
        return runner.run(x)


def prepared(x, mean, scale):
    return (x - np.reshape(mean, (1, 3, 1, 1))) / np.reshape(scale, (1, 3, 1, 1))


@pytest.mark.parametrize("reverse", [False, True])
def test_from_caffe(net, options, reverse):
    folder, expected = net
    flags = [*FLAGS, "--reverse_input_channels"] if reverse else FLAGS
    path = blobconverter.from_caffe(
        proto=folder / "net.prototxt", model=str(folder / "net.caffemodel"), optimizer_params=flags, **options
    )
    assert path.name == "net_openvino_2021.4_5shave.blob" and read_blob(path).shaves == 5
    assert read_blob(path).inputs[0].dtype == "U8" and read_blob(path).outputs[0].dtype == "FP16"
    x = pixels()
    ordered = x[:, ::-1] if reverse else x
    result = expected(prepared(ordered, (100, 110, 120), (50, 40, 80)))
    np.testing.assert_allclose(simulated(path, x), result, atol=0.02)


def test_default_preprocessing_is_that_of_blobconverter(net, options):
    folder, expected = net
    path = blobconverter.from_caffe(folder / "net.prototxt", folder / "net.caffemodel", **options)
    x = pixels(2)
    np.testing.assert_allclose(simulated(path, x), expected((x - 127.5) / 255), atol=0.01)


def test_from_onnx_and_from_openvino(net, options, tmp_path):
    from ncs.cli import main as ncs

    folder, expected = net
    arguments = [str(folder / "net.prototxt"), "-w", str(folder / "net.caffemodel"), "--no-blob"]
    assert ncs(["compile", *arguments, "-o", str(tmp_path / "net")]) == 0
    x = pixels(3)
    path = blobconverter.from_onnx(
        model=str(tmp_path / "net.onnx"), data_type="FP16", optimizer_params=["--scale=2"], **options
    )
    np.testing.assert_allclose(simulated(path, x), expected(x / 2), atol=0.3)
    ir = blobconverter.from_openvino(
        tmp_path / "net.xml", tmp_path / "net.bin", compile_params=["-ip FP16"], version="2022.1", **options
    )
    assert read_blob(ir).inputs[0].dtype == "FP16"
    np.testing.assert_allclose(simulated(ir, x / 256), expected(x / 256), atol=0.01)


def test_the_same_request_is_not_compiled_again(net, options, monkeypatch):
    folder, _ = net
    files = folder / "net.prototxt", folder / "net.caffemodel"
    path = blobconverter.from_caffe(*files, **options)
    first = path.stat().st_mtime_ns
    assert blobconverter.from_caffe(*files, **options) == path and path.stat().st_mtime_ns == first
    blobconverter.from_caffe(*files, optimizer_params=[], **options)
    second = path.stat().st_mtime_ns
    assert second != first
    blobconverter.from_caffe(*files, optimizer_params=[], use_cache=False, **options)
    assert path.stat().st_mtime_ns != second


def test_zoo_names_are_registered_nets(options):
    assert "compact" in blobconverter.zoo_list()
    path = blobconverter.from_zoo("compact", zoo_type="depthai", **options)
    blob = read_blob(path)
    assert blob.inputs[0].dtype == "U8" and {port.dims[-1] for port in blob.outputs} == {2, 101}


def test_set_defaults(net, tmp_path, monkeypatch, capsys):
    from ncs.blobconverter import request

    monkeypatch.setattr(request, "defaults", request.defaults.copy())
    monkeypatch.setattr(blobconverter, "defaults", request.defaults)
    blobconverter.set_defaults(output_dir=tmp_path, shaves=3, silent=True, url="http://localhost")
    folder, _ = net
    path = blobconverter.from_caffe(folder / "net.prototxt", folder / "net.caffemodel")
    assert path == tmp_path / "net_openvino_2021.4_3shave.blob" and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shaves": 17}, "shaves: expected 1 to 16, received 17"),
        ({"version": "2019.R3"}, "version: expected one of"),
        ({"data_type": "INT8"}, "data_type: expected FP16"),
        ({"shavs": 4}, "unknown option 'shavs', did you mean 'shaves'?"),
        ({"compile_params": ["-iop a:U8"]}, "compile_params: expected -ip, -op or -VPU_..., received '-iop'"),
        ({"optimizer_params": ["--transform=x"]}, "'--transform' is not supported"),
        ({"optimizer_params": ["--scale_values=[0,1,1]"]}, "--scale_values contains 0"),
        ({"optimizer_params": ["--mean_values=[1,2]"]}, "has 3 channels, received 2 values"),
        ({"optimizer_params": ["--mean_values=[a]"]}, "expected numbers such as"),
        ({"download_ir": True}, "not available offline"),
    ],
)
def test_faults(net, options, message, tmp_path):
    folder, _ = net
    with pytest.raises(NcsError) as fault:
        blobconverter.from_caffe(
            folder / "net.prototxt", folder / "net.caffemodel", output_dir=tmp_path, use_cache=False, **options
        )
    assert message.split(", did you")[0] in str(fault.value)


def test_what_is_not_converted_says_what_to_do(tmp_path):
    for call in (
        lambda: blobconverter.from_tf("x.pb"),
        lambda: blobconverter.from_config("x", "x.yml"),
        lambda: blobconverter.compile_blob("x"),
    ):
        with pytest.raises(NcsError, match="use from_"):
            call()
    with pytest.raises(NcsError, match="missing.onnx: no such file"):
        blobconverter.from_onnx(tmp_path / "missing.onnx")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--mean_values=data[1,2,3] --scale 4", Preprocessing((1, 2, 3), (4,))),
        ("--mean_values [1.5,2,3] --reverse_input_channels", Preprocessing((1.5, 2, 3), reverse=True)),
        ("--input_shape=[1,3,20,30] --data_type=FP16", Preprocessing(shape=(1, 3, 20, 30))),
        ("", Preprocessing()),
    ],
)
def test_flags(text, expected):
    assert parse_preprocessing(text) == expected


def test_command(net, tmp_path, capsys):
    folder, _ = net
    arguments = ["-cp", str(folder / "net.prototxt"), "-cm", str(folder / "net.caffemodel"), "-o", str(tmp_path)]
    flags = ["-sh", "6", "--optimizer-params=--mean_values=[1,2,3] --scale_values=[2,2,2]", "--compile-params=-ip FP16"]
    assert main([*arguments, *flags]) == 0
    path = capsys.readouterr().out.splitlines()[-1]
    assert path == str(tmp_path / "net_openvino_2021.4_6shave.blob") and read_blob(path).inputs[0].dtype == "FP16"
    assert main(arguments[:2]) == 1
    assert "expected both -cp PROTOTXT and -cm CAFFEMODEL" in capsys.readouterr().err
    assert main(["--zoo-list"]) == 0 and "compact" in capsys.readouterr().out


def test_files_of_another_kind(tmp_path, capsys):
    (tmp_path / "net.txt").write_text("hello")
    assert main(["-onnx", str(tmp_path / "net.txt")]) == 1
    assert "net.txt: expected a file that ends in .onnx" in capsys.readouterr().err
    (tmp_path / "net.bin").write_text("")
    with pytest.raises(NcsError, match="expected a file that ends in .xml"):
        blobconverter.from_openvino(tmp_path / "net.txt")
