"""Predictions as rows, and rows as the bytes of a parquet or JSON-lines file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from agegender.inference.output_formats import expected_years
from agegender.inference.results import ImageResult, Prediction
from ncs.runtime import is_importable


def suffix() -> str:
    """Return the format of the shards: "parquet" if pyarrow is installed, else "jsonl"."""
    return "parquet" if is_importable("pyarrow") else "jsonl"


def failed(image: str, reason: str) -> dict[str, Any]:
    """Return the row of an image that cannot be read."""
    return {"image": image, "error": reason}


def of_result(image: str, result: ImageResult, faces: bool) -> list[dict[str, Any]]:
    """Return the rows of an image: one per face; one without a face if none was found.

    `faces` is whether faces were detected.
    """
    if not faces:
        return [{"image": image, **_answers(result.predictions[0])}]
    rows = []
    for number, prediction in enumerate(result.predictions):
        left, top, right, bottom = map(int, prediction.face.box)
        place = {"face": number, "left": left, "top": top, "right": right, "bottom": bottom}
        rows.append({"image": image, **place, "score": float(prediction.face.score), **_answers(prediction)})
    return rows or [{"image": image}]


def _answers(prediction: Prediction) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, output in prediction.answers.items():
        years = expected_years(output)
        values[name] = output.text
        values[name + "_probability"] = float(output.probability)
        values[name + "_years"] = None if years is None else float(years)
        values[name + "_probabilities"] = [float(value) for value in output.probabilities]
    return values


def encode(rows: Sequence[dict[str, Any]], outputs: Sequence[str], faces: bool, kind: str) -> bytes:
    """Return the content of a shard.

    Parameters
    ----------
    rows : sequence of dict
    outputs : sequence of str
        Names that predictions are keyed by.
    faces : bool
        Whether faces were detected.
    kind : {"parquet", "jsonl"}
    """
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    import pyarrow
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(map(_printable, rows)), _schema(outputs, faces)), sink)
    return sink.getvalue()


def _printable(row):
    """Return a row whose names are valid UTF-8: parquet's strings are."""
    text = {key: row[key].encode("utf-8", "surrogateescape").decode("utf-8", "replace") for key in ("image",)}
    return {**row, **text}


def _schema(outputs, faces):
    import pyarrow as pa

    fields = [("image", pa.string()), ("error", pa.string())]
    if faces:
        fields += [(name, pa.int32()) for name in ("face", "left", "top", "right", "bottom")] + [
            ("score", pa.float32())
        ]
    for name in outputs:
        fields += [(name, pa.string()), (name + "_probability", pa.float32()), (name + "_years", pa.float32())]
        fields += [(name + "_probabilities", pa.list_(pa.float32()))]
    return pa.schema(fields)


def read(path: str) -> list[dict[str, Any]]:
    """Return the rows of a shard, without the fields that have no value."""
    if path.endswith(".jsonl"):
        with open(path, encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    from pyarrow import parquet

    rows = parquet.read_table(path).to_pylist()
    return [{key: value for key, value in row.items() if value is not None} for row in rows]
