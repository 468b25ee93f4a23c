"""Classify images with a trained net and write class probabilities to an .npy file.

The input is an image, a folder of images or an .npy array of images (N, H, W, C), RGB in 0 .. 1. By default the
predictions of ten crops per image are averaged, as in Caffe's classify.py.
"""

from __future__ import annotations

import argparse
import glob
import os

from caffe.errors import CaffeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments; unlike Caffe, model and weights have no default."""
    parser.add_argument("input_file", help="image, folder or .npy")
    parser.add_argument("output_file", help=".npy file to write")
    parser.add_argument("--model_def", required=True, help="deploy prototxt")
    parser.add_argument("--pretrained_model", required=True, help="caffemodel")
    parser.add_argument("--gpu", action="store_true", help="run on the CUDA device")
    parser.add_argument("--center_only", action="store_true", help="use only the centre crop instead of ten crops")
    parser.add_argument("--images_dim", default="256,256", help="height,width to resize images to (default: 256,256)")
    parser.add_argument("--mean_file", default="", help=".npy or .binaryproto; its mean per channel is subtracted")
    parser.add_argument("--input_scale", type=float, help="factor applied after all other steps")
    parser.add_argument("--raw_scale", type=float, default=255.0, help="factor applied before the mean (default: 255)")
    parser.add_argument("--channel_swap", default="2,1,0", help="order of channels (default: 2,1,0: RGB to BGR)")
    parser.add_argument("--ext", default="jpg", help="file extension of the images in a folder (default: jpg)")


def run(args: argparse.Namespace) -> None:
    """Load the images, classify them, write the predictions."""
    import time

    import numpy as np

    import caffe
    from caffe.utils.atomic_io import atomic_write

    options = dict(
        image_dims=_numbers("--images_dim", args.images_dim, 2),
        mean=_mean(args.mean_file),
        input_scale=args.input_scale,
        raw_scale=args.raw_scale,
        channel_swap=_numbers("--channel_swap", args.channel_swap) if args.channel_swap else None,
    )
    (caffe.set_mode_gpu if args.gpu else caffe.set_mode_cpu)()
    print("GPU mode" if args.gpu else "CPU mode")
    classifier = caffe.Classifier(args.model_def, args.pretrained_model, **options)
    inputs = _inputs(os.path.expanduser(args.input_file), args.ext)
    print(f"Classifying {len(inputs)} inputs.")
    start = time.perf_counter()
    predictions = classifier.predict(inputs, not args.center_only)
    print("Done in %.2f s." % (time.perf_counter() - start))
    print(f"Saving results into {args.output_file}")
    path = args.output_file if args.output_file.endswith(".npy") else args.output_file + ".npy"
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.save(stream, predictions)


def _numbers(flag, text, count=None):
    words = text.split(",")
    if not all(word.strip().isdigit() for word in words) or (count and len(words) != count):
        expected = f"{count} integers" if count else "integers"
        raise CaffeError(f"{flag} expects {expected} separated by commas, received '{text}'")
    return [int(word) for word in words]


def _mean(path):
    if not path:
        return None
    from caffe.data.mean import read_mean

    return read_mean(path).mean((1, 2))


def _inputs(path, extension):
    """Load the images, each (H, W, C)."""
    from caffe import io

    if path.endswith("npy"):
        print(f"Loading file: {path}")
        return _array(path)
    if os.path.isdir(path):
        print(f"Loading folder: {path}")
        files = sorted(glob.glob(os.path.join(glob.escape(path), "*." + glob.escape(extension))))
        if not files:
            raise CaffeError(f"no image *.{extension} in folder '{path}'; select the file extension with --ext")
        return [io.load_image(file) for file in files]
    print(f"Loading file: {path}")
    return [io.load_image(path)]


def _array(path):
    from caffe.utils.npy_file import read_npy

    array = read_npy(path)
    if array.ndim != 4 or not len(array):
        raise CaffeError(f"'{path}' must contain images (N, H, W, C), received {array.shape}")
    return array
