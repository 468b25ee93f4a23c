"""Folders for Intel DL Streamer: raw-image IRs, model-proc files and the pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ncs.bundle import raw_image_ir
from ncs.bundle.output import output_folder, read_manifests, write
from ncs.runtime.manifest import Manifest

_PIPELINE = """#!/bin/sh
# usage: pipeline.sh VIDEO FACE_DETECTOR.xml [DEVICE]; prints one line of JSON per frame with faces
cd "$(dirname "$0")" || exit 1
exec gst-launch-1.0 filesrc location="$1" ! decodebin ! videoconvert \\
  ! gvadetect model="$2" device="${{3:-CPU}}" ! queue \\
{classify}  ! gvametaconvert ! gvametapublish method=file file-format=json-lines ! fakesink sync=false
"""
_CLASSIFY = """  ! gvaclassify model={name}.xml model-proc={name}.json device="${{3:-CPU}}" object-class=face ! queue \\
"""


def dlstreamer(paths: Sequence[str], folder: str) -> list[str]:
    """Write NAME.xml and .bin, NAME.json (model-proc) and pipeline.sh; return the names of the files.

    gvaclassify resizes each face to the net's input by its own interpolation and passes BGR bytes; channel order, mean
    and scale are part of the models.

    Parameters
    ----------
    paths : sequence of str
        Manifests of the nets.
    folder : str
        Output folder.
    """
    manifests = read_manifests(paths)
    with output_folder(folder) as temporary:
        for manifest in manifests:
            raw_image_ir.write(manifest, os.path.join(temporary, manifest.name + ".xml"), "NCHW")
            write(temporary, manifest.name + ".json", json.dumps(model_proc(manifest), indent=1) + "\n")
        classify = "".join(_CLASSIFY.format(name=manifest.name) for manifest in manifests)
        write(temporary, "pipeline.sh", _PIPELINE.format(classify=classify))
        os.chmod(os.path.join(temporary, "pipeline.sh"), 0o755)
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def model_proc(manifest: Manifest) -> dict[str, Any]:
    """Return the content of a net's model-proc file: input in BGR, output as the label with the highest value."""
    output: dict[str, Any] = {"attribute_name": manifest.name, "layer_name": manifest.output}
    if manifest.decoder == "argmax":
        output.update(converter="tensor_to_label", method="max", labels=list(manifest.labels))
    else:  # the elements know no expected value: the application decodes the probabilities
        output.update(converter="raw_data_copy")
    return {
        "json_schema_version": "2.2.0",
        "input_preproc": [
            {
                "format": "image",
                "layer_name": manifest.input,
                "params": {"color_space": "BGR", "resize": "no-aspect-ratio"},
            }
        ],
        "output_postproc": [output],
    }
