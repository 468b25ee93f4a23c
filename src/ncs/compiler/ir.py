"""Converts ONNX to OpenVINO's IR v11 with FP16 weights; the same model always gives the same files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import Any

from caffe.proto import foreign
from caffe.utils.file_set import atomic_file_set
from caffe.utils.telemetry import import_openvino, telemetry_disabled
from ncs.errors import NcsError
from ncs.runtime.manifest_parts import complete_set


def write_ir(onnx_path: str | os.PathLike, xml_path: str | os.PathLike, fp16: bool = True) -> None:
    """Convert an ONNX model to `xml_path` and the .bin next to it; `fp16` rounds the weights to half precision.

    Raises NcsError with OpenVINO's message.
    """
    openvino = import_openvino()
    base, extension = os.path.splitext(os.fspath(xml_path))
    if extension != ".xml":
        raise NcsError(f"{xml_path}: the name of an IR must end in .xml")
    if not os.path.isfile(onnx_path):
        raise NcsError(f"{onnx_path}: no such file; expected an ONNX model")
    try:
        with telemetry_disabled():
            model = openvino.convert_model(os.fspath(onnx_path))
    except Exception as error:  # RuntimeError, TypeError, OpConversionFailure … have no common base class
        rows = [row.strip() for row in str(error).splitlines() if row.strip()]
        reason = rows[-1] if rows else type(error).__name__
        raise NcsError(f"{onnx_path}: OpenVINO cannot read it: {reason}") from error
    normalize_names(model)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        temporary = os.path.join(scratch, "model.xml")
        save(model, temporary, fp16)
        copy_ir(temporary, base)


def save(model: Any, xml_path: str, fp16: bool = False) -> None:
    """Write an openvino.Model to `xml_path` and the .bin next to it. Raises NcsError if that fails."""
    try:
        import_openvino().save_model(model, xml_path, compress_to_fp16=fp16)
    except RuntimeError as error:  # OpenVINO does not report the reason
        raise NcsError(f"{xml_path}: OpenVINO cannot write it; is the disk full? ({error})") from error


def copy_ir(xml_path: str, stem: str) -> None:
    """Copy an IR to `stem`.bin and `stem`.xml; they replace an old pair together."""
    with atomic_file_set(stem) as staged:
        for suffix in (".bin", ".xml"):
            shutil.copyfile(xml_path[:-4] + suffix, staged + suffix)


def normalize_names(model: Any) -> None:
    """Number unnamed nodes by type; OpenVINO's numbers depend on everything converted before in the process."""
    counts: dict[str, int] = {}
    default_name = re.compile(r"[A-Z][A-Za-z]*_\d+")
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        tensors = {tensor for output in node.outputs() for tensor in output.get_names()}
        if default_name.fullmatch(name) and name not in tensors:
            node_type = node.get_type_name()
            counts[node_type] = counts.get(node_type, 0) + 1
            node.set_friendly_name(f"{node_type}_{counts[node_type]}")
    if "conversion_parameters" in model.rt_info:
        del model.rt_info["conversion_parameters"]  # contains the path of the ONNX file


def version_of(path: str) -> int:
    """Return the version of an IR file: 10 (OpenVINO 2020 to 2021.4) or 11. Raises NcsError if it is not an IR."""
    complete_set(path)
    try:
        with open(path, "rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise NcsError(f"{path}: {error.strerror}") from error
    match = re.search(r"<net\b[^>]*\bversion=\"(\d+)\"", head.decode("utf-8", "replace"))
    if match is None:
        kind = None if head.lstrip().startswith(b"<?xml") else foreign.kind_of(head[:1024])
        known = f"this is {kind}; expected an IR" if kind else "not an IR: it has no <net ... version=...>"
        raise NcsError(f"{path}: {known}")
    return int(match.group(1))
