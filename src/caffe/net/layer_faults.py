"""Errors of layers whose bottoms have unusual shapes or values: what the layer's own checks did not foresee."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from caffe.errors import CaffeError

SHAPE_ERRORS = (IndexError, ValueError, ZeroDivisionError, TypeError, RuntimeError)
# PyTorch's and NumPy's messages about an index, taken from a blob, that is too large
_INDEX = re.compile(r"out of (bounds|range)|Target -?\d+ is out")


def refusal(error: BaseException, shapes: Sequence[tuple[int, ...]]) -> str | None:
    """Return what is wrong with bottoms of `shapes` for a layer that raised `error`; None if it is a bug of the layer.

    It is no bug if a bottom has no axes or an axis of size 0, or if its values do not serve as indices.
    """
    unusual = any(not shape or 0 in shape for shape in shapes)
    if not unusual and not (isinstance(error, (IndexError, RuntimeError)) and _INDEX.search(str(error))):
        return None
    what = "shapes" if unusual else "these values and shapes"
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"it cannot compute bottoms of {what} {', '.join(map(str, shapes))} ({reason})"


@contextlib.contextmanager
def reported(shapes: Sequence[tuple[int, ...]]) -> Iterator[None]:
    """Turn the error of a layer that cannot take bottoms of `shapes` into a CaffeError, with the error as its cause."""
    try:
        yield
    except CaffeError:
        raise
    except SHAPE_ERRORS as error:
        text = refusal(error, shapes)
        if text is None:
            raise
        raise CaffeError(text) from error
