"""Classifier: a Net that predicts class probabilities of images (pycaffe's classifier.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe import io
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.pycaffe import TEST


def make_transformer(
    net: Net,
    mean: np.ndarray | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """Return an io.Transformer for the first input of `net`: channels first, plus every setting that is not None."""
    name = _input_name(net)
    transformer = io.Transformer({name: net.blobs[name].shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


def _input_name(net):
    if not net.inputs:
        raise CaffeError("expected a deploy net, which starts with an Input layer; this net has no input")
    name = net.inputs[0]
    if len(net.blobs[name].shape) != 4:
        raise CaffeError(f"input '{name}' must be N x C x H x W, it has shape {net.blobs[name].shape}")
    return name


def preprocess_all(net: Net, transformer: io.Transformer, images: Iterable[np.ndarray]) -> np.ndarray:
    """Preprocess images (H, W, K) to a float32 batch (N, K, H', W') for the first input of `net`."""
    name = net.inputs[0]
    return np.stack([transformer.preprocess(name, image) for image in images]).astype(np.float32, copy=False)


class Classifier(Net):
    """Image classifier: resizes images, takes the centre crop or ten crops, and predicts class probabilities.

    Parameters
    ----------
    model_file : str
        Deploy prototxt.
    pretrained_file : str
        Caffemodel.
    image_dims : sequence of two ints, optional
        Height and width to resize images to before cropping; the size of the net's input by default.
    mean, input_scale, raw_scale, channel_swap : optional
        Settings of caffe.io.Transformer. caffe.io.load_image returns RGB in 0..1, so models trained on BGR in
        0..255 need raw_scale=255 and channel_swap=(2, 1, 0).
    """

    def __init__(
        self,
        model_file: str,
        pretrained_file: str,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims: Any = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims: Any = self.crop_dims if image_dims is None or not len(image_dims) else image_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Predict class probabilities of images.

        Parameters
        ----------
        inputs : sequence of N arrays (H, W, K)
            Images as caffe.io.load_image returns them.
        oversample : bool
            Average over ten crops (corners, centre and their mirror images) instead of using the centre crop only.

        Returns
        -------
        ndarray (N, C)
            Class probabilities.

        Raises
        ------
        CaffeError
            If `inputs` is empty.
        """
        if not len(inputs):
            raise CaffeError("predict needs at least one image")
        resized = np.stack([io.resize_image(image, self.image_dims) for image in inputs]).astype(np.float32, copy=False)
        crops = io.oversample(resized, self.crop_dims) if oversample else self._center_crops(resized)
        name = self.inputs[0]
        out = self.forward_all(**{name: preprocess_all(self, self.transformer, crops)})
        predictions = out[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape((len(predictions) // 10, 10, -1)).mean(1)
        return predictions

    def _center_crops(self, images):
        center = np.array(self.image_dims) / 2.0
        top, left = (center - self.crop_dims / 2.0).astype(int)
        bottom, right = (center + self.crop_dims / 2.0).astype(int)
        return images[:, top:bottom, left:right, :]
