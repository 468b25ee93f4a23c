"""Access to the machine for the checks of `ncs doctor`."""

from __future__ import annotations

import ctypes.util
import os
import platform
import subprocess
import sys

from caffe.utils.cache import bundled_libusb, runtime_python
from ncs.runtime import is_importable, usb


class System:
    """Reads the state of this machine; tests replace `root` and override methods."""

    def __init__(self, root: str = "/") -> None:
        self.root = root
        self.machine = platform.machine().lower()
        self.python = sys.version_info[:2]

    def path(self, path: str) -> str:
        """Return `path` below the root."""
        return os.path.join(self.root, path.lstrip("/"))

    def read(self, path: str) -> str:
        """Return the text of a file, "" if it cannot be read."""
        try:
            with open(self.path(path), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder, empty if it cannot be read."""
        try:
            return sorted(os.listdir(self.path(path)))
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Return whether a path exists."""
        return os.path.exists(self.path(path))

    def usable(self, path: str) -> bool:
        """Return whether this user may read and write a path."""
        return os.access(self.path(path), os.R_OK | os.W_OK)

    def groups(self) -> set[str]:
        """Return the names of this user's groups."""
        import grp

        known = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
        return {known.get(number, str(number)) for number in os.getgroups()}

    def importable(self, name: str) -> bool:
        """Return whether a module is installed."""
        return is_importable(name)

    def version(self, name: str) -> str:
        """Return the version of a distribution, "?" if it is unknown."""
        try:
            from importlib import metadata

            return metadata.version(name)
        except Exception:  # Python 3.7 has no importlib.metadata; a package may have no metadata
            return "?"

    def remote_runtime(self) -> tuple[str, str]:
        """Return (path of another Python for sticks, version of its OpenVINO); "" if missing."""
        path = runtime_python()
        code = "import openvino.inference_engine as e, cv2, numpy; print(e.__version__)"
        try:
            output = subprocess.run(
                [path, "-I", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
            ).stdout
        except OSError:  # no such program
            output = b""
        return path, output.decode("utf-8", "replace").strip().split("-")[0]

    def library(self, name: str) -> str | None:
        """Return the file name of a shared library, or None."""
        return ctypes.util.find_library(name)

    def bundled_libusb(self) -> str:
        """Return the path of the Myriad compiler's libusb, or ""."""
        return bundled_libusb()

    def package_folder(self, name: str) -> str:
        """Return the folder of an installed package, or ""."""
        import importlib.util

        spec = importlib.util.find_spec(name)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return folders[0] if folders else ""

    def sticks(self) -> list[usb.Stick]:
        """Return the plugged-in sticks."""
        return usb.sticks(self.path(usb.SYSFS))
