"""Where the demo's pictures come from: a camera, a film, or pictures on disk.

Each gives (name, uint8 BGR picture, path of its file or ""); `still` tells pictures from moving ones, `total` how many there
are (0: nobody knows), `rate` how many a second.
"""

from __future__ import annotations

import os

import cv2

from agegender.inference import opencv_compat, predict
from caffe.device.image_file import check_name

CAMERA_SIZE = 640, 480  # what is asked of a camera; it may give another
END = 3  # frames that a container may count and not have


class Pictures:
    """Pictures named by files, folders and globs."""

    still, rate = True, 1.0  # a film made of them shows each for a second

    def __init__(self, arguments):
        self.paths = predict.find_images(arguments)
        self.total = len(self.paths)

    def __iter__(self):
        for path, name in zip(self.paths, predict.short_names(self.paths)):
            yield name, predict.read_image(path), path

    def close(self):
        """Nothing is open."""


class VideoFile:
    """The frames of a film, to its end."""

    still = False

    def __init__(self, path):
        if not os.path.isfile(path):
            raise predict.failure(predict.NO_FILE, f"{path}: there is no such file")
        self.path = path
        self._capture = _opened(path)
        if self._capture is None:
            raise predict.failure(predict.NO_PICTURE, f"{path}: this is not a film OpenCV can read (MP4, AVI, MKV ...)")
        self.total = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.rate, self.size = _rate(self._capture), _size(self._capture)

    def __iter__(self):
        number = 0
        while True:
            good, picture = self._capture.read()
            if not good:
                break
            yield "%06d.jpg" % number, picture, ""
            number += 1
        if number < self.total - END or not number:
            raise predict.failure(
                predict.NO_PICTURE, "%s: frame %d of %d cannot be read: the file is damaged or cut off"
                % (self.path, number + 1, max(self.total, 1)),
            )  # fmt: skip

    def close(self):
        """Give the file back."""
        self._capture.release()


class Camera:
    """The frames of a camera, without end."""

    still, total = False, 0

    def __init__(self, number):
        self.number = number
        with opencv_compat.errors_only():
            self._capture = _opened(number)
        if self._capture is None:
            raise predict.failure(predict.NO_DEVICE, "camera %d: %s" % (number, _cameras()))
        for setting, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), CAMERA_SIZE):
            self._capture.set(setting, value)
        self.rate, self.size = _rate(self._capture), _size(self._capture)

    def __iter__(self):
        number = 0
        while True:
            good, picture = self._capture.read()
            if not good or picture is None:
                raise predict.failure(
                    predict.NO_DEVICE, "camera %d gave no picture after %d frames: was it unplugged, has another "
                    "program taken it?" % (self.number, number)
                )  # fmt: skip
            yield "%06d.jpg" % number, picture, ""
            number += 1

    def close(self):
        """Give the camera back."""
        self._capture.release()


def _opened(source):
    if isinstance(source, str):
        check_name(source)
    capture = cv2.VideoCapture(source)
    return capture if capture.isOpened() else None


def _rate(capture):
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else 25.0


def _size(capture):
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def _cameras():
    """What is said of a camera that does not open; Linux lists those that are there."""
    there = sorted(name for name in os.listdir("/dev") if name.startswith("video")) if os.path.isdir("/dev") else []
    if there:
        return "it does not open; here are {}: does another program use it, may you read it?".format(
            ", ".join("/dev/" + name for name in there)
        )
    return "there is none here; take --video FILE or --images DIR"
