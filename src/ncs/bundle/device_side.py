"""The device side: the directories that ship to target devices.

They need numpy, OpenCV and the device's runtime only, and are valid Python 3.7. This is the one list of them: bundles,
the tests, the import contracts of pyproject.toml and the documentation follow it. Applications add their own
directories, and the programs that a bundle starts with, by an entry point of the group `ncs.bundles`: an object with
DIRECTORIES, MODULES, PROGRAMS and README, and OAK_PROGRAMS and OAK_README for bundles of OAK cameras.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from importlib.metadata import entry_points

GROUP = "ncs.bundles"
# Packages that ship as whole directories, and single modules.
DIRECTORIES = ("caffe.device", "caffe.utils", "ncs.runtime", "ncs.simulator", "ncs.doctor")
MODULES = (
    *("caffe", "caffe.errors"),
    *("ncs", "ncs.errors", "ncs.myriad", "ncs.myriad.blob", "ncs.myriad.stage_kinds"),
)
PROGRAMS = {"doctor.py": "ncs.doctor.bundle_main"}  # file in the bundle -> module


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a bundle consists of besides the nets: packages, modules, programs and lines of its README."""

    directories: tuple[str, ...]
    modules: tuple[str, ...]
    programs: dict[str, str]
    readme: tuple[str, ...]

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield (path in the bundle, source file) of every file."""
        for name, module in self.programs.items():
            yield name, _source(module)
        for module in self.modules:
            yield os.path.join("lib", _relative(module)), _source(module)
        for package in self.directories:
            yield from _package_files(package)


def contents(target: str = "stick") -> Contents:
    """Return the contents that this package and the installed applications register for a target, stick or oak."""
    directories, modules, programs, readme = list(DIRECTORIES), list(MODULES), dict(PROGRAMS), []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        application = point.load()
        directories += application.DIRECTORIES
        modules += application.MODULES
        programs.update(application.PROGRAMS)
        readme += application.README
        if target == "oak":
            programs.update(application.OAK_PROGRAMS)
            readme += application.OAK_README
    return Contents(tuple(directories), tuple(modules), programs, tuple(readme))


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named '{module}'")
    return spec.origin


def _relative(module: str) -> str:
    path = os.path.join(*module.split("."))
    is_package = os.path.basename(_source(module)) == "__init__.py"
    return os.path.join(path, "__init__.py") if is_package else path + ".py"


def _package_files(package: str) -> Iterator[tuple[str, str]]:
    """Yield every file below a package, its data included."""
    root = os.path.dirname(_source(package))
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            source = os.path.join(folder, name)
            yield os.path.join("lib", *package.split("."), os.path.relpath(source, root)), source
