"""YuNet, the face detector that ships with this package: one file of 232,589 bytes, run by OpenCV.

Wu, Peng and Yu, *YuNet: A Tiny Millisecond-level Face Detector*, 2023; OpenCV's model zoo, MIT (see LICENSE).
It tells boxes, scores and five landmarks of faces that are about 36 to 400 pixels wide in the picture it is given;
`agegender.inference.detect` sees to that. It ships to the board (Python 3.7, numpy, OpenCV 4.8 or newer).
"""

from __future__ import annotations

import hashlib
import os

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import opencv_compat

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "face_detection_yunet_2023mar.onnx")
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
OVERLAP = 0.3  # boxes of which the smaller intersection over union is above it are of one face
MOST = 5000  # boxes before overlapping ones are dropped


class YuNet:
    """The loaded net. It may be used by one thread at a time."""

    def __init__(self, threshold):
        self._net = _load(threshold)

    def rows(self, picture):
        """float32 (N, 15) for a uint8 picture (H, W, 3), blue first.

        Left, top, width, height; x and y of the picture's left eye, its right eye, nose, left and right corner of the
        mouth; score. All in pixels of `picture`.
        """
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        rows = self._net.detect(picture)[1]
        return np.zeros((0, 15), np.float32) if rows is None else rows


def _load(threshold):
    if opencv_compat.version() < (4, 8):  # earlier ones take the file and fail at the first picture
        raise AgeGenderError(
            f"finding faces needs OpenCV 4.8 or newer, this is {cv2.__version__}: pip install --upgrade opencv-python-headless"
        )
    _check()
    with opencv_compat.errors_only():  # OpenCV 5 warns of a setting that FaceDetectorYN itself makes
        return cv2.FaceDetectorYN.create(FILE, "", (320, 320), threshold, OVERLAP, MOST)


def _check():
    """Refuse a net that is missing or not the one this package was made with."""
    try:
        with open(FILE, "rb") as stream:
            content = stream.read()
    except OSError as error:
        advice = "install caffe2ncs again: pip install --force-reinstall --no-deps caffe2ncs"
        raise AgeGenderError(f"{FILE}: {error.strerror}; the face detector's net is missing: {advice}") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise AgeGenderError(f"{FILE}: this is not the net it should be (its SHA-256 differs from {SHA256})")
