"""Caffe's protobuf messages: schema (caffe.proto), text format, upgrades of old files, fast reading of weights."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Provide `caffe.proto.caffe_pb2` to scripts that only do `import caffe`."""
    if name == "caffe_pb2":
        return importlib.import_module("caffe.proto.caffe_pb2")
    raise AttributeError(f"module 'caffe.proto' has no attribute {name!r}")
