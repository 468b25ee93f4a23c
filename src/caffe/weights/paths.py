"""Lists of weights files, as `caffe -weights a,b` and the solver's `weights` take them."""

from __future__ import annotations

import os


def split(text: str | os.PathLike[str]) -> list[str]:
    """Split a comma-separated list of weights files.

    Blanks around a path do not count, as in Caffe (solver.cpp, LoadNetWeights). A text that is the path of an existing
    file is one path, even if it has a comma.

    Parameters
    ----------
    text : str
        `a.caffemodel, b.caffemodel`.

    Returns
    -------
    list of str
    """
    text = os.fspath(text)
    if os.path.exists(text):
        return [text]
    return [part.strip() for part in text.split(",")]
