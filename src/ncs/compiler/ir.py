"""ONNX to the IR of today's OpenVINO: weights in FP16, the same model giving the same files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile

from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.runtime.telemetry import import_openvino, telemetry_disabled


def write_ir(onnx_path, xml_path, fp16=True):
    """Convert `onnx_path` to `xml_path` and the .bin beside it; `fp16` rounds the weights to half precision.

    Raises NcsError in OpenVINO's words.
    """
    openvino = import_openvino()
    base, extension = os.path.splitext(os.fspath(xml_path))
    if extension != ".xml":
        raise NcsError(f"{xml_path}: the name of an IR must end in .xml")
    if not os.path.isfile(onnx_path):
        raise NcsError(f"{onnx_path}: no such file; wanted is an ONNX model")
    try:
        with telemetry_disabled():
            model = openvino.convert_model(os.fspath(onnx_path))
    except Exception as error:  # OpenVINO has no class for it: RuntimeError, TypeError, OpConversionFailure …
        rows = [row.strip() for row in str(error).splitlines() if row.strip()]
        reason = rows[-1] if rows else type(error).__name__
        raise NcsError(f"{onnx_path}: OpenVINO cannot read it: {reason}") from error
    settle_names(model)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        made = os.path.join(scratch, "model.xml")
        save(model, made, fp16)
        put(made, base)


def save(model, xml_path, fp16=False):
    """Write an openvino.Model to `xml_path` and the .bin beside it. Raises NcsError where there is no room for it."""
    try:
        import_openvino().save_model(model, xml_path, compress_to_fp16=fp16)
    except RuntimeError as error:  # a C++ stream that failed knows no reason
        raise NcsError(f"{xml_path}: OpenVINO cannot write it; is the disk full? ({error})") from error


def put(xml_path, stem):
    """Copy an IR to `stem`.bin and `stem`.xml, each whole; the .bin is in place before the .xml that names it."""
    for suffix in (".bin", ".xml"):
        with atomic_write(stem + suffix) as temporary:
            shutil.copyfile(xml_path[:-4] + suffix, temporary)


def settle_names(model):
    """Number the nameless nodes by type: OpenVINO counts through the whole process, so files would differ."""
    counts, numbered = {}, re.compile(r"[A-Z][A-Za-z]*_\d+")
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        own = {tensor for output in node.outputs() for tensor in output.get_names()}
        if numbered.fullmatch(name) and name not in own:
            kind = node.get_type_name()
            counts[kind] = counts.get(kind, 0) + 1
            node.set_friendly_name("%s_%d" % (kind, counts[kind]))
    if "conversion_parameters" in model.rt_info:
        del model.rt_info["conversion_parameters"]  # says how the file was found, not what it is


def version_of(path):
    """The version of an IR file: 10 (OpenVINO 2020 to 2021.4) or 11. Raises NcsError for what is no IR."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            found = re.search(r"<net\b[^>]*\bversion=\"(\d+)\"", stream.read(4096))
    except OSError as error:
        raise NcsError(f"{path}: {error.strerror}") from error
    if found is None:
        raise NcsError(f"{path}: not an IR: it has no <net ... version=...>")
    return int(found.group(1))
