"""The set-up scripts, in a copy of the checkout: messages about missing parts, choice of packages, repeated runs."""

import os
import shutil
import subprocess
import sys

import pytest
from support.checkout import ROOT


@pytest.fixture
def copy(tmp_path):
    """A checkout with the scripts but without an environment."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "constraints.txt", "create_mean.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("requirements", "src/caffe/kernels"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(folder, *command, **variables):
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_stage_without_environment_names_the_set_up(copy):
    result = run(copy, "./create_mean.sh")
    assert result.returncode == 1
    assert "create_mean.sh: " in result.stderr and "./run.sh" in result.stderr and "scripts/setup.sh" in result.stderr


def test_python_without_venv_names_the_package(copy):
    fake = program(copy / "fake-python", f'case "$2" in *ensurepip*) exit 1;; esac\nexec "{sys.executable}" "$@"\n')
    result = run(copy, "scripts/setup.sh", PYTHON=fake)
    assert result.returncode == 1
    assert "sudo apt-get install python{}.{}-venv\n".format(*sys.version_info[:2]) in result.stderr
    assert not (copy / ".venv").exists()


def test_old_python_is_refused(copy):
    fake = program(copy / "fake-python", "exit 1\n")
    result = run(copy, "scripts/setup.sh", PYTHON=fake)
    assert result.returncode == 1
    assert "3.10 or newer" in result.stderr


def test_unknown_argument_is_refused(copy):
    result = run(copy, "scripts/setup.sh", "--with-test")
    assert result.returncode == 1
    assert "--with-tests" in result.stderr


def test_output_of_pip_is_shown_and_no_stamp_is_left(copy):
    result = run(
        copy,
        "scripts/setup.sh",
        PYTHON=sys.executable,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert result.returncode == 1
    assert "    ERROR: " in result.stderr and "pip failed on torch" in result.stderr
    assert "Run this again to resume" in result.stderr
    assert not (copy / ".venv" / "complete").exists()


def test_complete_environment_is_not_changed(copy):
    folder = copy / ".venv" / "bin"
    folder.mkdir(parents=True)
    called = copy / "called"
    program(
        folder / "python",
        f'if [ "$1" = -V ]; then echo Python 3.12.1; else echo "$@" >> "{called}"; exit 1; fi\n',
    )
    stamp = ". scripts/env.sh; environment_hash"
    text = run(copy, "bash", "-c", stamp, "setup.sh").stdout
    (copy / ".venv" / "complete").write_text(text)
    assert run(copy, "scripts/setup.sh").returncode == 0
    assert not called.exists()
    with open(copy / "constraints.txt", "a") as stream:
        stream.write("# another version\n")
    assert run(copy, "scripts/setup.sh", PYTHON=program(copy / "none", "exit 1\n")).returncode == 1
    assert called.exists()


@pytest.mark.parametrize("chromium, apt, reason", [(True, 1, ""), (False, 0, ""), (False, 1, "cannot be installed")])
def test_missing_browser_does_not_fail_the_set_up(copy, chromium, apt, reason):
    """A complete environment, with and without Chromium, and an apt-get that works or not."""
    folder, programs = copy / ".venv" / "bin", copy / "programs"
    folder.mkdir(parents=True)
    programs.mkdir()
    program(folder / "python", 'if [ "$1" = -V ]; then echo Python 3.12.1; fi\n')
    for name in ("dirname", "cat", "cksum", "sed", "bash", "timeout", "awk", "df"):
        (programs / name).symlink_to(shutil.which(name))
    program(programs / "id", "echo 0\n")
    program(programs / "apt-get", f'echo "$@" >> "{copy}/called"\nexit {apt}\n')
    if chromium:
        program(programs / "chromium", "")
    text = run(copy, "bash", "-c", ". scripts/env.sh; environment_hash", "setup.sh").stdout
    (copy / ".venv" / "complete-with-tests").write_text(text)
    result = run(copy, "scripts/setup.sh", "--with-browser", PATH=str(programs))
    assert result.returncode == 0, result.stderr
    assert (reason in result.stderr) if reason else "cannot" not in result.stderr
    assert (copy / "called").exists() is not chromium


FAKE_ENVIRONMENT = """
case "$*" in -V) echo Python 3.12.1;; *"pip install"*) echo "$@" >> "%s";; esac
case "$*" in *"version_info[:2]"*) exit %d;; esac
case "$*" in *"+cpu"*|*torch-cpu.txt*) [ -e cpu-index ] && exit 0
echo "ERROR: Cannot install torch==9.9.9+cpu because these package versions have conflicts."; exit 1;; esac
"""


@pytest.mark.parametrize("hash_known", [False, True])
@pytest.mark.parametrize(
    "machine, gpu, cpu_index, builds",
    [
        ("Linux x86_64", False, True, ["cpu"]),
        ("Linux x86_64", False, False, ["cpu", "cpu", "default"]),
        ("Linux x86_64", True, True, ["default"]),
        ("Linux aarch64", False, True, ["default"]),
    ],
)
def test_cuda_build_is_installed_only_if_needed(copy, machine, gpu, cpu_index, builds, hash_known):
    folder = copy / ".venv" / "bin"
    folder.mkdir(parents=True)
    program(folder / "python", FAKE_ENVIRONMENT % (copy / "called", not hash_known))
    (copy / "constraints.txt").write_text("torch==9.9.9\n")
    if cpu_index:
        (copy / "cpu-index").touch()
    (copy / "fakes").mkdir()
    program(copy / "fakes" / "uname", f"echo {machine}\n")
    program(copy / "fakes" / "nvidia-smi", f"exit {not gpu:d}\n")
    result = run(copy, "scripts/setup.sh", PATH="{}:{}".format(copy / "fakes", os.environ["PATH"]))
    assert result.returncode == 0, result.stderr
    called = (copy / "called").read_text().split()
    build_of = {"torch==9.9.9+cpu": "cpu", "requirements/torch-cpu.txt": "cpu", "requirements/torch.txt": "default"}
    assert [build_of[word] for word in called if word in build_of] == builds
    assert ("torch==9.9.9+cpu" in called) == (builds[0] == "cpu" and not hash_known)
    assert ("download.pytorch.org/whl/cpu" in result.stderr) == (len(builds) == 3)
    assert ". .venv/bin/activate" in result.stderr
    assert run(copy, "scripts/setup.sh").stderr == ""


def test_incomplete_packages_are_removed(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    python = tmp_path / "v" / "bin" / "python"
    site_packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    for name, size in (("complete", 5), ("short", 6), ("lost", None), ("norecord", None)):
        folder = os.path.join(site_packages, f"{name}-1.dist-info")
        os.mkdir(folder)
        with open(os.path.join(folder, "METADATA"), "w") as stream:
            stream.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        if size:
            with open(os.path.join(site_packages, name + ".py"), "w") as stream:
                stream.write("12345")
        if name != "norecord":
            with open(os.path.join(folder, "RECORD"), "w") as stream:
                stream.write("{}.py,sha256=x,{}\n{}-1.dist-info/METADATA,,\n".format(name, size or "", name))
    result = subprocess.run(
        [python, ROOT / "scripts" / "drop_broken_installs.py"], capture_output=True, text=True, check=True
    )
    assert sorted(name for name in os.listdir(site_packages) if name.endswith(".dist-info")) == ["complete-1.dist-info"]
    assert result.stderr.count("will be installed again") == 3


@pytest.mark.parametrize("name", ["run", "test", "torch", "torch-cpu"])
def test_requirements_have_the_versions_of_constraints_with_hashes(name):
    pinned = {line.split(";")[0].strip().lower().replace("-", "_") for line in lines(ROOT / "constraints.txt")}
    names = {pin.split("==")[0] for pin in pinned}
    blocks = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    blocks = [block for block in blocks if block and not block.startswith("#")]
    assert blocks
    for block in blocks:
        requirement = block.split()[0].lower()
        assert "--hash=sha256:" in block, requirement
        package = requirement.replace("+cpu", "").replace("-", "_")
        if package.split("==")[0] in names:  # the others are parts of CUDA, or for Windows only
            assert package in pinned


def lines(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_constraints_pin_every_dependency():
    text = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    project = (ROOT / "pyproject.toml").read_text()
    block = project.split("dependencies = [")[1].split("]")[0] + project.split("test = [")[1].split("]")[0]
    for line in block.replace(",", "\n").split("\n"):
        name = line.strip().strip('"').split(">")[0].split(";")[0].strip().lower().replace("_", "-")
        if name and not name[0].isdigit():
            assert f"\n{name}==" in text, f"constraints.txt does not pin {name}"
