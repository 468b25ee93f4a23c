"""What has to be known of the OpenCV at hand. It ships to the board (Python 3.7, OpenCV)."""

from __future__ import annotations

import contextlib

import cv2


def version():
    """(major, minor)."""
    major, minor = cv2.__version__.split(".")[:2]
    return int(major), int(minor)


@contextlib.contextmanager
def errors_only():
    """While it lasts OpenCV's own log, which goes to standard error, holds errors only."""
    logging = getattr(cv2.utils, "logging", None)
    if logging is None:
        yield
        return
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(before)
