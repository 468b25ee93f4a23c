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


def test_error_prints_a_message_and_sets_the_status(tmp_path, capsys):
    (tmp_path / "in").write_text("nmae: 1")
    assert tools.main(["upgrade_net_proto_text", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert "did you mean 'name'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
