"""Python layers of popular repositories are replaced by our layers if their module cannot be imported."""

import sys
import types

import pytest

from caffe.core import glog
from caffe.layers import _python_replacements
from caffe.proto.read import read_net_text

PROPOSAL = """layer { name: "p" type: "Python" bottom: "a" bottom: "b" bottom: "i" top: "rois"
  python_param { module: "%s" layer: "ProposalLayer" param_str: "%s" } }"""


def replaced(text, training=False):
    return _python_replacements.replace(read_net_text(text, "net").param, training).layer[0]


def test_proposal_layer_is_replaced_and_logged():
    lines = []
    stop = glog.listen(lines.append)
    try:
        layer = replaced(PROPOSAL % ("rpn.proposal_layer", "{'feat_stride': 8, 'scales': [2, 4]}"))
    finally:
        stop()
    assert (layer.type, layer.proposal_param.feat_stride, list(layer.proposal_param.scale)) == ("Proposal", 8, [2, 4])
    assert (layer.proposal_param.pre_nms_topn, layer.proposal_param.post_nms_topn) == (6000, 300)
    assert "rpn.proposal_layer.ProposalLayer cannot be imported; it is replaced by Proposal" in "\n".join(lines)


def test_proposal_layer_of_ctpn_is_another_one():
    layer = replaced(PROPOSAL % ("layers.text_proposal_layer", "'feat_stride': 8"))
    assert (layer.type, layer.proposal_param.feat_stride) == ("TextProposal", 8)


def test_proposal_layer_in_c_of_caffe_faster_rcnn_is_replaced_in_phase_test():
    text = 'layer { name: "p" type: "FrcnnProposal" bottom: "a" bottom: "b" bottom: "i" top: "rois" top: "scores" }'
    layer = replaced(text)
    assert (layer.type, layer.proposal_param.feat_stride, list(layer.top)) == ("Proposal", 16, ["rois", "scores"])
    assert list(layer.proposal_param.scale) == [8, 16, 32]
    assert replaced(text, training=True).type == "FrcnnProposal"


def test_importable_module_is_used(monkeypatch):
    module = types.ModuleType("my_proposal_layer")
    module.__spec__ = types.SimpleNamespace(name="my_proposal_layer")
    monkeypatch.setitem(sys.modules, "proposal_layer", module)
    assert replaced(PROPOSAL % ("proposal_layer", "")).type == "Python"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'feat_stride': 16", {"feat_stride": [16]}),
        ("feat_stride: 16\nscales: !!python/tuple [4, 8]", {"feat_stride": [16], "scales": [4, 8]}),
        ('{"pad_t": 1, "pad_mode": "constant"}', {"pad_t": [1], "pad_mode": []}),
    ],
)
def test_settings_are_yaml_or_a_dict(text, expected):
    assert _python_replacements.settings(text) == expected


def test_spatial_dropout_is_replaced_in_phase_test_only():
    text = """layer { name: "d" type: "Python" bottom: "x" top: "y"
      python_param { module: "spatial_dropout" layer: "SpatialDropoutLayer" param_str: "{'p': '0.1'}" } }"""
    assert replaced(text).type == "Dropout"
    assert replaced(text, training=True).type == "Python"


def test_padding_becomes_a_pad():
    text = """layer { name: "d" type: "Python" bottom: "x" top: "y" python_param { module: "pad" layer: "PadTensor"
      param_str: '{"pad_t": 1, "pad_b": 2, "pad_l": 3, "pad_r": 4, "pad_mode": "constant"}' } }"""
    assert list(replaced(text).pad_param.paddings) == [0, 0, 0, 0, 1, 2, 3, 4]
    assert replaced(text.replace("constant", "reflect")).type == "Python"


def test_eltwise_of_synopsys_broadcasts():
    text = """layer { name: "d" type: "Python" bottom: "x" bottom: "y" top: "z" python_param { module: "eltwise"
      layer: "Eltwise" param_str: "{'operation': %d, 'coeff': [%d, 1]}" } }"""
    assert [replaced(text % (number, 1)).type for number in range(3)] == ["Mul", "Add", "Maximum"]
    assert replaced(text % (1, -1)).type == replaced(text % (3, 1)).type == "Python"
