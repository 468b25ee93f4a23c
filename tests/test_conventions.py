"""The rules of the house, held by tests: style, types, direction of imports, what no file may contain."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkout import ROOT, files, scripts

TOP_LEVEL = [
    *("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "constraints.txt", "run.sh", "test.sh"),
    *("download.sh", "build_dataset.py", "create_lmdb.sh", "create_mean.sh", "create_meanFile.sh"),
    *("train_AgeNet.sh", "train_GenderNet.sh", "test_AgeNet.sh", "test_GenderNet.sh"),
    *("compile2Movidius.sh", "run_inference.py"),
]

# A board gets these modules: numpy, OpenCV and the device's runtime, under Python 3.7.
DEVICE_WING = [
    *(
        "caffe.device.transform",
        "caffe.io",
        "caffe.errors",
        "caffe.utils.atomic_io",
        "caffe.utils.commands",
        "ncs.bundle.doctor_main",
        "caffe.utils.cache",
        "ncs.cli.doctor",
        "ncs.doctor.checks",
        "ncs.errors",
        "ncs.runtime.manifest",
        "ncs.runtime",
        "ncs.simulator",
        "ncs.doctor.host",
        "ncs.runtime.telemetry",
    ),
    *("agegender.errors", "agegender.inference.labels", "agegender.inference.predict", "agegender.inference.face_crop"),
    *("agegender.inference.detect", "agegender.inference.yunet", "agegender.inference.opencv_compat"),
]
HOST_ONLY = ["torch", "onnx", "google.protobuf"]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def tool(name):
    return str(Path(sys.executable).parent / name)


def test_ruff_finds_nothing():
    result = run(tool("ruff"), "check", "src", "tests", "scripts", "build_dataset.py", "run_inference.py")
    assert result.returncode == 0, result.stdout


def test_the_types_of_formats_and_device_wing_hold():
    result = run(tool("mypy"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_imports_point_one_way():
    result = run(tool("lint-imports"))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_names_of_the_top_folder_are_there(name):
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_a_shell_script_is_sound(path):
    assert os.access(path, os.X_OK) or path.name == "env.sh"
    assert run("bash", "-n", str(path)).stderr == ""
    if shutil.which("shellcheck"):
        assert run("shellcheck", "-x", str(path.relative_to(ROOT))).stdout == ""


def layer_files():
    folder = ROOT / "src" / "caffe" / "layers"
    return sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "base"))


@pytest.mark.parametrize("name", layer_files())
def test_a_layer_has_a_witness(name):
    assert (ROOT / "tests" / "caffe" / "layers" / (f"test_{name}.py")).is_file()


def python_files():
    return [path for path in files(".py") if path != Path(__file__)]


def test_python_files_keep_the_rules():
    faults = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            for fault in forbidden(node):
                faults.append("%s:%d: %s" % (path.relative_to(ROOT), node.lineno, fault))
    assert not faults, "\n".join(faults)


def forbidden(node):
    """Yield what the rules of the house forbid of this node of a syntax tree."""
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield "bare except"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.func.id
        writes = getattr(node.func, "attr", "") == "save"  # a test writes what must be refused
        for keyword in node.keywords:
            if writes and keyword.arg == "allow_pickle":
                continue
            if keyword.arg in ("shell", "allow_pickle") and getattr(keyword.value, "value", True) is not False:
                yield keyword.arg
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
        if {name.split(".")[0] for name in names} & {"pickle", "cPickle", "dill", "joblib"}:
            yield "pickle"


@pytest.mark.parametrize(
    "text", ["except:\n  pass", "eval(x)", "exec(x)", "f(shell=True)", "f(allow_pickle=yes)", "import pickle"]
)
def test_the_rules_see_what_they_forbid(text):
    text = "try:\n  f()\n" + text if text.startswith("except") else text
    assert [fault for node in ast.walk(ast.parse(text)) for fault in forbidden(node)]


def test_no_file_holds_leftovers_or_paths_of_somebodys_home():
    pattern = re.compile(rb"\b(TODO|FIXME|XXX)\b|(?<![\w.])/(home|root|Users)/\w")
    faults = []
    for path in files(".py", ".sh", ".md", ".toml", ".txt", ".prototxt", ".proto", ".json", ".cfg"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if pattern.search(line):
                faults.append("%s:%d: %s" % (path.relative_to(ROOT), number, line[:100].decode(errors="replace")))
    assert not faults, "\n".join(faults)


def device_wing_files():
    found = []
    for name in DEVICE_WING:
        path = ROOT / "src" / Path(*name.split("."))
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return found


@pytest.mark.parametrize("path", device_wing_files(), ids=lambda path: path.stem)
def test_the_device_wing_is_python_3_7(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 7))
    later = {"removeprefix", "removesuffix", "bit_count"}
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Attribute) and node.attr in later), "line %d: %s" % (
            node.lineno,
            node.attr,
        )
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dataclass":
            assert not {"slots", "kw_only"} & {keyword.arg for keyword in node.keywords}
        assert not isinstance(node, (ast.NamedExpr, getattr(ast, "Match", ast.NamedExpr))), "line %d" % node.lineno
    imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    needs_future = any(isinstance(node, ast.FunctionDef) and node.returns for node in ast.walk(tree))
    assert not needs_future or "__future__" in imported, "annotations need the __future__ import"


def imported_by(*modules):
    """Names of HOST_ONLY that a fresh Python holds after importing `modules`."""
    code = f"import sys, importlib\nfor name in {list(modules)!r}: importlib.import_module(name)\n"
    result = run(sys.executable, "-c", code + f"print(*set({HOST_ONLY!r}) & set(sys.modules))")
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_the_device_wing_imports_no_training_machinery():
    modules = []
    for path in device_wing_files():
        relative = path.relative_to(ROOT / "src").with_suffix("")
        modules.append(".".join(part for part in relative.parts if part != "__init__"))
    assert imported_by(*modules) == []


def test_importing_the_packages_is_light():
    assert imported_by("caffe", "ncs", "agegender") == []


@pytest.mark.parametrize("package", ["caffe.tools", "ncs.cli", "agegender.cli"])
def test_a_verb_says_what_it_is_for(package):
    folder = Path(importlib.util.find_spec(package).origin).parent
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if "run" in names:
            assert "add_arguments" in names, path.name
            assert 10 < len((ast.get_docstring(tree) or "").split("\n")[0]) < 140, path.name
