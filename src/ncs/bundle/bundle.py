"""Self-contained folders for target devices: nets, manifests and the programs that run them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from ncs.bundle import device_side
from ncs.bundle.output import copy_graph, output_folder, read_manifests, write

_README = """Run:  python3 doctor.py      diagnoses why a stick does not work and suggests fixes
{programs}
Requires Python 3.7 or newer, numpy, OpenCV for Python, and {requirements}
Nets: {nets}
"""
_REQUIREMENTS = {
    "stick": """one of
  OpenVINO 2021.4 to 2022.3   Neural Compute Stick 2 (MYRIAD), or the CPU
  OpenVINO 2022.1 or newer    CPU, GPU, NPU
  NCSDK 2 (mvnc)              Neural Compute Stick 1, with a .graph file in graph/""",
    "oak": """
  depthai 3 or 2              OAK cameras with RVC2""",
}


def bundle(
    paths: Sequence[str],
    folder: str,
    kinds: Sequence[str] = ("blob", "graph", "onnx", "xml", "bin"),
    target: str = "stick",
) -> list[str]:
    """Write a self-contained folder for a target device, atomically.

    Parameters
    ----------
    paths : sequence of str
        Manifests of the nets to include.
    folder : str
        Output folder; only an empty folder or an unchanged earlier bundle is replaced.
    kinds : sequence of str
        Kinds of model files to include.
    target : {"stick", "oak"}
        "oak" adds the programs for OAK cameras.

    Returns
    -------
    list of str
        Relative paths of all files, sorted.

    Raises
    ------
    NcsError
        A model file does not match its manifest's hash.
    CaffeError
        The folder exists and is not an unchanged bundle.
    """
    manifests, contents = read_manifests(paths), device_side.contents(target)
    with output_folder(folder) as temporary:
        for manifest in manifests:
            copy_graph(manifest, os.path.join(temporary, "graph"), kinds)
        for name, source in contents.files():
            path = os.path.join(temporary, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copyfile(source, path)
        programs = "".join(f"      {line}\n" for line in contents.readme)
        nets = ", ".join(manifest.name for manifest in manifests)
        requirements = _REQUIREMENTS[target]
        write(temporary, "README.txt", _README.format(programs=programs, nets=nets, requirements=requirements))
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder) for parent, _, names in os.walk(folder) for name in names
    )
