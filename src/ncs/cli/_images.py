"""Images as the input of a blob, for the commands that simulate one: options and arrays."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from caffe.device.transform import Transform
    from ncs.runtime.manifest import Manifest
    from ncs.simulator import Simulator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the preprocessing, which a manifest replaces."""
    parser.add_argument("-S", dest="divisor", type=float, default=1.0, help="divisor after the mean (255 -> 0..1)")
    parser.add_argument("-M", dest="mean", help="mean: a number, B,G,R, .npy or .binaryproto")
    parser.add_argument(
        "-cs", dest="channels", default="2,1,0", choices=("2,1,0", "0,1,2"), help="2,1,0 BGR (default), 0,1,2 RGB"
    )


def open_simulator(args: argparse.Namespace) -> tuple[Simulator, Manifest | None]:
    """Return (Simulator, manifest or None) of a blob file or of a manifest that refers to one."""
    import os

    from ncs.runtime import base
    from ncs.runtime.manifest import Manifest
    from ncs.simulator import Simulator

    manifest = Manifest.read(args.blob) if args.blob.endswith(".json") else None
    path = base.Model.of(manifest).pick(("blob",)) if manifest else os.fspath(args.blob)
    return Simulator.from_file(path, getattr(args, "half", False)), manifest


def load_inputs(
    args: argparse.Namespace, simulator: Simulator, manifest: Manifest | None, image: str | None
) -> dict[str, np.ndarray]:
    """Return {input name: array} from an image, a .npy file with the preprocessed input or, for None, noise."""
    import numpy as np

    from ncs.errors import NcsError

    ports = simulator.program.inputs
    if image is None:
        random = np.random.default_rng(0)
        return {port.name: random.uniform(0, 255, simulator.shape(port)).astype(np.float32) for port in ports}
    if len(ports) > 1 and manifest is not None and not image.endswith(".npy"):
        pixels, transforms = _read_pixels(image), {port.name: port.transform for port in manifest.all_inputs()}
        return {
            port.name: np.repeat(transforms[port.name].image(pixels)[None], simulator.shape(port)[0], 0)
            for port in ports
        }
    if len(ports) != 1:
        raise NcsError(
            f"an image requires a blob with one input, received {len(ports)}: {', '.join(port.name for port in ports)}"
        )
    shape = simulator.shape(ports[0])
    if image.endswith(".npy"):
        return {ports[0].name: _load_array(image, shape)}
    return {ports[0].name: np.repeat(_transform(args, manifest, shape).image(_read_pixels(image))[None], shape[0], 0)}


def _load_array(path: str, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    from ncs.errors import NcsError

    array = read_numbers(path)
    if array.size != np.prod(shape):
        raise NcsError(
            f"{path}: expected {'x'.join(map(str, shape))} values, received {'x'.join(map(str, array.shape))}"
        )
    return array.reshape(shape)


def read_numbers(path: str) -> np.ndarray:
    """Return the array of numbers in a .npy file as float32; raises NcsError."""
    import numpy as np

    from caffe.errors import CaffeError
    from caffe.utils.npy_file import read_npy
    from ncs.errors import NcsError

    try:
        array = read_npy(path)
    except CaffeError as error:
        raise NcsError(str(error)) from None
    if array.dtype.kind not in "fiub":
        raise NcsError(f"{path}: expected numbers, received {array.dtype}")
    return array.astype(np.float32)


def _read_pixels(path: str) -> np.ndarray:
    import os

    import cv2

    from ncs.errors import NcsError

    pixels = cv2.imread(path, cv2.IMREAD_COLOR) if os.path.isfile(path) else None
    if pixels is None:
        raise NcsError(f"{path}: missing or not an image that OpenCV can read")
    return pixels


def _transform(args: argparse.Namespace, manifest: Manifest | None, shape: tuple[int, ...]) -> Transform:
    from caffe.device.transform import Transform
    from ncs.cli._net import parse_mean
    from ncs.errors import NcsError

    if manifest is not None:
        return manifest.transform
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise NcsError(f"the input of the blob, {'x'.join(map(str, shape))}, is not an image; use a .npy file")
    if not args.divisor:
        raise NcsError("-S: expected a divisor other than 0")
    order = "BGR" if args.channels == "2,1,0" else "RGB"
    mean = parse_mean(args.mean)
    return Transform(order=order, size=shape[2:], mean=mean, scale=1 / args.divisor, gray=shape[1] == 1)
