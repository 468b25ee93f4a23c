"""Detector: a Net that classifies windows of images, as in R-CNN (pycaffe's detector.py; Girshick et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

import numpy as np

from caffe import io
from caffe.classifier import make_transformer, preprocess_all
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.pycaffe import TEST


class Detector(Net):
    """Crops windows out of images, warps them to the net's input size and classifies them.

    Parameters
    ----------
    model_file : str
        Deploy prototxt.
    pretrained_file : str
        Caffemodel.
    mean, input_scale, raw_scale, channel_swap : optional
        Settings of caffe.io.Transformer.
    context_pad : int, optional
        Width in pixels of the border of the warped window that shows the window's surroundings. Pixels outside the
        image take the mean.
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows: Iterable[tuple[str, Iterable]]) -> list[dict]:
        """Classify windows of image files.

        Parameters
        ----------
        images_windows : iterable of (file name, windows)
            A window is (ymin, xmin, ymax, xmax) in pixels.

        Returns
        -------
        list of dict
            One per window: `window`, `prediction` (vector) and `filename`.
        """
        path_windows = [(path, window) for path, windows in images_windows for window in windows]
        if not path_windows:
            return []
        images = {}
        crops = []
        for path, window in path_windows:
            if path not in images:
                images = {path: io.load_image(path)}  # keep one image in memory at a time
            crops.append(self.crop(images[path], window))
        out = self.forward_all(**{self.inputs[0]: preprocess_all(self, self.transformer, crops)})
        predictions = out[self.outputs[0]]
        return [
            {"window": window, "prediction": prediction, "filename": path}
            for (path, window), prediction in zip(path_windows, predictions)
        ]

    def detect_selective_search(self, image_fnames: Iterable[str]) -> NoReturn:
        """Raise CaffeError: Caffe called a MATLAB program for selective search."""
        raise CaffeError(
            "selective search needs MATLAB and selective_search_ijcv_with_python, which this Caffe does not "
            "call; compute the windows another way (cv2.ximgproc of opencv-contrib has selective search) and pass "
            "them to detect_windows"
        )

    def crop(self, im: np.ndarray, window: Sequence[int]) -> np.ndarray:
        """Crop the window (ymin, xmin, ymax, xmax) out of an image (H, W, K), with context if context_pad is set."""
        box = np.asarray(window).astype(int)
        if not self.context_pad:
            crop = im[box[0] : box[2], box[1] : box[3]]
            if not crop.size:
                raise _outside(box, im)
            return crop
        return self._crop_with_context(im, box)

    def _crop_with_context(self, im, window):
        size = self.blobs[self.inputs[0]].width  # the input is a square
        half = (window[2:] - window[:2] + 1) / 2.0
        centre = window[:2] + half
        half = half * size / (size - (self.context_pad or 0) * 2.0)
        box = np.round(np.concatenate([centre - half, centre + half]))
        scale = size / (box[2:] - box[:2] + 1)
        pad = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        box = np.clip(box, 0, np.tile(im.shape[:2], 2))
        extent = np.minimum(np.round((box[2:] - box[:2] + 1) * scale).astype(int), size - pad)
        visible = im[int(box[0]) : int(box[2]), int(box[1]) : int(box[3])]
        if not visible.size or min(extent) < 1:
            raise _outside(window, im)
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[pad[0] : pad[0] + extent[0], pad[1] : pad[1] + extent[1]] = io.resize_image(visible, tuple(extent))
        return crop

    def configure_crop(self, context_pad: int | None) -> None:
        """Set the width of the context border, and the fill colour outside the image.

        The fill is the mean, converted to the layout and range of images before the Transformer.
        """
        name = self.inputs[0]
        order = self.transformer.transpose[name]
        inverse = [order[t] for t in order]
        self.crop_dims = np.array(self.blobs[name].shape[1:])[inverse]
        self.context_pad = context_pad
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if not context_pad:
            return
        if self.crop_dims[0] != self.crop_dims[1] or 2 * context_pad >= self.crop_dims[0]:
            raise CaffeError(
                f"context_pad {context_pad} needs a square input larger than twice the pad; this net's input is "
                f"{self.crop_dims[0]}x{self.crop_dims[1]}"
            )
        mean = self.transformer.mean.get(name)
        if mean is not None:
            mean = np.asarray(mean).transpose(inverse)
            swap = self.transformer.channel_swap.get(name)
            if swap is not None:
                mean = mean[:, :, np.argsort(swap)]
            self.crop_mean = mean / (self.transformer.raw_scale.get(name) or 1.0)


def _outside(window, image):
    height, width = image.shape[:2]
    return CaffeError(f"window {window.tolist()} is not inside the image of {height}x{width}")
