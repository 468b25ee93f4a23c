"""Quantizes a compiled net to INT8 for CPU and NPU with NNCF and measures its accuracy.

NNCF is an extra of this distribution (`pip install caffe2ncs[int8]`). Neural Compute Sticks compute in FP16 and do not
support INT8.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.utils.file_set import atomic_file_set
from caffe.utils.telemetry import import_openvino, telemetry_disabled
from ncs.compiler import ir
from ncs.errors import NcsError
from ncs.precision import compare
from ncs.precision.lmdb_batches import batches
from ncs.runtime import open_runner
from ncs.runtime.manifest import file_of
from ncs.runtime.openvino import last_line

if TYPE_CHECKING:
    from ncs.runtime.manifest import Manifest

PRESETS = ("mixed", "performance")  # NNCF: mixed uses asymmetric activations where they are more accurate
DEVICES = ("CPU", "NPU")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a quantization.

    The first `count` records of `lmdb` are used for calibration. `test` is the LMDB for evaluation; "" evaluates the
    remaining records of `lmdb`. `max_drop` is the largest accepted drop in accuracy (0 to 1; None for no limit).
    """

    lmdb: str
    count: int = 300
    test: str = ""
    device: str = "CPU"
    preset: str = "mixed"
    max_drop: float | None = None


def quantize(
    manifest: Manifest, stem: str, options: Options, say: Callable[[str], None] = print
) -> tuple[Manifest, compare.DatasetComparison]:
    """Quantize a compiled net to INT8 and write <stem>.xml, .bin and .json.

    Parameters
    ----------
    manifest : Manifest
        The compiled net, with an ONNX file or an IR.
    stem : str
        Stem of the output files.
    options : Options
    say : callable
        Receives log lines.

    Returns
    -------
    Manifest
        The manifest of the quantized net.
    compare.DatasetComparison
        Its outputs compared with those of the float32 net.

    Raises
    ------
    NcsError
        NNCF or the images are missing, or the accuracy drops by more than `options.max_drop`.
    """
    if len(manifest.all_heads()) > 1 or len(manifest.all_inputs()) > 1:
        names = ", ".join(head.name for head in manifest.all_heads())
        raise NcsError(f"'{manifest.name}': expected one input and one output, received the outputs {names}")
    model, kind, count = quantize_model(manifest, options)
    say(f"{manifest.name}: calibrated with {count} records of {options.lmdb}")
    keys, labels, before = _predict(manifest, manifest.transform, options)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "model.xml")
        ir.save(model, path)
        _, _, after = _predict(path, manifest.transform, options)
        comparison = compare.compare_dataset(keys, labels, before, after, manifest.decoder)
        _check_accuracy(manifest, comparison, options)
        result = _build_manifest(manifest, kind, stem, options, count, comparison)
        with atomic_file_set(stem) as staged:
            ir.copy_ir(path, staged)
            folder = os.path.dirname(staged)
            result.artefacts = {suffix: file_of(f"{staged}.{suffix}", folder) for suffix in ("xml", "bin")}
            result.write(staged + ".json")
    return result, comparison


def quantize_model(manifest: Manifest, options: Options) -> tuple[Any, str, int]:
    """Return (openvino.Model in INT8, kind of the source file, number of calibration records)."""
    nncf = _import_nncf()
    model, kind = _read_model(manifest)
    images = _calibration_images(manifest, options, model)
    try:
        with telemetry_disabled():
            quantized = nncf.quantize(
                model,
                nncf.Dataset(images),
                subset_size=len(images),
                preset=nncf.QuantizationPreset[options.preset.upper()],
                target_device=nncf.TargetDevice[options.device],
            )
        return quantized, kind, len(images)
    except (RuntimeError, ValueError, nncf.errors.InternalError, nncf.errors.ValidationError) as error:
        raise NcsError(f"{manifest.name}: NNCF cannot quantize it: {last_line(error)}") from error


def _import_nncf():
    try:
        with telemetry_disabled():
            import nncf
    except ImportError as error:
        raise NcsError(
            f"INT8 needs NNCF, which is not installed ({error}): run pip install 'caffe2ncs[int8]' or pip install nncf"
        ) from error
    nncf.set_log_level(40)  # errors only
    return nncf


def _read_model(manifest):
    """Return (openvino.Model, kind) of the float32 ONNX file, or of the FP16 IR if there is none."""
    kind = next((kind for kind in ("onnx", "xml") if kind in manifest.artefacts), None)
    if kind is None:
        available = ", ".join(manifest.artefacts) or "no files"
        raise NcsError(f"'{manifest.name}' has {available}; quantization needs onnx or xml")
    openvino, path = import_openvino(), manifest.path(kind)
    with telemetry_disabled():
        return (openvino.convert_model(path) if kind == "onnx" else openvino.Core().read_model(path)), kind


def _calibration_images(manifest, options, model):
    """Return the calibration inputs, one array of the net's input shape per image."""
    shape = manifest.shape
    dtype = np.uint8 if model.input(0).get_element_type().get_type_name() == "u8" else np.float32
    images = []
    for blob, _, _ in batches(options.lmdb, manifest.transform, options.count):
        if blob.shape[1:] != shape[1:]:
            expected, received = ("x".join(map(str, sizes[1:])) for sizes in (shape, blob.shape))
            raise NcsError(f"'{manifest.name}' expects images of {expected}, {options.lmdb} contains {received}")
        images += [np.repeat(image[None], shape[0], 0).astype(dtype) for image in blob]
    if not images:
        raise NcsError(f"{options.lmdb} contains no records")
    return images


def _predict(source, transform, options):
    """Return (keys, labels, outputs (N, K)) of the evaluated images, with the model `source` on the CPU."""
    keys, labels = [], []

    def blobs():
        skip = 0 if options.test else options.count
        for blob, batch_keys, batch_labels in batches(options.test or options.lmdb, transform, skip=skip):
            keys.extend(batch_keys)
            labels.extend(batch_labels)
            yield blob

    with open_runner("CPU", source, hint="throughput") as runner:
        outputs = list(runner.run_many(blobs()))
    if not outputs:
        raise NcsError(
            f"{options.lmdb} has no records left for evaluation: give a test database (--test) or a smaller --count"
        )
    return keys, labels, np.concatenate(outputs)


def _check_accuracy(manifest, comparison, options):
    """Raise NcsError if the accuracy drops by more than `options.max_drop`."""
    if options.max_drop is None:
        return
    before, after = comparison.expected_accuracy, comparison.result_accuracy
    if before is None:
        raise NcsError(
            f"{manifest.name}: the labels of {options.test or options.lmdb} are not this net's classes, so the drop in "
            "accuracy cannot be limited"
        )
    if before - after > options.max_drop:
        raise NcsError(
            f"{manifest.name}: accuracy drops from {100 * before:.2f} % to {100 * after:.2f} %, by more than "
            f"{100 * options.max_drop:g} points: nothing is written"
        )


def _build_manifest(manifest, kind, stem, options, count, comparison):
    """Return the manifest of the quantized net, with its source files, tools and measured accuracy."""
    folder = os.path.dirname(os.path.abspath(stem))
    parents = {name: os.path.join(manifest.folder, entry.file) for name, entry in manifest.parents.items()}
    parents["float32 " + kind] = manifest.path(kind)
    return dataclasses.replace(
        manifest,
        name=os.path.basename(stem),
        folder=folder,
        artefacts={},
        parents={name: file_of(path, folder) for name, path in parents.items() if os.path.isfile(path)},
        tools={**manifest.tools, **{name: metadata.version(name) for name in ("openvino", "nncf")}},
        measured={
            "calibration": {
                "database": options.lmdb,
                "records": count,
                "preset": options.preset,
                "device": options.device,
            },
            "accuracy": {
                "database": options.test or options.lmdb,
                "images": comparison.count,
                "on": "CPU",
                "float32": comparison.expected_accuracy,
                "int8": comparison.result_accuracy,
                "flips": len(comparison.flips),
            },
        },
    )
