"""Parsing prototxt: agreement with protobuf's parser, and error messages."""

import pytest
from google.protobuf import text_format

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, text
from caffe.proto.text import parser

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
    locations = text.parse(prototxt, message, filename)
    return message, locations


def errors(prototxt, message=None):
    with pytest.raises(CaffeError) as caught:
        parse(prototxt, message)
    return str(caught.value).split("\n")


def test_syntax_agrees_with_protobuf():
    expected = text_format.Parse(SYNTAX, caffe_pb2.NetParameter())
    assert parse(SYNTAX)[0] == expected
    assert expected.name == 'single and "double" ABé\n'


def test_locations_have_file_and_line():
    _, locations = parse(SYNTAX)
    assert locations.all("layer") == [f"net.prototxt:{line}" for line in (8, 15, 15)]
    assert locations.at("layer[0].include", 1) == "net.prototxt:13"
    assert locations.at("input", 1) == "net.prototxt:4"
    assert locations.at("nothing") == "net.prototxt"


def test_typo_is_reported_with_location_and_suggestion():
    prototxt = 'layer {\n  name: "p"\n  pooling_param { pool: MAX\n    kernal_size: 3 } }'
    assert errors(prototxt) == [
        "net.prototxt:4:5: PoolingParameter has no field 'kernal_size'; did you mean 'kernel_size'?"
    ]


def test_all_errors_are_reported_together():
    lines = errors(
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
        (":1:19:", "LayerParameter.name is set twice"),
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
    assert len(lines) == len(expected)
    for line, (location, message) in zip(lines, expected):
        assert location in line and message in line


def test_missing_brace_is_reported_at_the_next_layer():
    prototxt = 'layer {\n  name: "a"\n  pooling_param { stride: 1\nlayer { name: "b" }\nlayer { nmae: "c" }'
    lines = errors(prototxt)
    assert lines[0] == "net.prototxt:4:1: 'layer' inside PoolingParameter: is a '}' missing before it?"
    assert "has no field 'nmae'" in lines[1] and len(lines) == 2


@pytest.mark.parametrize(
    ("prototxt", "message"),
    [
        ("layer {", ":1:1: layer is not closed: '}' is missing"),
        ("}", "'}' closes nothing"),
        ('name: "abc', "an unterminated string"),
        (r'name: "\q"', r"unknown escape \q"),
        (r'name: "\377"', "expected text in UTF-8"),
        ("layer: 3", "NetParameter.layer: expected '{', received 3"),
        ("name: { }", "NetParameter.name takes one value"),
        ("input: [", "expected a value, received the end of the file"),
        ("\0", "received '\\x00'"),
        ("unknown { a { b: [1, 2] } c: -3 } nmae: 1", "has no field 'nmae'; did you mean 'name'?"),
    ],
)
def test_syntax_errors(prototxt, message):
    assert any(message in line for line in errors(prototxt))


def test_number_of_errors_is_limited():
    lines = errors("".join(f"bad{i}: 1\n" for i in range(500)))
    assert len(lines) == 21 and lines[-1].endswith("further errors are not shown")


def test_equal_errors_are_one_line_with_their_number():
    text = 'layer { name: "a"\n convolution_param { num_outptu: 3 } }\n' * 200 + "nmae: 1"
    first, second = errors(text)
    assert first.startswith("net.prototxt:2:22: ConvolutionParameter has no field 'num_outptu'")
    assert first.endswith("(200 times, the last in line 400)")
    assert second.startswith("net.prototxt:401:1: NetParameter has no field 'nmae'") and "times" not in second


def test_length_of_the_text_is_limited():
    with pytest.raises(CaffeError, match="the limit is 16777216"):
        parse(" " * (text.MAX_CHARACTERS + 1))


def test_number_of_messages_is_limited(monkeypatch):
    monkeypatch.setattr(parser, "MAX_MESSAGES", 1000)
    assert "more than 1000 messages" in errors("layer{}" * 1001)[0]


def test_deep_nesting_does_not_recurse():
    assert "has no field 'a'" in errors("a { " * 50_000)[0]
    assert len(errors("layer { layer { " * 5_000)) == 2


def test_fields_of_forks_are_read_and_hints_are_logged():
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
    log = "\n".join(lines)
    assert [layer.name for layer in net.layer] == ["data", "norm", "perm", "p"]
    assert (net.layer[0].data_param.source, net.layer[0].transform_param.crop_size) == ("s", 3)
    assert net.layer[0].transform_param.resize_param[0].height == 300
    assert net.layer[1].norm_param.scale_filler.value == 20
    assert list(net.layer[2].permute_param.order) == [0, 2, 1, 3]
    assert net.layer[3].pooling_param.HasField("ceil_mode")
    for message in ("line 1: NetParameter.default_forward_type", "DataParameter.threads", "LayerParameter.engine"):
        assert message in log
    assert log.count("do not change the results") == 1


def test_long_net_has_all_layers_and_locations():
    layer = 'layer {\n  name: "c%d"\n  type: "Convolution"\n  convolution_param {\n    kernel_size: 3\n  }\n}\n'
    net, locations = parse("".join(layer % i for i in range(1000)))
    assert net.layer[999].name == "c999"
    assert locations.at("layer", 999) == "net.prototxt:6994"


@pytest.mark.parametrize(
    "value, hint",
    [
        ("num_output: 64*64", "no arithmetic: write the result as one number"),
        ("num_output: [64*64]", "write it without brackets"),
        ("num_output: [4096]", "write it without brackets"),
        ("num_output: 4096/2", "no arithmetic"),
    ],
)
def test_hints_for_arithmetic_and_brackets(value, hint):
    with pytest.raises(CaffeError, match=hint):
        text.parse(f"layer {{ inner_product_param {{ {value} }} }}", caffe_pb2.NetParameter(), "n")


def test_a_hint_for_arithmetic_in_a_list():
    with pytest.raises(CaffeError, match="n:1:15: input_dim: expected .*no arithmetic"):
        text.parse("input_dim: [64*64]", caffe_pb2.NetParameter(), "n")
