"""Classify one image and print the five best labels, as Caffe's examples/cpp_classification.

classification DEPLOY_PROTOTXT NETWORK_CAFFEMODEL MEAN_BINARYPROTO LABELS_TXT IMAGE: the image is resized to the net's
input, and the mean of each channel is subtracted. LABELS_TXT has one label per line.
"""

from __future__ import annotations

import argparse
from typing import Any

from caffe.errors import CaffeError

BEST = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("model", metavar="DEPLOY_PROTOTXT", help="net with one input and one output")
    parser.add_argument("weights", metavar="NETWORK_CAFFEMODEL", help="its weights")
    parser.add_argument("mean", metavar="MEAN_BINARYPROTO", help="mean image")
    parser.add_argument("labels", metavar="LABELS_TXT", help="one label per line, in the order of the outputs")
    parser.add_argument("image", metavar="IMAGE", help="image file")


def run(args: argparse.Namespace) -> None:
    """Classify the image and print `0.3134 - "n02123045 tabby, tabby cat"` lines."""
    import numpy as np

    net, labels = _net(args), _lines(args.labels)
    output = net.blobs[net.outputs[0]]
    if len(labels) != output.channels:
        raise CaffeError(
            f"{args.labels}: {len(labels)} labels, but output '{net.outputs[0]}' has {output.channels} channels "
            "(Number of labels is different from the output layer dimension)"
        )
    mean = _mean(args.mean, net.blobs[net.inputs[0]].channels)
    print(f"---------- Prediction for {args.image} ----------", flush=True)
    _fill(net, args.image, mean)
    net.forward()
    probabilities = output.data.reshape(-1)[: output.channels]
    for index in np.argsort(-probabilities, kind="stable")[:BEST]:
        print(f'{probabilities[index]:.4f} - "{labels[index]}"')


def _net(args):
    from caffe.net.net import Net
    from caffe.pycaffe import TEST

    net = Net(args.model, TEST)
    net.copy_from(args.weights)
    for kind, names in (("input", net.inputs), ("output", net.outputs)):
        if len(names) != 1:
            raise CaffeError(f"{args.model}: expected one {kind}, received {len(names)}: {', '.join(names) or 'none'}")
    blob = net.blobs[net.inputs[0]]
    if len(blob.shape) != 4 or blob.channels not in (1, 3):
        raise CaffeError(
            f"{args.model}: input '{net.inputs[0]}': expected 1 or 3 channels (N x C x H x W), received {blob.shape}"
        )
    blob.reshape(1, *blob.shape[1:])
    net.reshape()
    return net


def _lines(path):
    from caffe.utils.input_file import read_text

    try:
        return read_text(path, "surrogateescape").splitlines()
    except CaffeError as error:
        raise CaffeError(f"Unable to open labels file {error}") from None


def _mean(path, channels):
    from caffe.data.mean import read_mean

    mean = read_mean(path)
    if len(mean) != channels:
        raise CaffeError(f"{path}: a mean of {len(mean)} channels; the net's input has {channels}")
    return mean.mean((1, 2), dtype="float64")


def _fill(net: Any, path: str, mean: Any) -> Any:
    """Write the image, resized as OpenCV does and minus the mean of each channel, to the net's input."""
    import cv2
    import numpy as np

    from caffe.device.image_file import read_image

    blob = net.blobs[net.inputs[0]]
    channels, height, width = blob.shape[1:]
    image = read_image(path, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height))
    pixels = image.reshape(height, width, channels).astype(np.float32) - mean.astype(np.float32)
    blob.data[...] = pixels.transpose(2, 0, 1)
