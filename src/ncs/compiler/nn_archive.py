"""NN Archives of Luxonis: a .tar.xz with config.json (version 1.0) and a blob or superblob, which depthai 3 opens.

The config names inputs, outputs and one classification head per output, as the manifest describes them. Its format is
documented at https://docs.luxonis.com/software-v3/ai-inference/nn-archive/
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.myriad.blob import Blob, Tensor, read_blob

if TYPE_CHECKING:
    from ncs.runtime.manifest import Manifest

_DTYPES = {"FP16": "float16", "FP32": "float32", "U8": "uint8", "S32": "int32", "I8": "int8"}
_PACKING = {"NCHW": "p", "NHWC": "i"}  # of camera frames: planar, interleaved


def write_nn_archive(
    path: str | os.PathLike,
    blob_path: str,
    name: str,
    manifest: Manifest | None = None,
    order: str = "BGR",
    superblob_path: str | None = None,
) -> dict[str, Any]:
    """Write an NN Archive, atomically; return its config.

    Parameters
    ----------
    path : path
        NAME.tar.xz
    blob_path : str
        The compiled blob; with `superblob_path`, one of the blobs in that file.
    name : str
        Name of the model.
    manifest : Manifest, optional
        Describes the heads; without it the archive has outputs without heads.
    order : str
        Channel order of the images, "BGR" or "RGB", without a manifest.
    superblob_path : str, optional
        Goes into the archive instead of the blob.

    Raises
    ------
    NcsError
        The blob is damaged, or the manifest does not describe it.
    """
    content = superblob_path or blob_path
    member = f"{name}{os.path.splitext(content)[1]}"
    facts = config(read_blob(blob_path), name, member, manifest, order)
    with (
        atomic_write(path) as temporary,
        open(temporary, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:xz", format=tarfile.PAX_FORMAT) as archive,
    ):
        _add(archive, "config.json", json.dumps(facts, indent=2, ensure_ascii=False).encode("utf-8"))
        with open(content, "rb") as source:
            _add(archive, member, source.read())
    return facts


def config(blob: Blob, name: str, member: str, manifest: Manifest | None, order: str = "BGR") -> dict[str, Any]:
    """Return the config of an NN Archive for a blob that is called `member` in it."""
    if manifest is not None:
        order = manifest.transform.order
        missing = [head.output for head in manifest.all_heads() if head.output not in [o.name for o in blob.outputs]]
        if missing:
            raise NcsError(f"'{name}': the blob has no output {', '.join(missing)}; compile again")
    metadata = {"name": name, "path": member, "precision": "float16"}
    return {
        "config_version": "1.0",
        "model": {
            "metadata": metadata,
            "inputs": [_input(port, order) for port in blob.inputs],
            "outputs": [_port(port) for port in blob.outputs],
            "heads": [] if manifest is None else _heads(manifest, blob),
        },
    }


def _port(port: Tensor) -> dict[str, Any]:
    return {"name": port.name, "dtype": _DTYPES[port.dtype], "shape": list(port.dims), "layout": port.order}


def _input(port: Tensor, order: str) -> dict[str, Any]:
    facts = _port(port)
    frame = None
    if port.dtype == "U8" and port.order in _PACKING:
        channels = port.dims[port.order.index("C")]
        frame = {1: "GRAY8", 3: f"{order}888{_PACKING[port.order]}"}.get(channels)
    facts["input_type"] = "image" if frame else "raw"
    facts["preprocessing"] = {"mean": None, "scale": None, "dai_type": frame}  # mean and scale are in the blob
    return facts


def _heads(manifest: Manifest, blob: Blob) -> list[dict[str, Any]]:
    """Return a head per output of classes; detections have none, their rows are read as they are."""
    heads = [head for head in manifest.all_heads() if head.decoder != "detections"]
    softmax = blob.counts().get("SoftMax", 0) >= len(heads)
    return [_head(head, softmax) for head in heads]


def _head(head: Any, softmax: bool) -> dict[str, Any]:
    classes = list(head.labels)
    return {
        "name": head.name,
        "parser": "SegmentationParser" if head.decoder == "mask" else "ClassificationParser",
        "outputs": [head.output],
        "metadata": {"classes": classes, "n_classes": len(classes), "is_softmax": softmax},
    }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    archive.addfile(info, io.BytesIO(content))
