"""The conventions of the project: style, types, direction of imports, forbidden constructs and leftovers."""

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

from ncs.bundle import device_side

TOP_LEVEL = [
    *("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "constraints.txt", "run.sh", "test.sh"),
    *("download.sh", "build_dataset.py", "create_lmdb.sh", "create_mean.sh", "create_meanFile.sh"),
    *("train_AgeNet.sh", "train_GenderNet.sh", "test_AgeNet.sh", "test_GenderNet.sh"),
    *("compile2Movidius.sh", "run_inference.py"),
]

HOST_ONLY = ["torch", "onnx", "google.protobuf"]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def tool(name):
    return str(Path(sys.executable).parent / name)


def test_ruff_passes():
    result = run(tool("ruff"), "check", ".")
    assert result.returncode == 0, result.stdout


def test_ruff_format_changes_nothing():
    result = run(tool("ruff"), "format", "--check", ".")
    assert result.returncode == 0, result.stdout


def test_mypy_passes():
    result = run(tool("mypy"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_import_contracts_hold():
    result = run(tool("lint-imports"))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level_file_exists(name):
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_shell_script_is_valid(path):
    assert os.access(path, os.X_OK) or path.name == "env.sh"
    assert run("bash", "-n", str(path)).stderr == ""
    if shutil.which("shellcheck"):
        assert run("shellcheck", "-x", str(path.relative_to(ROOT))).stdout == ""


def layer_files():
    folder = ROOT / "src" / "caffe" / "layers"
    return sorted(path.stem for path in folder.glob("[!_]*.py") if path.stem != "base")


@pytest.mark.parametrize("name", layer_files())
def test_layer_has_a_test(name):
    assert (ROOT / "tests" / "caffe" / "layers" / (f"test_{name}.py")).is_file()


def python_files():
    return [path for path in files(".py") if path != Path(__file__)]


def test_python_files_have_no_forbidden_constructs():
    errors = []
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            errors += [f"{path.relative_to(ROOT)}:{node.lineno}: {construct}" for construct in forbidden(node)]
    assert not errors, "\n".join(errors)


def forbidden(node):
    """Yield the names of the forbidden constructs in a node of a syntax tree."""
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield "bare except"
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.func.id
        is_save = getattr(node.func, "attr", "") == "save"  # tests write files that must be refused
        for keyword in node.keywords:
            if is_save and keyword.arg == "allow_pickle":
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
def test_forbidden_constructs_are_detected(text):
    text = "try:\n  f()\n" + text if text.startswith("except") else text
    assert [construct for node in ast.walk(ast.parse(text)) for construct in forbidden(node)]


def test_no_file_contains_leftovers_or_paths_of_home_directories():
    pattern = re.compile(rb"\b(TODO|FIXME|XXX)\b|(?<![\w.])/(home|root|Users)/\w")
    errors = []
    for path in files(".py", ".sh", ".md", ".toml", ".txt", ".prototxt", ".proto", ".json", ".cfg"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if pattern.search(line):
                errors.append(f"{path.relative_to(ROOT)}:{number}: {line[:100].decode(errors='replace')}")
    assert not errors, "\n".join(errors)


def device_files():
    contents = device_side.contents()
    return sorted(ROOT / "src" / name[4:] for name, _ in contents.files() if name.startswith("lib/") and ".py" in name)


@pytest.mark.parametrize("path", device_files(), ids=lambda path: path.stem)
def test_device_module_is_valid_python_3_7(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 7))
    newer = {"removeprefix", "removesuffix", "bit_count"}
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Attribute) and node.attr in newer), f"line {node.lineno}: {node.attr}"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dataclass":
            assert not {"slots", "kw_only"} & {keyword.arg for keyword in node.keywords}
        assert not isinstance(node, (ast.NamedExpr, getattr(ast, "Match", ast.NamedExpr))), f"line {node.lineno}"
    imported = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    needs_future = any(isinstance(node, ast.FunctionDef) and node.returns for node in ast.walk(tree))
    assert not needs_future or "__future__" in imported, "annotations need the __future__ import"


def imported_by(*modules):
    """Names of HOST_ONLY that a new Python process has loaded after importing `modules`."""
    code = f"import sys, importlib\nfor name in {list(modules)!r}: importlib.import_module(name)\n"
    result = run(sys.executable, "-c", code + f"print(*set({HOST_ONLY!r}) & set(sys.modules))")
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_device_modules_import_no_host_packages():
    modules = []
    for path in device_files():
        relative = path.relative_to(ROOT / "src").with_suffix("")
        modules.append(".".join(part for part in relative.parts if part != "__init__"))
    assert imported_by(*modules) == []


def test_importing_the_packages_loads_no_host_packages():
    assert imported_by("caffe", "ncs", "agegender") == []


@pytest.mark.parametrize("package", ["caffe.tools", "ncs.cli", "agegender.cli"])
def test_command_has_a_summary(package):
    folder = Path(importlib.util.find_spec(package).origin).parent
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if "run" in names:
            assert "add_arguments" in names, path.name
            assert 10 < len((ast.get_docstring(tree) or "").split("\n")[0]) < 140, path.name
