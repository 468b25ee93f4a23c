"""Exact resume: the state that Caffe's solverstate lacks, in a file next to it.

After a restore, Caffe restarts its database at record 0 and draws new random numbers. `<prefix>_iter_N.resume.npz`
holds the position of each data layer and the random state of each net, so that a resumed run equals an uninterrupted
one. Without the file (a snapshot of real Caffe), the run is restored as Caffe does it.
"""

from __future__ import annotations

import json
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write

FORMAT = 1
SOLVER_STATE_KEYS = ("losses", "loss_scale")
# Everything that NumPy's reader, the zip module and unexpected values raise on a damaged file.
READ_ERRORS = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, RuntimeError, MemoryError),
    *(EOFError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def path_of(solverstate: str | os.PathLike[str]) -> str:
    """Return the path of the resume file that belongs to a solverstate."""
    stem = str(solverstate)
    for suffix in (".h5", ".solverstate"):
        stem = stem[: -len(suffix)] if stem.endswith(suffix) else stem
    return stem + ".resume.npz"


def save(path: str, nets: Mapping[str, Any], solver_state: Mapping[str, Sequence[float]]) -> None:
    """Write the state of `nets` (Net by name) and of the solver (a list of numbers per key of SOLVER_STATE_KEYS)."""
    layers = {
        name: {node.layer.name: node.layer.state() for node in net.nodes if hasattr(node.layer, "state")}
        for name, net in nets.items()
    }
    arrays = {f"random_{name}": net.generator.get_state().numpy() for name, net in nets.items()}
    text = json.dumps({"format": FORMAT, "layers": layers, **solver_state})
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, state=np.frombuffer(text.encode(), np.uint8), **arrays)


def load(path: str, nets: Mapping[str, Any]) -> dict[str, list[float]] | None:
    """Restore `nets` from `path`; returns the solver state, or None if the file does not exist."""
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            generators = {name: file[f"random_{name}"] for name in nets if f"random_{name}" in file.files}
        if state["format"] != FORMAT:
            raise ValueError("format {!r}".format(state["format"]))
        for name, net in nets.items():
            if name in generators:
                net.generator.set_state(torch.from_numpy(generators[name].copy()))
            for node in net.nodes:
                saved = state["layers"].get(name, {}).get(node.layer.name)
                if saved is not None and hasattr(node.layer, "restore"):
                    node.layer.restore(saved)
        return {name: list(map(float, state.get(name, ()))) for name in SOLVER_STATE_KEYS}
    except READ_ERRORS as error:
        raise CaffeError(
            f"{path} is not a resume file of this version ({error}); remove it to resume as Caffe does"
        ) from None
