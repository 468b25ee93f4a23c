"""Outputs of the demo: a window, a folder of images, or a video file.

Each has `show(name, image, source)`, which returns False when the user has ended the show, and `close(keep)`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import annotate
from caffe.device.image_file import check_name
from caffe.utils.atomic_io import atomic_write

ESCAPE = 27
STILLS = 960, 720  # width and height of a video made from still images
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class Window:
    """A window titled `result`, as in yu4u's demo; Esc or closing it ends the show.

    Parameters
    ----------
    still : bool
        Whether each image waits for a key.
    rate : float
        Frames per second of moving images.

    Raises
    ------
    AgeGenderError
        If OpenCV cannot open windows here.
    """

    TITLE = "result"

    def __init__(self, still: bool, rate: float):
        reason = no_window()
        if reason:
            raise AgeGenderError(f"{reason}; without a window: --out FILE.mp4 or --out DIR")
        self._still, self._interval, self._last = still, 1 / rate, 0.0

    def show(self, name: str, image: np.ndarray, source: str = "") -> bool:
        """Show an image; returns False once the user has ended the show."""
        cv2.imshow(self.TITLE, image)
        remaining = self._interval - (time.monotonic() - self._last)
        key = cv2.waitKey(max(1, int(1e3 * remaining)))
        while self._still and key < 0 and self._is_open():
            key = cv2.waitKey(50)
        self._last = time.monotonic()
        return key & 0xFF != ESCAPE and self._is_open()

    def _is_open(self):
        return cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self, keep: bool = True) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def no_window() -> str:
    """Why no window can be opened; "" if one can."""
    if not getattr(cv2, "currentUIFramework", lambda: "")():
        return "this build of OpenCV has no windows (opencv-python-headless; opencv-python has them)"
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    return ""


class Folder:
    """A folder with one image file per frame."""

    def __init__(self, path: str):
        self.path = path
        if os.path.exists(path) and not os.path.isdir(path):
            raise AgeGenderError(f"--out {path}: expected a folder or a video ({' '.join(CODECS)}), received a file")

    def show(self, name: str, image: np.ndarray, source: str = "") -> bool:
        """Write an image under its name; as PNG if OpenCV cannot write its format."""
        stem, suffix = os.path.splitext(name)
        writable = suffix and cv2.haveImageWriter("x" + suffix.lower())
        annotate.write(os.path.join(self.path, name if writable else stem + ".png"), image, source)
        return True

    def close(self, keep: bool = True) -> None:
        """Do nothing; `show` has written every file."""


class VideoFile:
    """A video file, which appears atomically when it is closed.

    Parameters
    ----------
    path : str
        Its suffix is a key of CODECS.
    rate : float
        Frames per second.
    size : tuple of int, optional
        Width and height; those of the first image by default. Other shapes are letterboxed.
    """

    def __init__(self, path: str, rate: float, size: tuple | None = None):
        self.path, self.rate = path, rate
        self._writer: Any = None
        self._size: Any = size
        self._stack = contextlib.ExitStack()

    def show(self, name: str, image: np.ndarray, source: str = "") -> bool:
        """Append an image."""
        if self._writer is None:
            self._size = self._size or (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)  # codecs need even sides
            self._writer = self._open()
        self._writer.write(fitted(image, self._size))
        return True

    def _open(self):
        suffix = os.path.splitext(self.path)[1].lower()
        temporary = self._stack.enter_context(atomic_write(self.path, suffix))
        check_name(temporary)
        writer = cv2.VideoWriter(temporary, cv2.VideoWriter.fourcc(*CODECS[suffix]), self.rate, self._size)
        if not writer.isOpened():
            raise AgeGenderError(
                f"--out {self.path}: this build of OpenCV cannot write {CODECS[suffix]} videos; use a folder instead"
            )
        return writer

    def close(self, keep: bool = True) -> None:
        """Finish the video, or discard it if `keep` is false."""
        if self._writer is not None:
            self._writer.release()
        if keep and self._writer is not None:
            self._stack.close()
        else:
            self._stack.__exit__(RuntimeError, RuntimeError("nothing to keep"), None)


def fitted(image: np.ndarray, size: tuple) -> np.ndarray:
    """Letterbox an image to `size` (width, height): as large as fits, centered on black."""
    width, height = size
    scale = min(width / image.shape[1], height / image.shape[0])
    if scale != 1:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)
    image = image[:height, :width]
    pad_y, pad_x = height - image.shape[0], width - image.shape[1]
    borders = pad_y // 2, pad_y - pad_y // 2, pad_x // 2, pad_x - pad_x // 2
    return cv2.copyMakeBorder(image, *borders, borderType=cv2.BORDER_CONSTANT)


def opened(out: str, still: bool, rate: float) -> Window | Folder | VideoFile:
    """Open the output that `--out` names: a video if the suffix is one, else a folder; "" is a window."""
    if not out:
        return Window(still, rate)
    suffix = os.path.splitext(out)[1].lower()
    if suffix in CODECS and not os.path.isdir(out):
        return VideoFile(out, rate, STILLS if still else None)
    if suffix and not os.path.isdir(out):
        raise AgeGenderError(f"--out {out}: expected a video ({', '.join(CODECS)}) or a folder without suffix")
    return Folder(out)
