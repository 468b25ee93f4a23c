"""Resample (nearest neighbor) and Interp (bilinear)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

HALF_PIXEL, PYTORCH_HALF_PIXEL, ASYMMETRIC, TF_HALF_PIXEL, ALIGN_CORNERS = range(5)
ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL, SIMPLE = range(5)


def coordinates(size: int, source: int, mode: int) -> np.ndarray:
    """Where each of `size` results lies among `source` values, in OpenVINO's modes of Interpolate."""
    places, scale = np.arange(size, dtype=np.float32), np.float32(size / source)
    if size == source:
        return places
    if mode == ALIGN_CORNERS:
        return places * np.float32((source - 1) / (size - 1)) if size > 1 else places * 0
    if mode == ASYMMETRIC:
        return places / scale
    if mode == TF_HALF_PIXEL:
        return (places + np.float32(0.5)) / scale
    if mode == PYTORCH_HALF_PIXEL and size == 1:
        return places * 0
    return (places + np.float32(0.5)) / scale - np.float32(0.5)


@stage("Resample")
def resample(call: Call) -> None:
    """Input, output."""
    _, _, kind, mode, nearest = call.params("ifIII")
    if kind != 0:
        raise call.error(f"resamples by method {kind}; only the nearest neighbor (0) is known")
    image, target = call.image(0), dict(zip(call.tensor(1).order, call.tensor(1).dims))
    rows, columns = (
        _nearest(coordinates(target[letter], size, mode), size, target[letter], nearest)
        for letter, size in zip("HW", image.shape[2:])
    )
    call.write_image(1, image[:, :, rows][:, :, :, columns])


def _nearest(places: np.ndarray, source: int, size: int, mode: int) -> np.ndarray:
    rounded = {
        ROUND_PREFER_FLOOR: np.ceil(places - np.float32(0.5)),
        ROUND_PREFER_CEIL: np.floor(places + np.float32(0.5)),
        FLOOR: np.floor(places),
        CEIL: np.ceil(places),
        SIMPLE: np.ceil(places) if size < source else np.floor(places),
    }[mode]
    return np.clip(rounded, 0, source - 1).astype(np.int64)


@stage("Interp")
def interp(call: Call) -> None:
    """Input, output."""
    align, _, mode = call.params("iII")
    image, target = call.image(0), dict(zip(call.tensor(1).order, call.tensor(1).dims))
    for axis, letter in ((2, "H"), (3, "W")):
        size, source = target[letter], image.shape[axis]
        places = coordinates(size, source, ALIGN_CORNERS if align else mode)
        places = np.clip(places, 0, source - 1)
        low = np.floor(places).astype(np.int64)
        high = np.minimum(low + 1, source - 1)
        part = (places - low).reshape([-1 if a == axis else 1 for a in range(4)]).astype(np.float32)
        image = np.take(image, low, axis) * (1 - part) + np.take(image, high, axis) * part
    call.write_image(1, image)
