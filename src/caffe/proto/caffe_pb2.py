"""Caffe's message classes, created from caffe.proto and forks.proto at import; scripts import this module name.

They are in a separate descriptor pool, so another caffe_pb2 in the same process (another Caffe, an old OpenVINO) does
not conflict. They work with every protobuf version from 3.20 to 7.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

from caffe.proto import descriptor


def _read_file():
    caffe, forks = (
        Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("caffe.proto", "forks.proto")
    )
    file = descriptor.read(caffe, additions=forks)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(file.name), pool


def _class_factory(pool):
    """Return the function that maps descriptors to classes; protobuf 4.22 renamed it."""
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass
    return message_factory.MessageFactory(pool).GetPrototype


def _define():
    """Define the names of a generated module: classes, enums and values of top-level enums."""
    file, pool = _read_file()
    create_class = _class_factory(pool)
    names = {"DESCRIPTOR": file}
    for name, enum in file.enum_types_by_name.items():
        names[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    for name, message in file.message_types_by_name.items():
        names[name] = create_class(message)
        names[name].__module__ = __name__
    globals().update(names)


_define()

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
