"""Exact resume: the state that Caffe's solverstate lacks, in a file next to it.

After a restore, Caffe restarts its database at record 0 and draws new random numbers. `<prefix>_iter_N.resume.npz`
holds the position of each data layer and the random state of each net, so that a resumed run equals an uninterrupted
one. Without the file (a snapshot of real Caffe), the run is restored as Caffe does it.

Format 1 is of one process. Format 2 is of several: the states of each rank, and the records that each data layer has
shown, so that another number of processes continues at the same record.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write
from caffe.utils.npy_file import DAMAGED

FORMAT = 1
FORMAT_OF_RANKS = 2
SOLVER_STATE_KEYS = ("losses", "loss_scale")


def path_of(solverstate: str | os.PathLike[str]) -> str:
    """Return the path of the resume file that belongs to a solverstate."""
    stem = str(solverstate)
    for suffix in (".h5", ".solverstate"):
        stem = stem[: -len(suffix)] if stem.endswith(suffix) else stem
    return stem + ".resume.npz"


@dataclasses.dataclass
class Ranks:
    """The states of all processes, by rank: of the layers, the random generators of all nets, and the statistics."""

    layers: list[dict[str, Any]]
    generators: list[np.ndarray]
    statistics: list[np.ndarray]


def layer_states(nets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the states of the layers of `nets` by net and layer name."""
    return {
        name: {node.layer.name: node.layer.state() for node in net.nodes if hasattr(node.layer, "state")}
        for name, net in nets.items()
    }


def save(
    path: str, nets: Mapping[str, Any], solver_state: Mapping[str, Sequence[float]], ranks: Ranks | None = None
) -> None:
    """Write the state of `nets` (Net by name) and of the solver (a list of numbers per key of SOLVER_STATE_KEYS).

    `ranks` are the states of several processes.
    """
    arrays = {f"random_{name}": net.generator.get_state().numpy() for name, net in nets.items()}
    state: dict[str, Any] = {"format": FORMAT, "layers": layer_states(nets)}
    if ranks is not None:
        state = {"format": FORMAT_OF_RANKS, "world_size": len(ranks.layers), "nets": list(nets), "ranks": ranks.layers}
        arrays = {f"random_{rank}": part for rank, part in enumerate(ranks.generators)}
        arrays.update({f"statistics_{rank}": part for rank, part in enumerate(ranks.statistics)})
    text = json.dumps({**state, **solver_state})
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, state=np.frombuffer(text.encode(), np.uint8), **arrays)


def read(path: str) -> bytes:
    """Return the content of a resume file; empty if it does not exist."""
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as stream:
        return stream.read()


def load(
    path: str, nets: Mapping[str, Any], data: bytes | None = None, group: Any = None, statistics: Any = None
) -> dict[str, list[float]] | None:
    """Restore `nets` from `path`; returns the solver state, or None if the file does not exist.

    Parameters
    ----------
    path : str
    nets : dict of str to Net
    data : bytes, optional
        Content of the file, if it has been read.
    group : Group, optional
        The processes that train together.
    statistics : Statistics, optional
        Set to those of this process if the number of processes is the same.

    Raises
    ------
    CaffeError
        If the file is damaged or of another version.
    """
    data = read(path) if data is None else data
    if not data:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            arrays = {name: file[name] for name in file.files if name != "state"}
        if state["format"] not in (FORMAT, FORMAT_OF_RANKS):
            raise ValueError("format {!r}".format(state["format"]))
        saved = _of_ranks(state, arrays, group) if state["format"] == FORMAT_OF_RANKS else _of_one(state, arrays)
        saved.restore(nets, group)
        if statistics is not None and saved.statistics is not None:
            statistics.assign(torch.from_numpy(saved.statistics.copy()))
        return {name: list(map(float, state.get(name, ()))) for name in SOLVER_STATE_KEYS}
    except DAMAGED as error:
        raise CaffeError(
            f"{path} is not a resume file of this version ({error}); remove it to resume as Caffe does"
        ) from None


@dataclasses.dataclass
class _Saved:
    """What one process restores."""

    world_size: int
    layers: dict[str, Any]
    generators: dict[str, np.ndarray]  # by net name
    statistics: np.ndarray | None = None

    def restore(self, nets: Mapping[str, Any], group: Any) -> None:
        size, divisor = (1, 1) if group is None else (group.size, group.divisor)
        for name, net in nets.items():
            if name in self.generators:
                net.generator.set_state(torch.from_numpy(self.generators[name].copy()))
            for node in net.nodes:
                saved = self.layers.get(name, {}).get(node.layer.name)
                if saved is None or not hasattr(node.layer, "restore"):
                    continue
                if size != self.world_size and hasattr(node.layer, "reshard"):
                    saved = node.layer.reshard(saved, self.world_size, divisor)
                node.layer.restore(saved)


def _of_one(state, arrays):
    prefix = "random_"
    generators = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    return _Saved(1, state["layers"], generators)


def _of_ranks(state, arrays, group):
    """Return what this process restores; a rank that the file does not have keeps its own random generator."""
    rank, size = (0, 1) if group is None else (group.rank, group.size)
    world = state["world_size"]
    same = world == size
    generators = {}
    if f"random_{rank}" in arrays:
        generators = dict(zip(state["nets"], np.split(arrays[f"random_{rank}"], len(state["nets"]))))
    statistics = arrays.get(f"statistics_{rank}") if same else None
    return _Saved(world, state["ranks"][rank if same else 0], generators, statistics)
