"""Formatting prototxt as protobuf's C++ does, compared with the output of real tools."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe.proto import caffe_pb2, text
from caffe.proto.text import printer

GOLDEN = Path(__file__).parents[3] / "golden" / "tools" / "upgrade"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.out.prototxt")), ids=lambda path: path.name)
def test_files_of_real_caffe_are_reproduced(path):
    message = caffe_pb2.SolverParameter() if "solver" in path.name else caffe_pb2.NetParameter()
    expected = path.read_text()
    text.parse(expected, message, path.name)
    assert printer.format(message) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    # C's %.6g, or %.9g if that is not exact
    [
        (0.1, "0.1"), (1e-8, "1e-08"), (1 / 3, "0.333333343"), (1e10, "1e+10"), (16777217.0, "16777216"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (123456.7, "123456.703"), (-0.0, "-0"),
        (3.4028234e38, "3.40282347e+38"),
        (float("inf"), "inf"), (float("-inf"), "-inf"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_floats_have_the_shortest_exact_form(value, expected):
    assert printer.float_text(float(np.float32(value))) == expected


@settings(max_examples=100, deadline=None)
@given(st.floats(width=32, allow_nan=False), st.floats(allow_nan=False), st.text(), st.binary())
def test_round_trip(number, double, string, data):
    net = caffe_pb2.NetParameter(name=string)
    layer = net.layer.add(loss_weight=[number])
    layer.blobs.add().double_data.append(double)
    parsed = caffe_pb2.NetParameter()
    text.parse(printer.format(net), parsed)
    assert parsed == net
    datum = caffe_pb2.Datum(data=data)
    parsed = caffe_pb2.Datum()
    text.parse(printer.format(datum), parsed)
    assert parsed == datum


def test_strings_are_escaped_byte_by_byte():
    net = caffe_pb2.NetParameter(name='it\'s "é"\t\\\x7f')
    assert printer.format(net) == 'name: "it\\\'s \\"\\303\\251\\"\\t\\\\\\177"\n'
