"""Prototxt: parse it to messages (`parse`) and format messages as Caffe does (`format`)."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.proto.text.parser import Parser
from caffe.proto.text.printer import format
from caffe.proto.text.source_locations import SourceLocations

__all__ = ["MAX_CHARACTERS", "SourceLocations", "format", "parse"]

MAX_CHARACTERS = 16 << 20  # ResNet-152 has about 200,000


def parse(text: str, message: Any, filename: str = "<text>") -> SourceLocations:
    """Parse prototxt into an empty message.

    Supports all parts of protobuf's text format that Caffe files use: comments, optional colons before braces, < >,
    [lists], adjacent strings, escapes, enums by name or number. Fields of known forks are skipped with one warning.

    Parameters
    ----------
    text : str
    message : protobuf message
        An empty message to fill.
    filename : str
        File name for error messages.

    Returns
    -------
    SourceLocations
        Locations of the fields in the text.

    Raises
    ------
    CaffeError
        Lists all errors with file:line:column.
    """
    if len(text) > MAX_CHARACTERS:
        raise CaffeError(
            f"{filename}: {len(text)} characters of prototxt; the limit is {MAX_CHARACTERS} (weights belong in a "
            ".caffemodel)"
        )
    return Parser(text, filename).parse(message)
