"""The messages of the gRPC service `inference.GRPCInferenceService`, in a descriptor pool of their own.

Other packages (tritonclient, kserve) register a file of the same name in protobuf's default pool; two in one pool would
not load.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"
_SCALARS = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
}
_TENSOR = "string name=1, string datatype=2, *int64 shape=3, %parameters=4, InferTensorContents contents=5"
# message: fields as "[*]type name=number"; * is repeated, map<string,InferParameter> is written %
_FIELDS = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live=1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready=1",
    "ModelReadyRequest": "string name=1, string version=2",
    "ModelReadyResponse": "bool ready=1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name=1, string version=2, *string extensions=3",
    "ModelMetadataRequest": "string name=1, string version=2",
    "TensorMetadata": "string name=1, string datatype=2, *int64 shape=3",
    "ModelMetadataResponse": (
        "string name=1, *string versions=2, string platform=3, *TensorMetadata inputs=4, *TensorMetadata outputs=5"
    ),
    "InferParameter": "bool bool_param=1, int64 int64_param=2, string string_param=3",
    "InferTensorContents": (
        "*bool bool_contents=1, *int32 int_contents=2, *int64 int64_contents=3, *uint32 uint_contents=4, "
        "*uint64 uint64_contents=5, *float fp32_contents=6, *double fp64_contents=7, *bytes bytes_contents=8"
    ),
    "InferInputTensor": _TENSOR,
    "InferRequestedOutputTensor": "string name=1, %parameters=2",
    "InferOutputTensor": _TENSOR,
    "ModelInferRequest": (
        "string model_name=1, string model_version=2, string id=3, %parameters=4, *InferInputTensor inputs=5, "
        "*InferRequestedOutputTensor outputs=6, *bytes raw_input_contents=7"
    ),
    "ModelInferResponse": (
        "string model_name=1, string model_version=2, string id=3, %parameters=4, *InferOutputTensor outputs=5, "
        "*bytes raw_output_contents=6"
    ),
}
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package="inference", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for text in filter(None, fields.split(", ")):
            _add_field(message, text)
    parameter = next(message for message in file.message_type if message.name == "InferParameter")
    parameter.oneof_decl.add(name="parameter_choice")
    for field in parameter.field:
        field.oneof_index = 0
    return file


def _add_field(message, text):
    declaration, _, number = text.partition("=")
    kind, _, name = declaration.lstrip("%*").rpartition(" ")
    field = message.field.add(name=name, number=int(number), label=3 if text[0] in "%*" else 1)
    if text[0] == "%":
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=1, type=_SCALARS["string"])
        entry.field.add(name="value", number=2, label=1, type=11, type_name=".inference.InferParameter")
        field.type, field.type_name = 11, f".inference.{message.name}.ParametersEntry"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = 11, f".inference.{kind}"


def classes() -> dict[str, Any]:
    """Return the message classes by name."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"inference.{name}")) for name in _FIELDS}
