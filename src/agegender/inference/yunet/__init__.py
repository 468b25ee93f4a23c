"""YuNet, the face detector that ships with this package: one file of 232,589 bytes, run by OpenCV.

Wu, Peng and Yu, *YuNet: A Tiny Millisecond-level Face Detector*, 2023; OpenCV's model zoo, MIT (see LICENSE).
It predicts boxes, scores and five landmarks of faces about 36 to 400 pixels wide; `agegender.inference.faces.detect`
resizes images accordingly. Runs on the target device (Python 3.7, numpy, OpenCV 4.8 or newer).
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
OVERLAP = 0.3  # intersection over union above which two boxes are the same face
MAX_BOXES = 5000  # before non-maximum suppression


class YuNet:
    """The loaded net; for one thread at a time.

    Parameters
    ----------
    threshold : float
        Minimum score of a face.

    Raises
    ------
    AgeGenderError
        If OpenCV is too old, or the net's file is missing or modified.
    """

    def __init__(self, threshold: float):
        self._net = _load(threshold)

    def rows(self, image: np.ndarray) -> np.ndarray:
        """Detect faces in a uint8 BGR image of shape (H, W, 3).

        Returns
        -------
        float32 array of shape (N, 15)
            Left, top, width, height; x and y of the left eye, right eye, nose, left and right corner of the mouth
            (left and right as in the image), in pixels; score.
        """
        self._net.setInputSize((image.shape[1], image.shape[0]))
        rows = self._net.detect(image)[1]
        return np.zeros((0, 15), np.float32) if rows is None else rows


def _load(threshold):
    if opencv_compat.version() < (4, 8):  # earlier versions load the file but fail on the first image
        raise AgeGenderError(
            f"face detection needs OpenCV 4.8 or newer, this is {cv2.__version__}: "
            "pip install --upgrade opencv-python-headless"
        )
    _check()
    with opencv_compat.errors_only():  # OpenCV 5 warns about a setting that FaceDetectorYN itself makes
        return cv2.FaceDetectorYN.create(FILE, "", (320, 320), threshold, OVERLAP, MAX_BOXES)


def _check():
    """Raise an error if the net's file is missing or modified."""
    try:
        with open(FILE, "rb") as stream:
            content = stream.read()
    except OSError as error:
        advice = "reinstall caffe2ncs: pip install --force-reinstall --no-deps caffe2ncs"
        raise AgeGenderError(f"{FILE}: {error.strerror}; the face detector's net is missing; {advice}") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise AgeGenderError(f"{FILE}: not the face detector of this package (its SHA-256 differs from {SHA256})")
