"""Recognizes files of other programs by their first bytes, so that a message can say what a file is."""

from __future__ import annotations

from caffe.errors import CaffeError

_START = (
    (b"\x1f\x8b", "a gzip archive (.tar.gz?); unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a rar archive; unpack it first"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "a checkpoint of PyTorch (.pt, .pth)"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (of Keras?)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"GGUF", "a model of llama.cpp (.gguf)"),
    (b"\x00\x00\x00\x00\x02\x00\x00\x00", "weights of Darknet (.weights)"),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", "parameters of MXNet (.params)"),
    (b"7767517", "a net of ncnn (.param)"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program or library (ELF)"),
    (b"\x7felf", "a Myriad blob, which is compiled already"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
    (b"<?xml", "an XML file (an IR of OpenVINO?)"),
    (b"[net]", "a configuration of Darknet"),
    (b"[convolutional]", "a configuration of Darknet"),
    (b"{", "a JSON file"),
)

_MAX_HEADER = 100_000_000  # bytes, of safetensors


def kind_of(head: bytes) -> str | None:
    """Return the format of another program that a file's first 1024 bytes show, or None if no known one matches."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = text[:200].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page (a download that failed?)"
    for start, kind in _START:
        if head.startswith(start) or (start.isascii() and text.startswith(start)):
            return kind
    if head.startswith(b"PK\x03\x04"):
        if b"model.weights.h5" in head or b"metadata.json" in head[:60]:
            return "a model of Keras 3 (.keras)"
        return "a checkpoint of PyTorch (.pt, .pth)" if b"/data.pkl" in head else "a zip archive; unpack it first"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _MAX_HEADER:
        return "a file of safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle of Python"
    if head[4:8] == b"TFL3":
        return "a model of TensorFlow Lite (.tflite)"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    return None


def check(head: bytes, path: str, expected: str) -> None:
    """Raise CaffeError if `head` belongs to a known file of another program, which cannot be a net or its weights."""
    kind = kind_of(head) or _message(head)
    if kind is not None:
        raise CaffeError(f"{path}: this is {kind}; expected {expected}")


def _message(head):
    """Tell the messages of TensorFlow and ONNX from a net, whose first field is its name, and from a solver state."""
    if b".caffemodel" in head:
        return None
    if head[:2] == b"\x08\x01" and head[2:3] == b"\x12":
        return "a SavedModel of TensorFlow"
    if head[:1] == b"\x08" and head[1:2] and head[2:3] in (b"\x12", b"\x3a"):
        return "an ONNX model"
    return "a frozen graph of TensorFlow (.pb)" if _is_graph_def(head) else None


def _is_graph_def(head):
    """A GraphDef begins with a node: name, then op; a net's name does not begin with a line feed."""
    if head[:1] != b"\x0a":
        return False
    at = 1
    while at < min(len(head), 11) and head[at] >= 0x80:
        at += 1
    at += 1
    if head[at : at + 1] != b"\x0a" or at + 1 >= len(head):
        return False
    end = at + 2 + head[at + 1]
    return head[at + 1] < 0x80 and head[end : end + 1] == b"\x12"
