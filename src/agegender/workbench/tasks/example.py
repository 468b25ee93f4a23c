"""A record of a database as training sees it: the original and several random draws, in one PNG."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from caffe.data import datum
from caffe.data.augment import Augment
from caffe.data.db import open_db
from caffe.data.db.lmdb import LmdbReader
from caffe.device.transform import Transform
from caffe.proto import caffe_pb2

DRAWS, SIDE, GAP = 7, 160, 6


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Write the PNG to the folder of the request."""
    planes = _record(values["database"], bytes.fromhex(values["key"]))
    if values["resize"]:
        size = values["resize"], values["resize"]
        image = cv2.resize(np.ascontiguousarray(planes.transpose(1, 2, 0)), size)
        planes = np.atleast_3d(image).transpose(2, 0, 1)
    if values["crop"] > min(planes.shape[1:]):
        height, width = planes.shape[1:]
        raise AgeGenderError(
            f"crop: expected at most the size of the image, {height}x{width}, received {values['crop']}"
        )
    param = caffe_pb2.AugmentParameter()
    param.rotate, param.brightness = values["rotation"], values["brightness"]
    param.scale = values.get("scale", 0.0)
    transform = Transform(crop=values["crop"] or None, mirror=values["mirror"])
    images = [np.ascontiguousarray(planes)] * DRAWS
    drawn = Augment(param).apply(images, [], transform, np.random.default_rng(values["seed"]))
    tiles = [_tile(planes)] + [_tile(np.clip(np.rint(image), 0, 255).astype(np.uint8)) for image in drawn]
    cv2.imwrite(os.path.join(values["folder"], "data.png"), np.hstack(tiles))
    os.rename(os.path.join(values["folder"], "data.png"), os.path.join(values["folder"], "data"))
    return {"shape": list(drawn.shape[1:])}


def _record(database: str, key: bytes) -> np.ndarray:
    with open_db(database) as db:
        if not key:
            return datum.decode(next(iter(db))[1])[0]
        assert isinstance(db, LmdbReader)
        with db.transaction() as transaction:
            value = transaction.get(key)
    if value is None:
        raise AgeGenderError("no such record")
    planes = datum.decode(bytes(value))[0]
    if planes.dtype != np.uint8 or planes.shape[0] not in (1, 3):
        raise AgeGenderError(f"expected an image of bytes with 1 or 3 channels, received {planes.shape} {planes.dtype}")
    return planes


def _tile(planes: np.ndarray) -> np.ndarray:
    """Return an image of a fixed size on a neutral border."""
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))
    if image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    scale = SIDE / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    tile = np.full((SIDE + GAP, SIDE + GAP, 3), 128, np.uint8)
    top, left = (SIDE + GAP - height) // 2, (SIDE + GAP - width) // 2
    tile[top : top + height, left : left + width] = image
    return tile
