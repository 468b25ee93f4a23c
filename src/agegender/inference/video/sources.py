"""Inputs of the demo: a camera, a video file, or image files.

Each iterates over (name, uint8 BGR image, path of its file or ""). `still` is true for image files, `total` is the
number of images (0 if unknown), `rate` is the number of frames per second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2

from agegender.inference import image_files, opencv_compat
from caffe.device.image_file import check_name

CAMERA_SIZE = 640, 480  # requested from a camera, which may deliver another size
MISSING_FRAMES = 3  # frames that a container may count but not contain


class Images:
    """Images given by files, folders and globs."""

    still, rate = True, 1.0  # a video made from them shows each for one second

    def __init__(self, arguments: list[str]):
        self.paths = image_files.find_images(arguments)
        self.total = len(self.paths)

    def __iter__(self) -> Iterator[tuple]:
        for path, name in zip(self.paths, image_files.short_names(self.paths)):
            yield name, image_files.read_image(path), path

    def close(self) -> None:
        """Do nothing; no file stays open."""


class VideoFile:
    """The frames of a video file.

    Raises
    ------
    AgeGenderError
        If the file is missing, cannot be read, or ends before its last frame.
    """

    still = False

    def __init__(self, path: str):
        if not os.path.isfile(path):
            raise image_files.failure(image_files.NO_FILE, f"{path}: there is no such file")
        self.path = path
        self._capture = _open(path)
        if self._capture is None:
            raise image_files.failure(
                image_files.NO_IMAGE, f"{path}: not a video that OpenCV can read (MP4, AVI, MKV ...)"
            )
        self.total = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.rate, self.size = _rate(self._capture), _size(self._capture)

    def __iter__(self) -> Iterator[tuple]:
        number = 0
        while True:
            success, image = self._capture.read()
            if not success:
                break
            yield f"{number:06d}.jpg", image, ""
            number += 1
        if number < self.total - MISSING_FRAMES or not number:
            raise image_files.failure(
                image_files.NO_IMAGE,
                f"{self.path}: cannot read frame {number + 1} of {max(self.total, 1)}: "
                "the file is damaged or truncated",
            )

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class Camera:
    """The frames of a camera, without end.

    Raises
    ------
    AgeGenderError
        If the camera cannot be opened or stops delivering images.
    """

    still, total = False, 0

    def __init__(self, number: int):
        self.number = number
        with opencv_compat.errors_only():
            self._capture = _open(number)
        if self._capture is None:
            raise image_files.failure(image_files.NO_DEVICE, f"camera {number}: {_why_no_camera()}")
        for setting, value in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), CAMERA_SIZE):
            self._capture.set(setting, value)
        self.rate, self.size = _rate(self._capture), _size(self._capture)

    def __iter__(self) -> Iterator[tuple]:
        number = 0
        while True:
            success, image = self._capture.read()
            if not success or image is None:
                raise image_files.failure(
                    image_files.NO_DEVICE,
                    f"camera {self.number} delivered no image after {number} frames: "
                    "was it unplugged, or is another program using it?",
                )
            yield f"{number:06d}.jpg", image, ""
            number += 1

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def _open(source):
    if isinstance(source, str):
        check_name(source)
    capture = cv2.VideoCapture(source)
    return capture if capture.isOpened() else None


def _rate(capture):
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate < 1000 else 25.0


def _size(capture):
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def _why_no_camera():
    """Why a camera does not open; on Linux with the list of video devices."""
    devices = sorted(name for name in os.listdir("/dev") if name.startswith("video")) if os.path.isdir("/dev") else []
    if devices:
        paths = ", ".join("/dev/" + name for name in devices)
        return f"cannot be opened; this machine has {paths}: is another program using it, do you have read permission?"
    return "not found; use --video FILE or --images DIR"
