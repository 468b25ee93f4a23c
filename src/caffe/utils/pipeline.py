"""Stages that run again only when something they stand on has changed.

A stage leaves a stamp when it has ended: what it was asked (settings, the state of its input files) and the state of its
outputs. While both are as stamped the stage is up to date. The state of a file is its size and time of writing, of a folder
that of all files below it, so that a run of nothing costs nothing.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
from collections.abc import Callable

from caffe.utils.atomic_io import sync, write_bytes

STATE_DIR = os.path.join("data", ".pipeline")


@dataclasses.dataclass
class Stage:
    """One step of the road: `run()` makes `outputs` from `inputs` (paths) under `settings` (JSON values)."""

    name: str
    title: str
    run: Callable[[], None]
    inputs: list
    outputs: list
    settings: dict = dataclasses.field(default_factory=dict)
    interrupted: bool = False
    stamps: str = STATE_DIR  # the folder of its stamp
    snapshots: str = ""  # of a training: its snapshot_prefix
    afresh: bool = False  # do not go on from the snapshots of the same work either

    def input_fingerprint(self):
        """A digest of settings and inputs as they are now."""
        text = json.dumps([self.name, self.settings, [state(path) for path in self.inputs]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def output_fingerprint(self):
        """A digest of the outputs as they are now, or None when one is missing."""
        states = [state(path) for path in self.outputs]
        return None if None in states else hashlib.sha256(json.dumps(states).encode()).hexdigest()

    @property
    def stamp(self):
        """The stamp's path."""
        return os.path.join(self.stamps, self.name + ".json")

    def saved_fingerprints(self):
        """What the stamp says: {"asked": ..., "made": ...}, empty where there is none."""
        try:
            with open(self.stamp, encoding="utf-8") as stream:
                return json.load(stream)
        except (OSError, ValueError, RecursionError):
            return {}

    def up_to_date(self):
        """Whether the stage would do again what it has done."""
        saved_fingerprints, output_fingerprint = self.saved_fingerprints(), self.output_fingerprint()
        return output_fingerprint is not None and saved_fingerprints == {
            "asked": self.input_fingerprint(),
            "made": output_fingerprint,
        }

    def go(self):
        """Run the stage between its two stamps; `interrupted` tells `run` that the very same work was cut off.

        The snapshots of other work are gone before the first stamp says that this work has begun: a run that is killed
        in between must not find them under that stamp.
        """
        self.interrupted = (
            self.saved_fingerprints() == {"asked": self.input_fingerprint(), "made": None} and not self.afresh
        )
        if self.snapshots and not self.interrupted:
            remove_snapshots(self.snapshots)
        write_bytes(self.stamp, json.dumps({"asked": self.input_fingerprint(), "made": None}))
        self.run()
        write_bytes(self.stamp, json.dumps({"asked": self.input_fingerprint(), "made": self.output_fingerprint()}))


def remove_snapshots(prefix):
    """Remove every file `<prefix>_iter_*`, for good."""
    for path in glob.glob(glob.escape(prefix) + "_iter_*"):
        os.unlink(path)
    folder = os.path.dirname(os.path.abspath(prefix))
    if os.path.isdir(folder):
        sync(folder)


def state(path):
    """[size, time of writing] of a file, a digest of them below a folder, None where there is nothing."""
    if os.path.isdir(path):
        digest = hashlib.sha256()
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(folder, name)
                digest.update(json.dumps([os.path.relpath(file, path), *_file(file)]).encode())
        return digest.hexdigest()
    return _file(path) if os.path.exists(path) else None


def _file(path):
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]
