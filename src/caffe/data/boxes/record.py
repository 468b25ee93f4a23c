"""AnnotatedDatum, SSD's record of an image and its boxes.

Boxes are arrays (n, 7) of (label, instance, xmin, ymin, xmax, ymax, difficult); corners are fractions of the image.
"""

from __future__ import annotations

import numpy as np

from caffe.data import datum
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, wire_format

LABEL, INSTANCE, CORNERS, DIFFICULT = 0, 1, slice(2, 6), 6
_CORNER_NAMES = ("xmin", "ymin", "xmax", "ymax")


def decode(value: bytes, force_color: bool = False, force_gray: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Decode one record.

    Parameters
    ----------
    value : bytes
        Serialized AnnotatedDatum.
    force_color, force_gray : bool
        See `caffe.data.datum.decode`.

    Returns
    -------
    ndarray (C, H, W), ndarray (n, 7)
        The pixels, uint8 in BGR order, and the boxes.

    Raises
    ------
    CaffeError
        If the record is invalid.
    """
    image, groups = b"", []
    try:
        for number, wire_type, field in wire_format.fields(memoryview(value)):
            if number == 1 and wire_type == wire_format.BYTES:
                image = bytes(field)
            elif number == 3 and wire_type == wire_format.BYTES:
                groups.append(caffe_pb2.AnnotationGroup.FromString(bytes(field)))
    except ValueError as error:
        raise CaffeError(f"not an AnnotatedDatum: {error}; was this database created by convert_annoset?") from None
    if not image:
        raise CaffeError("an AnnotatedDatum without an image; was this database created by convert_annoset?")
    pixels, _ = datum.decode(image, force_color, force_gray)
    rows = [_row(group, annotation) for group in groups for annotation in group.annotation]
    return pixels, np.array(rows, np.float32).reshape(-1, 7)


def _row(group, annotation):
    box = annotation.bbox
    return [group.group_label, annotation.instance_id, *(getattr(box, n) for n in _CORNER_NAMES), box.difficult]


def encode(image: bytes, boxes: np.ndarray) -> bytes:
    """Serialize an AnnotatedDatum of type BBOX.

    Parameters
    ----------
    image : bytes
        Serialized Datum.
    boxes : ndarray (n, 7)
        Boxes of one label form one group.

    Returns
    -------
    bytes
    """
    head = b"\x0a" + wire_format.varint(len(image)) + image
    out = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
    for label in dict.fromkeys(boxes[:, LABEL].astype(int).tolist()):
        group = out.annotation_group.add()
        group.group_label = label
        for row in boxes[boxes[:, LABEL] == label]:
            annotation = group.annotation.add()
            annotation.instance_id = int(row[INSTANCE])
            for name, corner in zip(_CORNER_NAMES, row[CORNERS]):
                setattr(annotation.bbox, name, float(corner))
            annotation.bbox.difficult = bool(row[DIFFICULT])
    return head + out.SerializeToString()
