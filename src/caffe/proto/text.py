"""Prototxt: reading it into messages (`parse`) and writing messages as Caffe prints them (`format`)."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.proto.parser import Parser
from caffe.proto.printer import format
from caffe.proto.source_locations import Places

__all__ = ["MAX_CHARACTERS", "Places", "format", "parse"]

MAX_CHARACTERS = 16 << 20  # a ResNet-152 is a fifth of a million


def parse(text: str, message: Any, filename: str = "<text>") -> Places:
    """Read prototxt into an empty message and return where its parts began.

    Takes all that protobuf's text form has and Caffe files use: comments, optional colons before braces, < >,
    [lists], adjacent strings, escapes, enums by name or number. Fields of known forks are skipped with one
    warning. Raises CaffeError that lists every fault with file:line:column.
    """
    if len(text) > MAX_CHARACTERS:
        raise CaffeError(
            "%s: %d characters of prototxt; at most %d are read (weights belong in a .caffemodel)"
            % (filename, len(text), MAX_CHARACTERS)
        )
    return Parser(text, filename).parse(message)
