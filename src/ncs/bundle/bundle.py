"""Builds self-contained folders from manifests: for a target device, or for OpenVINO Model Server."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from caffe.utils.atomic_io import atomic_folder
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest

OWN_PACKAGES = ("caffe", "ncs", "agegender")
# Modules that the programs import by name at run time; their own imports are added automatically.
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
MARK = ".made-by-ncs-bundle"  # only folders with this file are replaced
_README = """Run:  python3 run_inference.py IMAGE [IMAGE ...]   (--help lists all options)
      python3 doctor.py                            diagnoses why a stick does not work and suggests fixes

Requires Python 3.7 or newer, numpy, OpenCV for Python, and one of
  OpenVINO 2021.4 to 2022.3   Neural Compute Stick 2 (MYRIAD), or the CPU
  OpenVINO 2022.1 or newer    CPU, GPU, NPU
  NCSDK 2 (mvnc)              Neural Compute Stick 1, with a .graph file in graph/
Nets: %s
"""


def bundle(
    paths: Sequence[str], folder: str, kinds: Sequence[str] = ("blob", "graph", "onnx", "xml", "bin")
) -> list[str]:
    """Write a self-contained folder for a target device, atomically.

    Parameters
    ----------
    paths : sequence of str
        Manifests of the nets to include.
    folder : str
        Output folder; only an empty folder or an earlier bundle is replaced.
    kinds : sequence of str
        Kinds of model files to include.

    Returns
    -------
    list of str
        Relative paths of all files, sorted.

    Raises
    ------
    NcsError
        A model file does not match its manifest's hash, or the folder exists and is not a bundle.
    """
    manifests = _read_manifests(paths)
    with _output_folder(folder) as temporary:
        for manifest in manifests:
            _copy_graph(manifest, os.path.join(temporary, "graph"), kinds)
        for name, module in PROGRAMS.items():
            shutil.copyfile(_source(module), os.path.join(temporary, name))
        for module, path in modules([*PROGRAMS.values(), *RUNTIME_MODULES]).items():
            if module not in PROGRAMS.values():
                _copy_module(module, path, os.path.join(temporary, "lib"))
        _write(temporary, "README.txt", _README % ", ".join(manifest.name for manifest in manifests))
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder) for parent, _, names in os.walk(folder) for name in names
    )


@contextlib.contextmanager
def _output_folder(folder: str) -> Iterator[str]:
    """Write `folder` atomically; replaces only an empty folder or an earlier bundle."""
    folder = os.path.abspath(folder)
    names = os.listdir(folder) if os.path.isdir(folder) else [folder] if os.path.lexists(folder) else []
    if names and MARK not in names:
        raise NcsError(f"{folder} exists and was not created by `ncs bundle`: nothing is replaced; choose another -o")
    with atomic_folder(folder) as temporary:
        yield temporary
        _write(temporary, MARK, "`ncs bundle` created this folder and replaces it when it is run again.\n")


def _write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        stream.write(text)


def _read_manifests(paths):
    """Read the manifests. Raises NcsError for changed or missing files and for duplicate names."""
    manifests = [Manifest.read(path) for path in paths]
    faults = [
        f"{path}: {', '.join(changed)} changed since it was compiled, or is missing: compile again"
        for path, changed in zip(paths, (manifest.verify() for manifest in manifests))
        if changed
    ]
    names = [manifest.name for manifest in manifests]
    faults += [f"two nets are called '{name}'" for name in sorted(set(names)) if names.count(name) > 1]
    if faults:
        raise NcsError("\n".join(faults))
    return manifests


def _copy_graph(manifest, folder, kinds):
    os.makedirs(folder, exist_ok=True)
    included = [kind for kind in manifest.artefacts if kind in kinds]
    if not included:
        raise NcsError(f"'{manifest.name}' has {', '.join(manifest.artefacts)}; expected one of {', '.join(kinds)}")
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
    for kind in included:
        source = manifest.path(kind)
        target = os.path.join(folder, os.path.basename(source))
        shutil.copyfile(source, target)
        copy.add(kind, target)
    copy.write(os.path.join(folder, manifest.name + ".json"))


def modules(names: Iterable[str]) -> dict[str, str]:
    """Return module -> file of `names`, their packages and all own modules that they import at the top level."""
    files, pending = {}, list(names)
    while pending:
        name = pending.pop()
        if name in files:
            continue
        path = _source(name)
        if path is None:
            continue  # `from package import name`, where name is not a module
        files[name] = path
        parents = name.split(".")[:-1]
        pending += [".".join(parents[:end]) for end in range(1, len(parents) + 1)]
        pending += _imports(path)
    return files


def _imports(path):
    """Return the own modules that a file imports at the top level (imports in functions: see RUNTIME_MODULES)."""
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read(), path)
    names = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in OWN_PACKAGES]


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
    """Copy the data files of a package."""
    for name in os.listdir(package):
        source = os.path.join(package, name)
        if os.path.isfile(source) and not name.endswith((".py", ".pyc")):
            shutil.copyfile(source, os.path.join(folder, name))


def model_server(
    paths: Sequence[str], folder: str, device: str = "CPU", mount_path: str = "/models"
) -> list[dict[str, object]]:
    """Write an OpenVINO Model Server repository: NAME/1/NAME.xml and .bin, and config.json; return the configurations.

    `mount_path` is the path of the folder on the server. Clients send images as OpenCV reads them (NHWC, BGR).
    Per-channel means and the scale are in config.json; a per-pixel mean, which config.json does not support, becomes
    part of the model together with the scale.
    """
    manifests, configs = _read_manifests(paths), []
    with _output_folder(folder) as temporary:
        for manifest in manifests:
            version = os.path.join(temporary, manifest.name, "1")
            os.makedirs(version)
            configs.append({"config": _add_to_server(manifest, version, device, mount_path)})
        _write(temporary, "config.json", json.dumps({"model_config_list": configs}, indent=1) + "\n")
    return [entry["config"] for entry in configs]


def _add_to_server(manifest, version, device, mount_path):
    """Write one model into the repository; return its configuration."""
    from ncs.compiler.embed_preprocessing import preprocessing_of

    preprocessing = preprocessing_of(manifest.transform, manifest.shape)
    config = {
        "name": manifest.name,
        "base_path": "{}/{}".format(mount_path.rstrip("/"), manifest.name),
        "target_device": device,
        "layout": "NHWC:NCHW",
        "color_format": "BGR:" + manifest.transform.order,
        "shape": "({})".format(", ".join(map(str, np.array(manifest.shape)[[0, 2, 3, 1]]))),
        "model_version_policy": {"latest": {"num_versions": 1}},
    }
    target = os.path.join(version, manifest.name + ".xml")
    if preprocessing.mean is not None and preprocessing.mean.shape[1:] != (1, 1):
        _write_with_preprocessing(manifest.path("xml"), target, preprocessing)
        return config
    for kind in ("xml", "bin"):
        shutil.copyfile(manifest.path(kind), target[:-3] + kind)
    if preprocessing.mean is not None:
        config["mean"] = [float(value) for value in preprocessing.mean.ravel()]
    if preprocessing.scale != 1:
        config["scale"] = 1 / preprocessing.scale  # the server divides
    return config


def _write_with_preprocessing(source, target, preprocessing):
    """Write an IR whose first nodes subtract the mean and apply the scale."""
    from ncs.compiler import ir
    from ncs.runtime.telemetry import import_openvino

    openvino = import_openvino()
    from openvino import opset8

    model = openvino.Core().read_model(source)
    parameter = model.get_parameters()[0]
    readers = list(parameter.output(0).get_target_inputs())
    value = opset8.subtract(parameter, opset8.constant(preprocessing.mean[None].astype(np.float32)))
    if preprocessing.scale != 1:
        value = opset8.multiply(value, opset8.constant(np.float32(preprocessing.scale)))
    for reader in readers:
        reader.replace_source_output(value.output(0))
    ir.save(model, target)
