"""Binary nets with the field numbers of forks: read, written, and refused if the numbers do not fit."""

import numpy as np
import pytest
from support.external_data import FORK_CASES, needs_shared

import caffe
from caffe import tools
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, dialects, wire_format
from caffe.proto.read import read_net, read_net_binary, read_net_text

# Numbers in the forks' public caffe.proto files: dialect, layer, numbers of the last field and of its first member.
NUMBERS = [
    ("ssd", 'type: "Permute" permute_param { order: 0 }', 202, 1),
    ("ctpn", 'type: "Reverse" reverse_param { axis: 1 }', 143, 1),
    ("pspnet", 'type: "Interp" interp_param { height: 3 }', 143, 1),
    ("flownet2", 'type: "Correlation" correlation_param { pad: 3 }', 150, 2),
    ("mobilenet-yolo", 'type: "Upsample" upsample_param { scale: 2 }', 150, 1),
    ("mini-caffe", 'type: "Convolution" convolution_param { num_output: 3 }', 206, 1),
    ("sphereface", 'type: "MarginInnerProduct" margin_inner_product_param { num_output: 2 }', 147, 1),
    ("nvcaffe", 'type: "ReLU" forward_type: FLOAT16', 145, None),
    ("nvcaffe-0.16", 'type: "BatchNorm" batch_norm_param { scale_bias: true }', 139, 7),
    ("intel", 'type: "Convolution" convolution_param { relu: true }', 106, 19),
]
# The dialect of each file of another fork.
FILES = {
    "ctpn": "ctpn", "flownet": "flownet2", "intel": "intel", "nv15": "nvcaffe-0.15",
    "nv16_as_trained": "nvcaffe-0.16", "nv17_as_trained": "nvcaffe-0.17", "ocr": "caffe-ocr", "plus": "caffe-plus",
    "psp": "pspnet", "sphere": "sphereface", "windows": "caffe-windows", "xilinx": "xilinx", "yolo": "mobilenet-yolo",
}  # fmt: skip


def net_of(layer):
    return read_net_text('layer { name: "l" ' + layer + " }", "net.prototxt").param


def last_field(data):
    *_, (number, _, value) = wire_format.fields(memoryview(data))
    return number, value


@pytest.mark.parametrize(("dialect", "layer", "number", "inner"), NUMBERS, ids=lambda value: str(value)[:30])
def test_fields_have_the_forks_numbers(dialect, layer, number, inner, tmp_path):
    net = net_of(layer)
    data = dialects.write_net(net, dialect, "net")
    _, written = last_field(data)
    received, value = last_field(written)
    assert received == number
    assert inner is None or last_field(value)[0] == inner
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    assert read_net(path, dialect).param == net


@pytest.mark.parametrize("dialect", dialects.names())
def test_every_dialect_has_caffes_layers_and_weights(dialect, tmp_path):
    net = net_of('type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 }')
    net.layer[0].blobs.add(shape={"dim": [2, 1]}, data=[1, 2])
    path = tmp_path / "net.caffemodel"
    path.write_bytes(dialects.write_net(net, dialect, "net"))
    received = read_net_binary(path, dialect=dialect).param
    assert np.array_equal(received.layer[0].blobs[0].data, [1, 2])
    assert received == net


@pytest.mark.parametrize(
    ("layer", "dialect", "message"),
    [
        ('type: "Permute" permute_param { order: 1 }', "bvlc", "has no field LayerParameter.permute_param"),
        ('type: "Pooling" pooling_param { pool: AVE_TF }', "ssd", "has no value AVE_TF"),
        ('type: "X" unheard_param { a: 1 }', "ssd", "unknown field LayerParameter.unheard_param"),
        ('type: "Upsample" upsample_param { scale: -1 }', "segnet", "scale is -1, in dialect segnet it cannot be neg"),
        ('type: "X"', "sdd", "unknown dialect 'sdd': did you mean 'ssd'"),
    ],
)
def test_a_dialect_without_the_field_is_an_error(layer, dialect, message):
    with pytest.raises(CaffeError, match=message):
        dialects.write_net(net_of(layer), dialect, "net.prototxt")


def test_the_message_names_the_dialects_that_fit(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(dialects.write_net(net_of('type: "ReLU" forward_type: FLOAT16'), "nvcaffe", "net"))
    with pytest.raises(CaffeError) as caught:
        read_net(path)
    assert str(caught.value) == (
        f"{path}: SSD's numbers do not have the fields LayerParameter.parameter_param; "
        "pass --dialect nvcaffe-0.16 or nvcaffe-0.17, or its prototxt"
    )


def test_unknown_fields_of_no_fork_are_errors(tmp_path):
    layer = b"\x0a\x01l\xf8\xff\xff\x3f\x01"  # name: "l", and a field that no schema has
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    with pytest.raises(CaffeError, match=r"do not have the fields LayerParameter\.\d+; no dialect has them"):
        read_net(path)


@needs_shared
@pytest.mark.parametrize("name", sorted(FILES))
def test_files_of_forks_are_read_and_written(name, tmp_path):
    path, out = FORK_CASES / "binary" / f"{name}.caffemodel", tmp_path / "out"
    net = read_net_binary(path, dialect=FILES[name]).param
    weight, bias = net.layer[1].blobs
    assert (net.layer[1].name, sum(weight.data), sum(bias.data)) == ("conv1", -0.75, -0.75)
    if FILES[name] not in ("ctpn", "pspnet"):  # these have no Input layers, which the upgrade adds
        out.write_bytes(dialects.write_net(net, FILES[name], str(path)))
        assert read_net_binary(out, dialect=FILES[name]).param == net
        assert name.startswith("nv1") or out.read_bytes() == path.read_bytes()  # NVCaffe stores weights differently


def test_tools_translate(tmp_path, capsys):
    first, second, text = (str(tmp_path / name) for name in ("a.caffemodel", "b.caffemodel", "b.prototxt"))
    net = net_of('type: "Correlation" bottom: "x" top: "y" correlation_param { pad: 3 }')
    with open(first, "wb") as stream:
        stream.write(dialects.write_net(net, "flownet2", first))
    command = ["upgrade_net_proto_binary", first, second, "--dialect", "flownet2", "--write-dialect"]
    assert not tools.main([*command, "synopsys"])
    assert not tools.main(["upgrade_net_proto_text", second, text, "--dialect", "synopsys"])
    assert read_net(text).param == net
    assert not tools.main(["summarize", first, "--dialect", "flownet2"])
    assert "Correlation" in capsys.readouterr().out
    assert tools.main([*command, "bvlc"]) == 1
    assert "dialect bvlc has no field LayerParameter.correlation_param" in capsys.readouterr().err


def test_unknown_parameters_of_a_net_are_ignored_outside_layers(tmp_path):
    data = caffe_pb2.NetParameter(name="n").SerializeToString() + b"\x58\x02"  # default_forward_type of NVCaffe
    (tmp_path / "net").write_bytes(data)
    assert read_net(tmp_path / "net").param.name == "n"


def test_a_net_in_a_dialect_runs(tmp_path, capsys):
    text = """layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 }
        data_filler { value: 3 } } }
      layer { name: "c" type: "Correlation" bottom: "x" bottom: "x" top: "y" correlation_param { kernel_size: 1 } }"""
    path = str(tmp_path / "net.caffemodel")
    with open(path, "wb") as stream:
        stream.write(dialects.write_net(read_net_text(text).param, "flownet2", path))
    with pytest.raises(CaffeError, match="--dialect"):
        caffe.Net(path, caffe.TEST)
    net = caffe.Net(path, caffe.TEST, dialect="flownet2")
    assert (net.forward()["y"] == 9).all()
    options = ["--model", path, "--dialect", "flownet2", "--iterations", "1"]
    assert not tools.main(["test", *options, "--weights", path])
    assert "y = 9" in capsys.readouterr().err
    assert not tools.main(["time", *options, "--phase", "TEST"])
    assert "c\tforward" in capsys.readouterr().err
