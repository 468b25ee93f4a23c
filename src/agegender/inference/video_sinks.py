"""Where the demo's drawn pictures go: a window, a folder or a film.

Each has `show(name, picture, source)`, which is False when no more are wanted, and `close(keep)`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

import cv2

from agegender.errors import AgeGenderError
from agegender.inference import annotate
from caffe.device.image_file import check_name
from caffe.utils.atomic_io import atomic_write

ESCAPE = 27
STILLS = 960, 720  # the size of a film made of pictures
CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class Window:
    """A window called `result`, as yu4u's demo has it. Esc or closing it ends the show; a still picture waits for a key."""

    TITLE = "result"

    def __init__(self, still, rate):
        fault = no_window()
        if fault:
            raise AgeGenderError(f"{fault}; without a window: --out FILE.mp4 or --out DIR")
        self._still, self._pause, self._last = still, 1 / rate, 0.0

    def show(self, name, picture, source=""):
        cv2.imshow(self.TITLE, picture)
        left = self._pause - (time.monotonic() - self._last)
        pressed = cv2.waitKey(max(1, int(1e3 * left)))
        while self._still and pressed < 0 and self._open():
            pressed = cv2.waitKey(50)
        self._last = time.monotonic()
        return pressed & 0xFF != ESCAPE and self._open()

    def _open(self):
        return cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self, keep=True):
        cv2.destroyAllWindows()


def no_window():
    """Why there can be no window, or ""."""
    if not getattr(cv2, "currentUIFramework", lambda: "")():
        return "this OpenCV has no windows (opencv-python-headless; opencv-python has them)"
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    return ""


class Folder:
    """A picture file a frame."""

    def __init__(self, path):
        self.path = path
        if os.path.exists(path) and not os.path.isdir(path):
            raise AgeGenderError(
                "--out {} is a file; give a folder, or a film's name ({})".format(path, " ".join(CODECS))
            )

    def show(self, name, picture, source=""):
        stem, suffix = os.path.splitext(name)
        good = suffix and cv2.haveImageWriter("x" + suffix.lower())
        annotate.write(os.path.join(self.path, name if good else stem + ".png"), picture, source)
        return True

    def close(self, keep=True):
        """Every file is written already."""


class VideoFile:
    """A film of `size` (width, height; None: the first picture's), with black where a picture's shape differs.

    It appears under its name when it is closed.
    """

    def __init__(self, path, rate, size=None):
        self.path, self.rate = path, rate
        self._writer, self._size, self._stack = None, size, contextlib.ExitStack()

    def show(self, name, picture, source=""):
        if self._writer is None:
            self._size = self._size or (picture.shape[1] // 2 * 2, picture.shape[0] // 2 * 2)  # codecs want even sides
            self._writer = self._open()
        self._writer.write(fitted(picture, self._size))
        return True

    def _open(self):
        suffix = os.path.splitext(self.path)[1].lower()
        temporary = self._stack.enter_context(atomic_write(self.path, suffix))
        check_name(temporary)
        writer = cv2.VideoWriter(temporary, cv2.VideoWriter_fourcc(*CODECS[suffix]), self.rate, self._size)
        if not writer.isOpened():
            raise AgeGenderError(f"--out {self.path}: this OpenCV cannot write {CODECS[suffix]} films; give a folder")
        return writer

    def close(self, keep=True):
        """End the film; what was written is kept unless `keep` is false."""
        if self._writer is not None:
            self._writer.release()
        if keep and self._writer is not None:
            self._stack.close()
        else:
            self._stack.__exit__(RuntimeError, RuntimeError("nothing to keep"), None)


def fitted(picture, size):
    """`picture` in a frame of `size` (width, height): as large as fits, centred on black."""
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    if scale != 1:
        picture = cv2.resize(
            picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
    picture = picture[:height, :width]
    down, across = height - picture.shape[0], width - picture.shape[1]
    frame = down // 2, down - down // 2, across // 2, across - across // 2
    return cv2.copyMakeBorder(picture, *frame, borderType=cv2.BORDER_CONSTANT)


def opened(out, still, rate):
    """What `--out` names: a film by its suffix, else a folder; "" is a window."""
    if not out:
        return Window(still, rate)
    suffix = os.path.splitext(out)[1].lower()
    if suffix in CODECS and not os.path.isdir(out):
        return VideoFile(out, rate, STILLS if still else None)
    if suffix and not os.path.isdir(out):
        raise AgeGenderError("--out {}: films end in {}; a folder's name has no suffix".format(out, ", ".join(CODECS)))
    return Folder(out)
