"""The three upgrade tools as commands: their files equal real Caffe's."""

from pathlib import Path

import pytest

from caffe import tools
from caffe.proto import caffe_pb2, read

GOLDEN = Path(__file__).parents[2] / "golden" / "tools" / "upgrade"


@pytest.mark.parametrize(
    ("tool", "name"), [("upgrade_net_proto_text", "v0"), ("upgrade_solver_proto_text", "solver_v0")]
)
def test_text_tools_write_what_real_caffe_wrote(tool, name, tmp_path):
    out = tmp_path / "out.prototxt"
    assert not tools.main([tool, str(GOLDEN / (name + ".in.prototxt")), str(out)])
    assert out.read_bytes() == (GOLDEN / (name + ".out.prototxt")).read_bytes()


def test_binary_tool_keeps_the_weights(tmp_path):
    old = caffe_pb2.NetParameter(name="n")
    layer = old.layers.add(name="ip", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT, blobs_lr=[1])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    (tmp_path / "in").write_bytes(old.SerializeToString())
    assert not tools.main(["upgrade_net_proto_binary", str(tmp_path / "in"), str(tmp_path / "out")])
    new = caffe_pb2.NetParameter.FromString((tmp_path / "out").read_bytes())
    assert not new.layers and new.layer[0].type == "InnerProduct" and new.layer[0].param[0].lr_mult == 1
    assert list(new.layer[0].blobs[0].data) == [1, 2]
    assert read.read_net(tmp_path / "out").param.name == "n"


def test_a_fault_is_one_message_and_a_status(tmp_path, capsys):
    (tmp_path / "in").write_text("nmae: 1")
    with pytest.raises(SystemExit) as stopped:
        raise SystemExit(tools.main(["upgrade_net_proto_text", str(tmp_path / "in"), str(tmp_path / "out")]))
    assert stopped.value.code == 1
    assert "did you mean 'name'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
