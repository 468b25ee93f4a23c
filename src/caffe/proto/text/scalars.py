"""Convert tokens of a prototxt to values: numbers with range checks, booleans, enums by name or number, strings."""

from __future__ import annotations

import re

from caffe.errors import did_you_mean
from caffe.proto.field_tables import Field

_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_TRUE = {"true", "True", "t", "1"}
_FALSE = {"false", "False", "f", "0"}
_FLOAT = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?\Z")
_FLOAT_WORDS = {"inf", "infinity", "nan"}
_INTEGER = re.compile(r"(-?)(?:0[xX]([0-9A-Fa-f]+)|0([0-7]+)|(0|[1-9][0-9]*))\Z")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTER_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def convert(field: Field, word: str) -> object:
    """Convert a token (a name or a number, perhaps with a minus) to the value of `field`.

    Raises ValueError with the expected value, without the location.
    """
    if field.kind in _RANGES:
        return _integer(field.kind, word)
    if field.kind in ("float", "double"):
        return _float(word)
    if field.kind == "bool":
        return _bool(word)
    if field.kind == "enum":
        return _enum(field, word)
    raise ValueError(f"expected a string in quotes, received {word}")


def _integer(kind: str, word: str) -> int:
    low, high = _RANGES[kind]
    match = _INTEGER.match(word)
    if match is None:
        raise ValueError(f"expected an integer, received {word}")
    sign, hexadecimal, octal, decimal = match.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (decimal, 10)
    # Python limits the length of decimals; more than 22 octal digits exceed 64 bits anyway.
    value = int(sign + digits, base) if len(digits.lstrip("0")) <= 22 else high + 1
    if not low <= value <= high:
        raise ValueError(f"expected an integer from {low} to {high}, received {word[:40]}")
    return value


def _float(word: str) -> float:
    if _FLOAT.match(word):
        return float(word.rstrip("fF"))
    if word.lstrip("-").lower() in _FLOAT_WORDS and word.count("-") <= 1:
        return float(word)
    raise ValueError(f"expected a number, received {word}")


def _bool(word: str) -> bool:
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"expected true or false, received {word}")


def _enum(field: Field, word: str) -> int:
    if word in field.enum:
        return field.enum[word]
    match = _INTEGER.match(word)
    if match and len(word) < 12 and _integer("int32", word) in field.names:
        return _integer("int32", word)
    known = ", ".join(field.enum)
    raise ValueError(f"unknown value {word}{did_you_mean(word, field.enum)}; known: {known}")


def string(field: Field, literals: list[str]) -> object:
    """Return the value of adjacent quoted strings: str, or bytes for a bytes field."""
    if field.kind not in ("string", "bytes"):
        words = list(field.enum) or ["true", "false"]
        expected = f"one of {', '.join(words)}" if field.kind in ("bool", "enum") else "a number"
        raise ValueError(f"expected {expected} without quotes, received {literals[0]}")
    text = "".join(literal[1:-1] if "\\" not in literal else _unescape(literal[1:-1]) for literal in literals)
    # Escapes are bytes, as in C, and bytes of the file that are not UTF-8 are surrogates; this joins both.
    data = text.encode("utf-8", "surrogateescape")
    if field.kind == "bytes":
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected text in UTF-8, received {ascii(literals[0])}") from None


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_replace, text)


def _replace(match: re.Match[str]) -> str:
    octal, hexadecimal, short, long, letter = match.groups()
    if letter is not None:
        if letter in "\\'\"?":
            return letter
        if letter in _LETTER_ESCAPES:
            return _LETTER_ESCAPES[letter]
        raise ValueError(f"unknown escape \\{letter} in a string")
    if short or long:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"\\{match.group(0)[1:]} is not a character")
        return chr(code)
    byte = int(octal, 8) if octal else int(hexadecimal, 16)
    if byte > 255:
        raise ValueError(f"\\{octal} does not fit into a byte")
    return chr(byte) if byte < 128 else chr(0xDC00 + byte)
