"""Intel's last MYRIAD compiler: downloaded once by pip with pinned hashes, and kept in a cache."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from caffe.utils.atomic_io import atomic_folder
from caffe.utils.cache import cache_folder
from caffe.utils.hashing import sha256_or_none
from ncs.errors import NcsError

RELEASE = "openvino-2021.4.2"


@dataclass(frozen=True)
class Wheel:
    """A wheel to download: pip requirement, file name, SHA-256, size in bytes, and the files to keep."""

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
    """Return the compiler from the cache; download it first if it is missing.

    The SHA-256 of every library is checked each time, because the libraries are executed. Raises NcsError if one
    differs.
    """
    tools = unchecked(say)
    check(tools)
    return tools


def unchecked(say: Callable[[str], None] = print) -> Toolchain:
    """Return the compiler as `toolchain` does, for a caller that checks the libraries when it loads them."""
    check_platform()
    tools = find()  # without the lock, which a read-only cache does not allow
    if tools is None:
        with _locked(cache_folder()):
            tools = find() or fetch(say=say)
    return tools


def check(tools: Toolchain) -> None:
    """Raise NcsError if a library does not have its pinned SHA-256; the message names all of them."""
    damaged = verify(tools)
    if damaged:
        files = ", ".join(damaged)
        raise NcsError(f"{tools.folder}: damaged: {files}; remove the folder and run `ncs toolchain` again")


def check_platform() -> None:
    """Raise NcsError if the compiler does not support this machine."""
    machine = platform.machine().lower()
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "amd64"):
        raise NcsError(
            f"the Myriad compiler supports x86-64 Linux only, this is {sys.platform} on {machine or 'unknown hardware'}"
            "; compile on such a machine or in a container; the blob then runs anywhere"
        )


def find() -> Toolchain | None:
    """Return the compiler in the cache if all its files exist, else None; `verify` checks their contents."""
    tools = Toolchain(os.path.join(cache_folder(), RELEASE))
    return tools if all(os.path.isfile(tools.library(name)) for name in _pinned()) else None


def verify(tools: Toolchain) -> list[str]:
    """Return the names of the files that do not have their pinned SHA-256."""
    return [name for name, digest in sorted(_pinned().items()) if sha256_or_none(tools.library(name)) != digest]


def _pinned() -> dict[str, str]:
    """{library: SHA-256} of all wheels."""
    return {name: digest for wheel in WHEELS for name, digest in wheel.members.items()}


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
        with atomic_folder(target, refuse=_check_replaceable) as folder:
            for path, wheel in zip(paths, WHEELS):
                _unpack(path, wheel, folder)
    return Toolchain(target)


def _check_replaceable(folder: str) -> None:
    """Raise NcsError if `folder` contains anything but the compiler's files."""
    known = {"toolchain.json", *_pinned()}  # earlier versions wrote toolchain.json
    foreign = sorted(set(os.listdir(folder)) - known) if os.path.isdir(folder) else []
    if foreign:
        raise NcsError(f"{folder} contains {foreign[0]}, which is not a file of the compiler; move it away")


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
    # cwd: `-m` would import modules from the current directory
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False)
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
    digest = sha256_or_none(path)
    if digest != wheel.sha256:
        raise NcsError(
            f"{path}: expected SHA-256 {wheel.sha256}, received {digest}; the file is damaged or a different one"
        )
    return path


def _unpack(path: str, wheel: Wheel, folder: str) -> None:
    """Extract the required members by base name; paths in the archive are not used."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for name in wheel.members:
            target = os.path.join(folder, name)
            with archive.open(f"{wheel.folder}/{name}") as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


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
