"""The machine as the doctor sees it."""

from __future__ import annotations

import ctypes.util
import os
import platform
import subprocess
import sys

from caffe.utils.cache import bundled_libusb, runtime_python
from ncs.runtime import _importable, usb


class System:
    """The machine as the doctor sees it; tests give another `root` and other answers."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.machine = platform.machine().lower()
        self.python = sys.version_info[:2]

    def path(self, path: str) -> str:
        return os.path.join(self.root, path.lstrip("/"))

    def read(self, path: str) -> str:
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        return os.path.exists(self.path(path))

    def usable(self, path: str) -> bool:
        return os.access(self.path(path), os.R_OK | os.W_OK)

    def groups(self) -> set[str]:
        import grp

        known = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
        return {known.get(number, str(number)) for number in os.getgroups()}

    def importable(self, name: str) -> bool:
        return _importable(name)

    def version(self, name: str) -> str:
        try:
            from importlib import metadata

            return metadata.version(name)
        except Exception:  # 3.7 has no importlib.metadata; a package may lack its record
            return "?"

    def elsewhere(self) -> tuple[str, str]:
        """(another Python that is to run sticks, the version of its OpenVINO): "" for what is not there."""
        path = runtime_python()
        code = "import openvino.inference_engine as e, cv2, numpy; print(e.__version__)"
        try:
            said = subprocess.run(
                [path, "-I", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            ).stdout
        except OSError:  # no such program
            said = b""
        return path, said.decode("utf-8", "replace").strip().split("-")[0]

    def library(self, name: str) -> str | None:
        return ctypes.util.find_library(name)

    def bundled_libusb(self) -> str:
        return bundled_libusb()

    def package_folder(self, name: str) -> str:
        import importlib.util

        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        return places[0] if places else ""

    def sticks(self) -> list[usb.Stick]:
        return usb.sticks(self.path(usb.SYSFS))
