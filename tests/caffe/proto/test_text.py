"""Reading prototxt: what Caffe files use, beside protobuf's own reader; and what is said of faults."""

import pytest
from google.protobuf import text_format

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, parser, text

SYNTAX = r"""
# a comment
name: 'single' " and \"double\" \101\x42\303\251\n"
input: ["a", "b"] input: "c"
input_dim: 0x10, input_dim: 017; input_dim: -3
force_backward: t
state < phase: TEST level: -1 stage: "x" >
layer {
  name: "pool" type: "Pooling"
  loss_weight: [1, 2.5f, -inf, .5e3, 1., 1e-3] loss_weight: Infinity
  propagate_down: [true, False, 1, 0, f]
  pooling_param: { pool: 1; kernel_size: 3, stride: 2 }
  include { phase: TRAIN } include: { stage: "s" }
}
layer: [{ name: "x" }, { name: "y" }]
"""


def parse(prototxt, message=None, filename="net.prototxt"):
    message = message if message is not None else caffe_pb2.NetParameter()
    places = text.parse(prototxt, message, filename)
    return message, places


def faults(prototxt, message=None):
    with pytest.raises(CaffeError) as caught:
        parse(prototxt, message)
    return str(caught.value).split("\n")


def test_all_of_the_syntax_means_what_protobuf_takes_it_for():
    expected = text_format.Parse(SYNTAX, caffe_pb2.NetParameter())
    assert parse(SYNTAX)[0] == expected
    assert expected.name == 'single and "double" ABé\n'


def test_places_are_told_by_file_and_line():
    _, places = parse(SYNTAX)
    assert places.all("layer") == ["net.prototxt:%d" % line for line in (8, 15, 15)]
    assert places.at("layer[0].include", 1) == "net.prototxt:13"
    assert places.at("input", 1) == "net.prototxt:4"
    assert places.at("nothing") == "net.prototxt"


def test_a_typo_is_named_with_its_place_and_what_was_meant():
    prototxt = 'layer {\n  name: "p"\n  pooling_param { pool: MAX\n    kernal_size: 3 } }'
    assert faults(prototxt) == [
        "net.prototxt:4:5: PoolingParameter has no field 'kernal_size'; did you mean 'kernel_size'?"
    ]


def test_all_faults_are_told_at_once():
    found = faults(
        """
layer { name: "a" name: "b" }
layer { type: Convolution pooling_param { pool: MAXX stride: -1 kernel_size: 2.5 } }
layer { kernel_size: 3 clip_param { min: 1 } }
layers { type: "Convolution" }
force_backward: maybe
input_dim: 99999999999
input_dim 3
input: unquoted
""".lstrip()
    )
    expected = [
        (":1:19:", "LayerParameter.name is given twice"),
        (":2:15:", "expected a string in quotes, received Convolution"),
        (":2:49:", "unknown value MAXX; did you mean 'MAX'?; known: MAX, AVE, STOCHASTIC"),
        (":2:62:", "expected an integer from 0 to 4294967295, received -1"),
        (":2:78:", "expected an integer, received 2.5"),
        (":3:9:", "'kernel_size'; it belongs inside convolution_param or pooling_param"),
        (":3:24:", "ClipParameter: the required field 'max' is missing"),
        (":4:16:", "expected one of NONE, ABSVAL"),
        (":5:17:", "expected true or false, received maybe"),
        (":6:12:", "from -2147483648 to 2147483647"),
        (":7:11:", "NetParameter.input_dim: expected ':', received 3"),
        (":8:8:", "expected a string in quotes, received unquoted"),
    ]
    assert len(found) == len(expected)
    for line, (place, words) in zip(found, expected):
        assert place in line and words in line


def test_a_missing_brace_is_found_where_the_next_layer_begins():
    prototxt = 'layer {\n  name: "a"\n  pooling_param { stride: 1\nlayer { name: "b" }\nlayer { nmae: "c" }'
    found = faults(prototxt)
    assert found[0] == "net.prototxt:4:1: 'layer' inside PoolingParameter: is a '}' missing before it?"
    assert "has no field 'nmae'" in found[1] and len(found) == 2


@pytest.mark.parametrize(
    ("prototxt", "said"),
    [
        ("layer {", ":1:1: layer is not closed: '}' is missing"),
        ("}", "'}' closes nothing"),
        ('name: "abc', "a string that is not closed on its line"),
        (r'name: "\q"', r"unknown escape \q"),
        (r'name: "\377"', "expected text in UTF-8"),
        ("layer: 3", "NetParameter.layer: expected '{', received 3"),
        ("name: { }", "NetParameter.name takes one value"),
        ("input: [", "expected a value, received the end of the file"),
        ("\0", "received '\\x00'"),
        ("unknown { a { b: [1, 2] } c: -3 } nmae: 1", "has no field 'nmae'; did you mean 'name'?"),
    ],
)
def test_faults_of_form(prototxt, said):
    assert any(said in line for line in faults(prototxt))


def test_the_list_of_faults_has_a_bound():
    found = faults("".join("bad%d: 1\n" % i for i in range(500)))
    assert len(found) == 21 and found[-1].endswith("further faults are not shown")


def test_a_text_without_end_is_refused():
    with pytest.raises(CaffeError, match="at most 16777216"):
        parse(" " * (text.MAX_CHARACTERS + 1))


def test_messages_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(parser, "MAX_MESSAGES", 1000)
    assert "more than 1000 messages" in faults("layer{}" * 1001)[0]


def test_nesting_without_end_is_no_recursion():
    assert "has no field 'a'" in faults("a { " * 50_000)[0]
    assert len(faults("layer { layer { " * 5_000)) == 21


def test_fields_of_forks_are_read_and_those_without_effect_are_noted():
    lines = []
    stop = glog.listen(lines.append)
    try:
        net, _ = parse(
            """default_forward_type: FLOAT16
layer { name: "data" type: "Data" forward_type: FLOAT data_param { threads: 4 source: "s" }
  transform_param { resize_param { prob: 1 resize_mode: WARP height: 300 } crop_size: 3 } }
layer { name: "norm" norm_param { across_spatial: false scale_filler { value: 20 } } }
layer { name: "perm" permute_param { order: 0 order: 2 order: [1, 3] } }
layer { name: "p" pooling_param { ceil_mode: false engine: MKL2017 stride: 2 } engine: "MKLDNN:CPU" }
"""
        )
    finally:
        stop()
    said = "\n".join(lines)
    assert [layer.name for layer in net.layer] == ["data", "norm", "perm", "p"]
    assert (net.layer[0].data_param.source, net.layer[0].transform_param.crop_size) == ("s", 3)
    assert net.layer[0].transform_param.resize_param[0].height == 300
    assert net.layer[1].norm_param.scale_filler.value == 20
    assert list(net.layer[2].permute_param.order) == [0, 2, 1, 3]
    assert net.layer[3].pooling_param.HasField("ceil_mode")
    for words in ("line 1: NetParameter.default_forward_type", "DataParameter.threads", "LayerParameter.engine"):
        assert words in said
    assert said.count("change no result") == 1


def test_a_long_net_keeps_every_layer_and_place():
    one = 'layer {\n  name: "c%d"\n  type: "Convolution"\n  convolution_param {\n    kernel_size: 3\n  }\n}\n'
    net, places = parse("".join(one % i for i in range(1000)))
    assert net.layer[999].name == "c999"
    assert places.at("layer", 999) == "net.prototxt:6994"
