"""Classify pictures with a trained net: class probabilities into an .npy file.

INPUT is a picture, a folder of pictures or an .npy of pictures (N, H, W, C) in 0 .. 1 RGB. By default ten
crops a picture are averaged, as Caffe's classify.py does.
"""

from __future__ import annotations

import glob
import os

from caffe.errors import CaffeError


def add_arguments(parser):
    """Caffe's arguments; model and weights have no default here."""
    parser.add_argument("input_file", help="picture, folder or .npy")
    parser.add_argument("output_file", help=".npy to write")
    parser.add_argument("--model_def", required=True, help="deploy prototxt")
    parser.add_argument("--pretrained_model", required=True, help="caffemodel")
    parser.add_argument("--gpu", action="store_true", help="run on the CUDA device")
    parser.add_argument("--center_only", action="store_true", help="the centre crop alone, no average of ten")
    parser.add_argument("--images_dim", default="256,256", help="height,width to scale pictures to (default: 256,256)")
    parser.add_argument("--mean_file", default="", help=".npy or .binaryproto; its mean a channel is subtracted")
    parser.add_argument("--input_scale", type=float, help="factor after all else")
    parser.add_argument("--raw_scale", type=float, default=255.0, help="factor before the mean (default: 255)")
    parser.add_argument("--channel_swap", default="2,1,0", help="order of channels (default: 2,1,0: RGB to BGR)")
    parser.add_argument("--ext", default="jpg", help="ending of the pictures in a folder (default: jpg)")


def run(args):
    """Read everything, classify, write."""
    import time

    import numpy as np

    import caffe
    from caffe.utils.atomic_io import atomic_write

    options = dict(
        image_dims=_numbers("--images_dim", args.images_dim, 2), mean=_mean(args.mean_file),
        input_scale=args.input_scale, raw_scale=args.raw_scale,
        channel_swap=_numbers("--channel_swap", args.channel_swap) if args.channel_swap else None,
    )  # fmt: skip
    (caffe.set_mode_gpu if args.gpu else caffe.set_mode_cpu)()
    print("GPU mode" if args.gpu else "CPU mode")
    classifier = caffe.Classifier(args.model_def, args.pretrained_model, **options)
    inputs = _inputs(os.path.expanduser(args.input_file), args.ext)
    print("Classifying %d inputs." % len(inputs))
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
        raise CaffeError(
            "{} takes {}numbers with commas between, received '{}'".format(flag, "%d " % count if count else "", text)
        )
    return [int(word) for word in words]


def _mean(path):
    if not path:
        return None
    from caffe.data.mean import read_mean

    return read_mean(path).mean((1, 2))


def _inputs(path, ending):
    """List of (H, W, C) pictures."""
    from caffe import io

    if path.endswith("npy"):
        print(f"Loading file: {path}")
        return _array(path)
    if os.path.isdir(path):
        print(f"Loading folder: {path}")
        files = sorted(glob.glob(os.path.join(glob.escape(path), "*." + glob.escape(ending))))
        if not files:
            raise CaffeError(f"no picture *.{ending} in folder '{path}'; --ext says the ending")
        return [io.load_image(file) for file in files]
    print(f"Loading file: {path}")
    return [io.load_image(path)]


def _array(path):
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CaffeError(f"'{path}' cannot be read as .npy: {error}") from None
    if array.ndim != 4 or not len(array):
        raise CaffeError(f"'{path}' must hold pictures (N, H, W, C), received {array.shape}")
    return array
