"""Folders that run elsewhere: one for a board with a stick, one for OpenVINO Model Server, both from manifests."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import shutil

import numpy as np

from caffe.utils.atomic_io import atomic_folder
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest

OURS = ("caffe", "ncs", "agegender")
# What a board imports by name at run time; what these import follows by itself. The program is copied from `PROGRAM`.
RUNTIME_MODULES = (
    "agegender.inference.predict",
    "agegender.inference.detect",
    "ncs.runtime.manifest",
    "ncs.runtime.openvino",
    "ncs.runtime.myriad",
    "ncs.runtime.mvnc",
    "ncs.runtime.onnxruntime",
    "ncs.runtime.scheduler",
    "ncs.runtime.remote",
    "ncs.runtime.remote_worker",
    "ncs.doctor.checks",
    "ncs.cli.doctor",
    "caffe.utils.commands",
)
PROGRAMS = {"run_inference.py": "agegender.inference.bundle_main", "doctor.py": "ncs.bundle.doctor_main"}
_README = """Run:  python3 run_inference.py PICTURE [PICTURE ...]     (--help tells the rest)
      python3 doctor.py                                  tells why a stick does not answer, and what mends it

Needed: Python 3.7 or newer, numpy, OpenCV for Python, and one of
  OpenVINO 2021.4 or 2022.1   a Neural Compute Stick 2 (MYRIAD), or that version's CPU
  today's OpenVINO            CPU, GPU, NPU
  NCSDK 2 (mvnc)              the first Neural Compute Stick, with a .graph file in graph/
Nets: %s
"""


def bundle(manifests, folder, kinds=("blob", "graph", "onnx", "xml", "bin")):
    """Write `folder`, whole or not at all: graph/ with the manifests, means and files of `kinds`, the program, its modules.

    Every artefact is checked against its manifest's hash first. Returns the paths within, sorted.
    """
    read = _checked(manifests)
    with _place(folder) as made:
        for manifest in read:
            _copy_graph(manifest, os.path.join(made, "graph"), kinds)
        for name, module in PROGRAMS.items():
            shutil.copyfile(_source(module), os.path.join(made, name))
        for module, path in modules([*PROGRAMS.values(), *RUNTIME_MODULES]).items():
            if module not in PROGRAMS.values():
                _copy_module(module, path, os.path.join(made, "lib"))
        _write(made, "README.txt", _README % ", ".join(manifest.name for manifest in read))
    return sorted(
        os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder) for name in names
    )


@contextlib.contextmanager
def _place(folder):
    """The new folder, which replaces an earlier bundle and nothing else."""
    with atomic_folder(folder, "ncs bundle") as made:
        yield made


def _write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        stream.write(text)


def _checked(paths):
    """The manifests of `paths`; raises NcsError for every net that is not as it was compiled, or has another's name."""
    read = [Manifest.read(path) for path in paths]
    faults = [
        "{}: {} changed since it was compiled, or is missing: compile again".format(path, ", ".join(bad))
        for path, bad in zip(paths, (manifest.verify() for manifest in read))
        if bad
    ]
    names = [manifest.name for manifest in read]
    faults += [f"two nets are called '{name}'" for name in sorted(set(names)) if names.count(name) > 1]
    if faults:
        raise NcsError("\n".join(faults))
    return read


def _copy_graph(manifest, folder, kinds):
    os.makedirs(folder, exist_ok=True)
    wanted = [kind for kind in manifest.artefacts if kind in kinds]
    if not wanted:
        raise NcsError(
            "'{}' has {}; nothing of {}".format(manifest.name, ", ".join(manifest.artefacts), ", ".join(kinds))
        )
    copy = Manifest(
        manifest.name,
        manifest.input,
        manifest.shape,
        manifest.output,
        manifest.transform,
        manifest.labels,
        manifest.label_set,
        manifest.decoder,
        {},
        manifest.parents,
        manifest.tools,
        folder,
        manifest.measured,
    )
    for kind in wanted:
        source = manifest.path(kind)
        target = os.path.join(folder, os.path.basename(source))
        shutil.copyfile(source, target)
        copy.add(kind, target)
    copy.write(os.path.join(folder, manifest.name + ".json"))


def modules(names):
    """Module -> file of `names` and of everything of ours that they import when they are imported, packages included."""
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _source(name)
        if path is None:
            continue  # `from package import name`, where name is no module
        found[name] = path
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:end]) for end in range(1, len(parents) + 1)]
        waiting += _imports(path)
    return found


def _imports(path):
    """Names of ours that a file imports at its top level (what functions import is the host's, or in WING)."""
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read(), path)
    names = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in OURS]


def _source(name):
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return spec.origin if spec is not None else None


def _copy_module(name, path, folder):
    parts = name.split(".")
    target = os.path.join(folder, *parts)
    target = os.path.join(target, "__init__.py") if os.path.basename(path) == "__init__.py" else target + ".py"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(path, target)
    if os.path.basename(path) == "__init__.py":
        _copy_data(os.path.dirname(path), os.path.dirname(target))


def _copy_data(package, folder):
    """The files that a package has besides its modules: the face detector's net and its licence."""
    for name in os.listdir(package):
        source = os.path.join(package, name)
        if os.path.isfile(source) and not name.endswith((".py", ".pyc")):
            shutil.copyfile(source, os.path.join(folder, name))


def model_server(manifests, folder, device="CPU", place="/models"):
    """Write an OpenVINO Model Server repository: NAME/1/NAME.xml and .bin, config.json (its paths begin with `place`).

    Clients send pictures as OpenCV has them (NHWC, blue first). One mean a channel and the scale stand in config.json; a mean
    of each pixel, for which that has no word, goes into the model, and the scale with it.
    """
    read, configs = _checked(manifests), []
    with _place(folder) as made:
        for manifest in read:
            version = os.path.join(made, manifest.name, "1")
            os.makedirs(version)
            configs.append({"config": _serve(manifest, version, device, place)})
        _write(made, "config.json", json.dumps({"model_config_list": configs}, indent=1) + "\n")
    return [entry["config"] for entry in configs]


def _serve(manifest, version, device, place):
    from ncs.compiler.embed_preprocessing import folded

    what = folded(manifest.transform, manifest.shape)
    config = {
        "name": manifest.name,
        "base_path": "{}/{}".format(place.rstrip("/"), manifest.name),
        "target_device": device,
        "layout": "NHWC:NCHW",
        "color_format": "BGR:" + manifest.transform.order,
        "shape": "({})".format(", ".join(map(str, np.array(manifest.shape)[[0, 2, 3, 1]]))),
        "model_version_policy": {"latest": {"num_versions": 1}},
    }
    target = os.path.join(version, manifest.name + ".xml")
    if what.mean is not None and what.mean.shape[1:] != (1, 1):
        _write_folded(manifest.path("xml"), target, what)
        return config
    for kind in ("xml", "bin"):
        shutil.copyfile(manifest.path(kind), target[:-3] + kind)
    if what.mean is not None:
        config["mean"] = [float(value) for value in what.mean.ravel()]
    if what.scale != 1:
        config["scale"] = 1 / what.scale  # the server divides
    return config


def _write_folded(source, target, what):
    from ncs.compiler import ir
    from ncs.runtime.telemetry import import_openvino

    openvino = import_openvino()
    from openvino import opset8

    model = openvino.Core().read_model(source)
    parameter = model.get_parameters()[0]
    readers = list(parameter.output(0).get_target_inputs())
    value = opset8.subtract(parameter, opset8.constant(what.mean[None].astype(np.float32)))
    if what.scale != 1:
        value = opset8.multiply(value, opset8.constant(np.float32(what.scale)))
    for reader in readers:
        reader.replace_source_output(value.output(0))
    ir.save(model, target)
