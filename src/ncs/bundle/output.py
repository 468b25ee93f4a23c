"""The output directory of a bundle, and the manifests that go into it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence

from caffe.utils.atomic_io import atomic_folder
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest

MADE_BY = "ncs bundle"  # recorded in a bundle; only a bundle is replaced


@contextlib.contextmanager
def output_folder(folder: str) -> Iterator[str]:
    """Write `folder` atomically; replaces only an empty folder or an unchanged earlier bundle."""
    with atomic_folder(folder, MADE_BY) as temporary:
        yield temporary


def write(folder: str, name: str, text: str) -> None:
    """Write a text file into `folder`."""
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        stream.write(text)


def read_manifests(paths: Sequence[str]) -> list[Manifest]:
    """Read the manifests. Raises NcsError for changed or missing files and for duplicate names."""
    manifests = [Manifest.read(path) for path in paths]
    faults = [
        f"{path}: {', '.join(changed)} changed since it was compiled, or is missing: compile again"
        for path, changed in zip(paths, (manifest.verify() for manifest in manifests))
        if changed
    ]
    names = [manifest.name for manifest in manifests]
    faults += [f"two nets are called '{name}'" for name in sorted(set(names)) if names.count(name) > 1]
    if faults:
        raise NcsError("\n".join(faults))
    return manifests


def copy_graph(manifest: Manifest, folder: str, kinds: Sequence[str]) -> None:
    """Copy the model files of `kinds` and the manifest into `folder`. Raises NcsError if there is none of them."""
    os.makedirs(folder, exist_ok=True)
    included = [kind for kind in manifest.artefacts if kind in kinds]
    if not included:
        raise NcsError(f"'{manifest.name}' has {', '.join(manifest.artefacts)}; expected one of {', '.join(kinds)}")
    copy = dataclasses.replace(manifest, artefacts={}, folder=folder)
    for kind in included:
        source = manifest.path(kind)
        target = os.path.join(folder, os.path.basename(source))
        shutil.copyfile(source, target)
        copy.add(kind, target)
    copy.write(os.path.join(folder, manifest.name + ".json"))
