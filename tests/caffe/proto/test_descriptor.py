"""caffe.proto against the published schema, and the errors of its parser."""

import json
from pathlib import Path

import pytest
from support.external_data import SHARED, needs_shared

from caffe.proto import caffe_pb2, descriptor

FIRST_EXTENSION = 10001  # number of the first field that Caffe does not have; AugmentParameter is an extension too
TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}


def file_proto():
    return descriptor.read(Path(caffe_pb2.__file__).with_name("caffe.proto").read_text())


@needs_shared
def test_fields_match_the_published_schema():
    schema = json.loads((SHARED / "specs" / "caffe-schema.json").read_text())
    messages = {message.name: message for message in file_proto().message_type}
    enums = {enum.name: enum for enum in file_proto().enum_type}
    enums.update({f"{m.name}.{e.name}": e for m in messages.values() for e in m.enum_type})
    fields = [field for message in messages.values() for field in message.field if field.number < FIRST_EXTENSION]
    assert len(fields) - len(messages["AugmentParameter"].field) == len(schema["fields"]) == 423
    assert {e: {v.name: v.number for v in enums[e].value} for e in enums} == {
        item["enum"]: item["values"] for item in schema["enums"]
    }
    for item in schema["fields"]:
        (field,) = [f for f in messages[item["message"]].field if f.name == item["field"]]
        assert (field.number, field.default_value) == (item["number"], item.get("default", ""))
        assert field.options.packed == item.get("packed", False)
        assert {1: "optional", 2: "required", 3: "repeated"}[field.label] == item["label"]
        if item["type"] in TYPES:
            assert field.type == TYPES[item["type"]]
        else:
            assert field.type_name == ".caffe." + item["type"]


def test_types_resolve_to_the_nearest_scope():
    file = descriptor.read(
        """
        syntax = "proto2"; package p;   // a comment
        enum E { A = 0; }
        message M {
          enum E { B = -1; }
          message N { repeated E e = 1 [default = B, packed = true]; optional O o = 2; required bytes b = 3; }
        }
        message O { optional E e = 1; }
        """
    )
    inner = file.message_type[0].nested_type[0]
    assert [f.type_name for f in inner.field] == [".p.M.E", ".p.O", ""]
    assert file.message_type[1].field[0].type_name == ".p.E"
    assert (inner.field[0].default_value, inner.field[0].options.packed) == ("B", True)
    assert file.message_type[0].enum_type[0].value[0].number == -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("message M {\n optional Nope n = 1; }", "unknown type Nope"),
        ('syntax = "proto2";\nservice S {}', "x.proto:2: expected syntax or package"),
        ("message M {\n  optional int32 n = 1\n}", "x.proto:2: expected `optional TYPE NAME = NUMBER"),
        ("message M {\n  optional int32 n = 1 [json_name = 2];\n}", "x.proto:2: expected `default = VALUE`"),
        ("message M {\n  optional int32 n = 1;", "x.proto:2: expected enum or message"),
        ("message M {\n  ~ }", "unknown character"),
    ],
)
def test_unsupported_constructs_raise_with_their_line(text, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        descriptor.read(text, "x.proto")
