"""A compiled net in INT8, for CPU and NPU: NNCF calibrates it with the pictures it was trained on; what that cost is measured.

NNCF is an extra of this distribution (`pip install caffe2ncs[int8]`). A Neural Compute Stick computes in FP16 and has no use
for the result.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from importlib import metadata

import numpy as np

from ncs.compiler import ir
from ncs.errors import NcsError
from ncs.precision import compare
from ncs.precision.lmdb_batches import batches
from ncs.runtime import open_runner
from ncs.runtime.manifest import file_of
from ncs.runtime.openvino import last_line
from ncs.runtime.telemetry import import_openvino, telemetry_disabled

PRESETS = ("mixed", "performance")  # activations asymmetric where that is more exact, or symmetric throughout
DEVICES = ("CPU", "NPU")


@dataclasses.dataclass(frozen=True)
class Options:
    """`lmdb` calibrates with its first `count` records; `test` is judged, or, where it is "", the records behind those.

    `most` is the loss of accuracy, as a share of 1, from which on nothing is written (None: whatever it is).
    """

    lmdb: str
    count: int = 300
    test: str = ""
    device: str = "CPU"
    preset: str = "mixed"
    most: float | None = None


def make(manifest, stem, options, say=print):
    """Write <stem>.xml, .bin and .json of `manifest` in INT8; returns (its Manifest, check.Survey of before and after).

    Raises NcsError where NNCF or the pictures are missing, and where more accuracy went than `options.most`.
    """
    made, kind, count = quantized(manifest, options)
    say("%s: %d records of %s calibrated" % (manifest.name, count, options.lmdb))
    keys, labels, before = _judge(manifest, manifest.transform, options)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "model.xml")
        ir.save(made, path)
        _, _, after = _judge(path, manifest.transform, options)
        survey = compare.survey(keys, labels, before, after, manifest.decoder)
        _refuse_loss(manifest, survey, options)
        ir.put(path, stem)
    result = _described(manifest, kind, stem, options, count, survey)
    result.write(stem + ".json")
    return result, survey


def quantized(manifest, options):
    """(openvino.Model in INT8, which of the manifest's files it was made of, the number of records that calibrated it)."""
    nncf = _nncf()
    model, kind = _read(manifest)
    pictures = _calibration(manifest, options, model)
    try:
        with telemetry_disabled():
            made = nncf.quantize(
                model,
                nncf.Dataset(pictures),
                subset_size=len(pictures),
                preset=nncf.QuantizationPreset[options.preset.upper()],
                target_device=nncf.TargetDevice[options.device],
            )
        return made, kind, len(pictures)
    except (RuntimeError, ValueError, nncf.errors.InternalError, nncf.errors.ValidationError) as error:
        raise NcsError(f"{manifest.name}: NNCF cannot quantize it: {last_line(error)}") from error


def _nncf():
    try:
        with telemetry_disabled():
            import nncf
    except ImportError as error:
        raise NcsError(
            f"INT8 needs NNCF, which is not installed here ({error}): pip install 'caffe2ncs[int8]', or pip install nncf"
        ) from error
    nncf.set_log_level(40)  # errors only
    return nncf


def _read(manifest):
    """(openvino.Model, kind) of the float32 file, or of the FP16 one where there is no other."""
    kind = next((kind for kind in ("onnx", "xml") if kind in manifest.artefacts), None)
    if kind is None:
        there = ", ".join(manifest.artefacts) or "no files"
        raise NcsError(f"'{manifest.name}' has {there}; INT8 is made of its onnx or xml")
    openvino, path = import_openvino(), manifest.path(kind)
    with telemetry_disabled():
        return (openvino.convert_model(path) if kind == "onnx" else openvino.Core().read_model(path)), kind


def _calibration(manifest, options, model):
    """The net's inputs, a picture each."""
    shape, kind = manifest.shape, np.uint8 if model.input(0).get_element_type().get_type_name() == "u8" else np.float32
    found = []
    for blob, _, _ in batches(options.lmdb, manifest.transform, options.count):
        if blob.shape[1:] != shape[1:]:
            raise NcsError(
                "{} gives pictures of {}, '{}' takes {}".format(
                    options.lmdb, "x".join(map(str, blob.shape[1:])), manifest.name, "x".join(map(str, shape[1:]))
                )
            )
        found += [np.repeat(picture[None], shape[0], 0).astype(kind) for picture in blob]
    if not found:
        raise NcsError(f"{options.lmdb} holds no records")
    return found


def _judge(source, transform, options):
    """(keys, labels, answers (N, K)) of the pictures that are judged, by the model `source` on the CPU."""
    keys, labels = [], []

    def blobs():
        skip = 0 if options.test else options.count
        for blob, found, numbers in batches(options.test or options.lmdb, transform, skip=skip):
            keys.extend(found)
            labels.extend(numbers)
            yield blob

    with open_runner("CPU", source, hint="throughput") as runner:
        answers = list(runner.run_many(blobs()))
    if not answers:
        raise NcsError(
            f"{options.lmdb} has no records but those that calibrate: give others to judge by (--test), or a smaller --count"
        )
    return keys, labels, np.concatenate(answers)


def _refuse_loss(manifest, survey, options):
    if options.most is not None and survey.expected_accuracy is None:
        raise NcsError(
            f"{manifest.name}: the labels of {options.test or options.lmdb} are not this net's classes: no loss of accuracy can be held to a limit"
        )
    if options.most is None:
        return
    lost = survey.expected_accuracy - survey.result_accuracy
    if lost > options.most:
        raise NcsError(
            f"{manifest.name}: accuracy falls from {100 * survey.expected_accuracy:.2f} % to {100 * survey.result_accuracy:.2f} %, by more than {100 * options.most:g} points: nothing is written"
        )


def _described(manifest, kind, stem, options, count, survey):
    """The result's Manifest: what it was made from, with what, and what that cost."""
    folder = os.path.dirname(os.path.abspath(stem))
    parents = {name: os.path.join(manifest.folder, entry.file) for name, entry in manifest.parents.items()}
    parents["float32 " + kind] = manifest.path(kind)
    result = dataclasses.replace(
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
                "pictures": survey.count,
                "on": "CPU",
                "float32": survey.expected_accuracy,
                "int8": survey.result_accuracy,
                "flips": len(survey.flips),
            },
        },
    )
    for suffix in ("xml", "bin"):
        result.add(suffix, f"{stem}.{suffix}")
    return result
