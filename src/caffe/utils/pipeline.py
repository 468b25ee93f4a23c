"""A pipeline of stages, each run only when its inputs, settings or outputs have changed.

Every finished stage leaves a state file with two fingerprints: one of its settings and input files, one of its output
files. A file's fingerprint is its size and modification time; a directory's covers every file below it. A stage whose
fingerprints are unchanged is up to date, so a second run of a finished pipeline reads no data.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable

from caffe.utils import free_memory
from caffe.utils.atomic_io import sync, write_bytes
from caffe.utils.cli.progress import clock_text

STATE_DIR = os.path.join("data", ".pipeline")


@dataclasses.dataclass
class Stage:
    """One step of a pipeline.

    Parameters
    ----------
    name : str
        Names the state file; unique within a state directory.
    title : str
        One line for the log.
    action : callable
        Makes `outputs` from `inputs`. It takes no arguments.
    inputs, outputs : list of str
        Paths of files and directories.
    settings : dict
        JSON values that decide the result as well.
    partial : list of str
        Glob patterns of intermediate files, such as snapshots. An interrupted run of the same stage continues
        from them; before any other run they are deleted.
    """

    name: str
    title: str
    action: Callable[[], object]
    inputs: list[str]
    outputs: list[str]
    settings: dict = dataclasses.field(default_factory=dict)
    partial: list[str] = dataclasses.field(default_factory=list)

    def input_fingerprint(self) -> str:
        """Return a digest of the settings and the inputs as they are now."""
        text = json.dumps([self.name, self.settings, [fingerprint(path) for path in self.inputs]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def output_fingerprint(self) -> str | None:
        """Return a digest of the outputs as they are now; None if one is missing."""
        states = [fingerprint(path) for path in self.outputs]
        return None if None in states else hashlib.sha256(json.dumps(states).encode()).hexdigest()

    def up_to_date(self, state_dir: str = STATE_DIR) -> bool:
        """Return whether the stage finished with the present inputs, settings and outputs."""
        outputs = self.output_fingerprint()
        return outputs is not None and self._saved(state_dir) == {
            "inputs": self.input_fingerprint(),
            "outputs": outputs,
        }

    def run(self, state_dir: str = STATE_DIR, force: bool = False) -> None:
        """Run the action and record its fingerprints.

        Partial results of another run are deleted before the new run is recorded. A kill in between therefore never
        leaves a record that vouches for old files. Inputs that change while the action runs do not count as used.
        """
        inputs = self.input_fingerprint()
        if force or self._saved(state_dir) != {"inputs": inputs, "outputs": None}:
            self._delete_partial()
            self._save(state_dir, inputs, None)
        self.action()
        self._save(state_dir, inputs, self.output_fingerprint())

    def _delete_partial(self) -> None:
        for pattern in self.partial:
            paths = glob.glob(pattern)
            for path in paths:
                os.unlink(path)
            for folder in {os.path.dirname(os.path.abspath(path)) for path in paths}:
                sync(folder)  # a power failure must not bring them back

    def _path(self, state_dir: str) -> str:
        return os.path.join(state_dir, self.name + ".json")

    def _save(self, state_dir: str, inputs: str, outputs: str | None) -> None:
        write_bytes(self._path(state_dir), json.dumps({"inputs": inputs, "outputs": outputs}))

    def _saved(self, state_dir: str) -> dict:
        try:
            with open(self._path(state_dir), encoding="utf-8") as stream:
                return json.load(stream)
        except (OSError, ValueError, RecursionError):
            return {}


class Pipeline:
    """Run stages in order and report each.

    Parameters
    ----------
    stages : iterable of Stage
        A generator is advanced only when the stage before has finished.
    state_dir : str
        Directory of the state files.
    force : bool
        Run every stage, up to date or not.
    start : callable
        Called with (number from 1, stage, up_to_date) before each stage.
    finish : callable
        Called with (stage, seconds) after a stage has run.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        state_dir: str = STATE_DIR,
        *,
        force: bool = False,
        start: Callable[[int, Stage, bool], object] | None = None,
        finish: Callable[[Stage, float], object] | None = None,
    ) -> None:
        self.stages, self.state_dir, self.force = stages, state_dir, force
        self.start, self.finish = start or _print_start, finish or _print_finish

    def run(self) -> None:
        """Run every stage that is not up to date."""
        for number, stage in enumerate(self.stages, 1):
            up_to_date = not self.force and stage.up_to_date(self.state_dir)
            self.start(number, stage, up_to_date)
            if up_to_date:
                continue
            began = time.monotonic()
            stage.run(self.state_dir, self.force)
            free_memory.release()  # nets are reference cycles; free one stage's before the next stage allocates
            self.finish(stage, time.monotonic() - began)


def _print_start(number: int, stage: Stage, up_to_date: bool) -> None:
    print(f"{stage.title}: up to date" if up_to_date else f"{stage.title} ...", flush=True)


def _print_finish(stage: Stage, seconds: float) -> None:
    print(f"  done in {clock_text(seconds)}", flush=True)


def fingerprint(path: str) -> list[int] | str | None:
    """Return [size, mtime in ns] of a file, a digest of those below a directory, or None if `path` does not exist."""
    if os.path.isdir(path):
        digest = hashlib.sha256()
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(folder, name)
                digest.update(json.dumps([os.path.relpath(file, path), *_size_and_mtime(file)]).encode())
        return digest.hexdigest()
    return _size_and_mtime(path) if os.path.exists(path) else None


def _size_and_mtime(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]
