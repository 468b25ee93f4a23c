"""Classifier: a Net that takes pictures and gives class probabilities (pycaffe's classifier.py)."""

from __future__ import annotations

import numpy as np

from caffe import io
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.pycaffe import TEST


def make_transformer(net, mean, input_scale, raw_scale, channel_swap):
    """io.Transformer for the first input of `net`: channels first, and what is not None of the others."""
    name = _input_of(net)
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


def _input_of(net):
    if not net.inputs:
        raise CaffeError("a deploy net is wanted, one that begins with an Input layer; this net has no input")
    name = net.inputs[0]
    if len(net.blobs[name].shape) != 4:
        raise CaffeError(f"input '{name}' must be N x C x H x W, it has shape {net.blobs[name].shape}")
    return name


def preprocess_all(net, transformer, images):
    """Pictures (H, W, K) -> float32 (N, K, H', W') for the first input of `net`."""
    name = net.inputs[0]
    return np.stack([transformer.preprocess(name, image) for image in images]).astype(np.float32, copy=False)


class Classifier(Net):
    """Scales pictures to `image_dims` (height, width; the net's input by default), takes the centre or ten
    crops, classifies.

    `mean`, `input_scale`, `raw_scale` and `channel_swap` are those of caffe.io.Transformer. Models trained on
    0..255 BGR want raw_scale=255 and channel_swap=(2, 1, 0), since pictures come as 0..1 RGB from
    caffe.io.load_image.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        image_dims=None,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
    ):
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None or not len(image_dims) else image_dims

    def predict(self, inputs, oversample=True):
        """Class probabilities (N, C) of N pictures (H, W, K).

        `oversample` averages over the corners, the centre and their mirror images; otherwise the centre alone
        counts.
        """
        if not len(inputs):
            raise CaffeError("predict needs at least one picture")
        scaled = np.stack([io.resize_image(image, self.image_dims) for image in inputs]).astype(np.float32, copy=False)
        crops = io.oversample(scaled, self.crop_dims) if oversample else self._centre(scaled)
        name = self.inputs[0]
        out = self.forward_all(**{name: preprocess_all(self, self.transformer, crops)})
        predictions = out[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape((len(predictions) // 10, 10, -1)).mean(1)
        return predictions

    def _centre(self, images):
        middle = np.array(self.image_dims) / 2.0
        top, left = (middle - self.crop_dims / 2.0).astype(int)
        bottom, right = (middle + self.crop_dims / 2.0).astype(int)
        return images[:, top:bottom, left:right, :]
