"""Exact resume: what a solverstate of Caffe does not hold, in a file beside it.

Caffe restarts its database at record 0 and draws new random numbers after a restore. `<prefix>_iter_N.resume.npz` holds
each data layer's position and each net's random state, so that a stopped run goes on as if it had not been stopped. Where
the file is missing (a snapshot of real Caffe), the restore is Caffe's.
"""

from __future__ import annotations

import json
import os
import struct
import tokenize
import zipfile
import zlib

import numpy as np
import torch

from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write

FORMAT = 1
SOLVER_STATE_KEYS = ("losses", "loss_scale")
# What NumPy's reader, the zip module under it, and the use of foreign values raise on a damaged file.
DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, RuntimeError, MemoryError),
    *(EOFError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def path_of(solverstate):
    """The resume file's path for a solverstate's."""
    stem = str(solverstate)
    for ending in (".h5", ".solverstate"):
        stem = stem[: -len(ending)] if stem.endswith(ending) else stem
    return stem + ".resume.npz"


def save(path, nets, told):
    """Write the state of `nets` (Net by name) and what the solver has `told` (a list of numbers for each of TOLD)."""
    layers = {
        name: {node.layer.name: node.layer.state() for node in net._nodes if hasattr(node.layer, "state")}
        for name, net in nets.items()
    }
    arrays = {f"random_{name}": net.generator.get_state().numpy() for name, net in nets.items()}
    text = json.dumps({"format": FORMAT, "layers": layers, **told})
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, state=np.frombuffer(text.encode(), np.uint8), **arrays)


def load(path, nets):
    """Bring `nets` to the state in `path`; returns what the solver told, or None where there is no such file."""
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            randoms = {name: file[f"random_{name}"] for name in nets if f"random_{name}" in file.files}
        if state["format"] != FORMAT:
            raise ValueError("format {!r}".format(state["format"]))
        for name, net in nets.items():
            if name in randoms:
                net.generator.set_state(torch.from_numpy(randoms[name].copy()))
            for node in net._nodes:
                saved = state["layers"].get(name, {}).get(node.layer.name)
                if saved is not None and hasattr(node.layer, "restore"):
                    node.layer.restore(saved)
        return {name: list(map(float, state.get(name, ()))) for name in SOLVER_STATE_KEYS}
    except DAMAGED as error:
        raise CaffeError(
            f"{path} is not a resume file of this version ({error}); remove it to resume as Caffe does"
        ) from None
