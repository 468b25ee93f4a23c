"""Inputs of readers that once ended in another exception than the reader's own, or in none at all."""

import io
import json
import struct

import pytest

from agegender.errors import AgeGenderError
from agegender.inference.labels import Labels
from caffe.convert import tfjs
from caffe.data.boxes import annotations
from caffe.errors import CaffeError, did_you_mean
from ncs.errors import NcsError
from ncs.myriad.ir_downgrade import downgrade
from ncs.runtime import pipe_protocol
from ncs.serve import messages, protocol, rpc
from ncs.serve.errors import RequestError

XML = (
    "<annotation><size><width>%s</width><height>20</height></size><object><name>cat</name><bndbox><xmin>%s</xmin>"
    "<ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object></annotation>"
)


@pytest.mark.parametrize(
    "kind, content",
    [
        ("xml", XML % (40, "1e999")),
        ("xml", XML % (40, "nan")),
        ("xml", XML % ("9" * 400, "4")),
        ("txt", "1" * 400 + " 0 0 1 1"),
        ("txt", "1 0 0 1 1e39"),
        ("json", '{"annotation": [{"bbox": [1, 2, NaN, 4], "category_id": "cat"}]}'),
        ("json", '{"image": {"height": 1e999}, "annotation": []}'),
        ("json", "[" * 100000),
    ],
)
def test_annotations(tmp_path, kind, content):
    (tmp_path / "a").write_text(content)
    with pytest.raises(CaffeError, match="a: "):
        annotations.read(tmp_path / "a", kind, (20, 40), {"cat": 1})


@pytest.mark.parametrize(
    "image, row, message",
    [
        ({"height": 20, "width": 40}, {"category_id": 2}, "image 'a.jpg': the category '2' is not in the file"),
        ({"height": "x", "width": 40}, {"category_id": 1}, "image 'a.jpg': "),
        ({"height": 20, "width": 40}, {"category_id": 1, "bbox": [1e300, 2, 3, 4]}, "is not in pixels"),
    ],
)
def test_coco(tmp_path, image, row, message):
    facts = {
        "images": [{"id": 1, "file_name": "a.jpg", **image}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4], **row}],
    }
    (tmp_path / "a.json").write_text(json.dumps(facts))
    with pytest.raises(CaffeError, match=message):
        annotations.coco(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100000,
        '{"weightsManifest": [{"paths": [], "weights": [{"name": "a", "dtype": "float32", "shape": [1e999]}]}]}',
    ],
)
def test_tensorflow_js(tmp_path, content):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(CaffeError, match="m.json: "):
        tfjs.read(tmp_path / "m.json")


LAYER = '<layer id="%s" name="s" type="SoftMax" version="opset8"><data axis="%s"/><input><port id="0"><dim>%s</dim></port></input></layer>'


@pytest.mark.parametrize(
    "layer", [LAYER % (0, "x", 1), LAYER % (0, 0, "x"), '<layer type="SoftMax" version="opset8"/>']
)
def test_ir(tmp_path, layer):
    (tmp_path / "m.xml").write_text(f'<net name="a" version="11"><layers>{layer}</layers><edges/></net>')
    (tmp_path / "m.bin").write_bytes(b"")
    (tmp_path / "out").mkdir()
    with pytest.raises(NcsError, match="m.xml: not an IR, or damaged"):
        downgrade(str(tmp_path / "m.xml"), str(tmp_path / "out"))


def test_a_constant_beyond_the_weights_is_refused_before_it_is_read(tmp_path):
    layers = (
        '<layer id="1" name="b" type="Const" version="opset1"><data element_type="i64" shape="1" offset="0" '
        'size="9000000000000000000"/></layer><layer id="2" name="s" type="Slice" version="opset8"><input><port id="0">'
        '<dim>1</dim></port><port id="1"/><port id="2"/><port id="3"/></input></layer>'
    )
    edges = "".join(f'<edge from-layer="1" from-port="0" to-layer="2" to-port="{i}"/>' for i in (1, 2, 3))
    (tmp_path / "m.xml").write_text(f'<net version="11"><layers>{layers}</layers><edges>{edges}</edges></net>')
    (tmp_path / "m.bin").write_bytes(bytes(8))
    with pytest.raises(NcsError, match="is not in the .bin file"):
        downgrade(str(tmp_path / "m.xml"), str(tmp_path))


@pytest.mark.parametrize("shape", [[0, 2**63], [1] * 100, [-1], [2**40, 2**40]])
def test_impossible_shapes_of_requests(shape):
    entry = {"name": "x", "datatype": "FP32", "shape": shape, "data": [], "parameters": {"binary_data_size": 0}}
    for more in ({}, {"parameters": {}}):
        with pytest.raises(RequestError, match="input 'x': "):
            protocol.parse(json.dumps({"inputs": [{**entry, **more}]}).encode(), None)
    if max(shape) < 2**63:
        request = messages.classes()["ModelInferRequest"]()
        request.inputs.add(name="x", datatype="FP32", shape=shape)
        with pytest.raises(RequestError, match="input 'x': "):
            rpc._inputs(request)


def test_nested_text_and_values_out_of_range():
    data = "[" * 500 + "]" * 500
    entry = f'{{"name": "x", "datatype": "BYTES", "shape": [1], "data": {data}}}'
    with pytest.raises(RequestError, match="at most 32 axes"):
        protocol.parse(f'{{"inputs": [{entry}]}}'.encode(), None)
    request = messages.classes()["ModelInferRequest"]()
    request.inputs.add(name="x", datatype="UINT8", shape=[1]).contents.uint_contents.append(300)
    with pytest.raises(RequestError, match="input 'x': "):
        rpc._inputs(request)


@pytest.mark.parametrize(
    "data",
    [
        b"printed by a library",
        struct.pack("<I", 3) + b"abc",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 15) + b'{"shape": [-1]}',
        struct.pack("<I", 15) + b'{"shape": ["a"]}'[:15],
    ],
)
def test_what_is_no_message_of_the_worker(data):
    with pytest.raises(NcsError, match="not a message"):
        pipe_protocol.receive(io.BytesIO(data))


def test_classes_that_are_no_ages_or_genders():
    labels = Labels("x", ("cat", "dog"))
    with pytest.raises(AgeGenderError, match="the classes cat, dog are no ages"):
        labels.centres()
    with pytest.raises(AgeGenderError, match="the net has no class Male; its classes are cat, dog"):
        labels.indices_of(["Male"])


def test_no_suggestion_for_very_long_words():
    """The comparison takes time that grows with the square of the length."""
    assert did_you_mean("a" * 201, ["a" * 200]) == "" and did_you_mean("a" * 199, ["a" * 200])
