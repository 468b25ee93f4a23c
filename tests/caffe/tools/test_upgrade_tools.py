"""The three upgrade tools: their output is identical to real Caffe's."""

from pathlib import Path

import pytest

from caffe import tools
from caffe.proto import caffe_pb2, read

GOLDEN = Path(__file__).parents[2] / "golden" / "tools" / "upgrade"


@pytest.mark.parametrize(
    ("tool", "name"), [("upgrade_net_proto_text", "v0"), ("upgrade_solver_proto_text", "solver_v0")]
)
def test_text_is_identical_to_caffes(tool, name, tmp_path):
    out = tmp_path / "out.prototxt"
    assert not tools.main([tool, str(GOLDEN / (name + ".in.prototxt")), str(out)])
    assert out.read_bytes() == (GOLDEN / (name + ".out.prototxt")).read_bytes()


def test_binary_tool_keeps_the_weights(tmp_path):
    v1_net = caffe_pb2.NetParameter(name="n")
    layer = v1_net.layers.add(name="ip", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT, blobs_lr=[1])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    (tmp_path / "in").write_bytes(v1_net.SerializeToString())
    assert not tools.main(["upgrade_net_proto_binary", str(tmp_path / "in"), str(tmp_path / "out")])
    net = caffe_pb2.NetParameter.FromString((tmp_path / "out").read_bytes())
    assert not net.layers and net.layer[0].type == "InnerProduct" and net.layer[0].param[0].lr_mult == 1
    assert list(net.layer[0].blobs[0].data) == [1, 2]
    assert read.read_net(tmp_path / "out").param.name == "n"


def field(number, value):
    """One field of bytes in protobuf's wire format."""
    tag = bytearray()
    number = number << 3 | 2
    while number > 127:
        tag.append(number & 127 | 128)
        number >>= 7
    return bytes([*tag, number, len(value)]) + value


def test_binary_tool_keeps_the_bytes_of_unknown_fields(tmp_path, capsys):
    """As real Caffe, which reads and writes with protobuf."""
    pooling = b"\x10\x03" + field(7776, b"abc")  # kernel_size: 3 and a field of nobody
    layer = field(1, b"pool") + field(2, b"Pooling") + field(121, pooling) + field(9999, b"\x01\x02")
    (tmp_path / "in").write_bytes(field(1, b"n") + field(100, layer))
    command = ["upgrade_net_proto_binary", str(tmp_path / "in"), str(tmp_path / "out")]
    assert not tools.main(command)
    warning = capsys.readouterr().err
    assert "LayerParameter.9999" in warning and "PoolingParameter.7776" in warning and "bytes are kept" in warning
    written = (tmp_path / "out").read_bytes()
    assert field(7776, b"abc") in written and field(9999, b"\x01\x02") in written
    assert caffe_pb2.NetParameter.FromString(written).layer[0].pooling_param.kernel_size == 3
    for option in ("--dialect", "--write-dialect"):
        assert tools.main([*command, option, "bvlc"]) == 1
        assert "LayerParameter.9999" in capsys.readouterr().err


def test_error_prints_a_message_and_sets_the_status(tmp_path, capsys):
    (tmp_path / "in").write_text("nmae: 1")
    assert tools.main(["upgrade_net_proto_text", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert "did you mean 'name'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
