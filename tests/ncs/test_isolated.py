"""Child processes never import modules from the current directory."""

import json
import os
import subprocess
import sys

import pytest

from caffe.utils import isolated

NAMES = ("json", "struct", "types", "pip", "multiprocessing", "ctypes", "tempfile", "numpy", "ncs", "caffe")


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A current directory, also on PYTHONPATH, whose modules write a file when they are imported."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'RAN')!r}, 'a').write({name!r})\nraise SystemExit(9)"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    return tmp_path


@pytest.mark.parametrize("first", [False, True])
def test_current_directory_is_not_on_the_module_path(hostile, tmp_path_factory, first):
    root = tmp_path_factory.mktemp("root")
    (root / "mine").mkdir()
    (root / "mine" / "__init__.py").write_text("")
    (root / "mine" / "program.py").write_text(
        "import json, struct, types, sys\nif __name__ == '__main__': print(json.dumps(sys.path))"
    )
    command = isolated.command(sys.executable, "mine.program", str(root), first=first)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and not (hostile / "RAN").exists(), done.stderr
    path = json.loads(done.stdout)
    assert path[0 if first else -1] == str(root) and "" not in path and "." not in path


def test_compiler_process_and_pip(hostile, monkeypatch):
    from ncs.errors import NcsError
    from ncs.myriad import compiler, toolchain

    tools = toolchain.Toolchain(str(hostile / "no libraries"))
    with pytest.raises(NcsError, match="no libraries: damaged: "):
        compiler.run_child(tools, [{}])
    (hostile / "scratch").mkdir()
    monkeypatch.setattr(toolchain, "WHEELS", ())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    try:
        toolchain._download(str(hostile / "scratch"))
    except NcsError as error:
        assert "9" not in str(error)
    assert not (hostile / "RAN").exists()


def test_workers_that_draw_faces(hostile, tmp_path):
    from agegender.synthetic_faces import collection

    if sys.version_info < (3, 11):
        pytest.skip("before Python 3.11 multiprocessing adds the current directory to the path")
    pythonpath = os.environ.pop("PYTHONPATH")
    try:
        collection.make(str(tmp_path / "faces"), count=120, jobs=2)
    finally:
        os.environ["PYTHONPATH"] = pythonpath
    assert not (hostile / "RAN").exists()
