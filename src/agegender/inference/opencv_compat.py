"""Differences between OpenCV versions. Runs on the target device (Python 3.7, OpenCV)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cv2


def version() -> tuple:
    """(major, minor) of the installed OpenCV."""
    major, minor = cv2.__version__.split(".")[:2]
    return int(major), int(minor)


@contextlib.contextmanager
def errors_only() -> Iterator[None]:
    """Context in which OpenCV logs errors only; its log goes to standard error."""
    logging = getattr(cv2.utils, "logging", None)
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(level)
