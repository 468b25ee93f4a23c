"""Image windows for training R-CNN: the window file, and the geometry of a warped window."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from caffe.data.listfile import error_text
from caffe.errors import CaffeError
from caffe.utils import input_file

SQUARE = "square"


@dataclasses.dataclass
class Window:
    """A box (inclusive corners) in image number `image`, with its class and overlap with the ground truth."""

    image: int
    label: int
    overlap: float
    box: tuple[int, int, int, int]  # x1 y1 x2 y2


@dataclasses.dataclass
class WindowFile:
    """Contents of a window file: images (path, channels, height, width), foreground and background windows."""

    source: str
    images: list[tuple[str, int, int, int]]
    foreground: list[Window]
    background: list[Window]


def read(source: str, fg_threshold: float, bg_threshold: float, root: str = "") -> WindowFile:
    """Read a window file.

    Each image is `# index`, path, channels, height, width, number of windows, then one
    `class overlap x1 y1 x2 y2` per window. Windows with overlap >= fg_threshold are foreground, with
    overlap < bg_threshold background (class 0); the rest is ignored.
    """
    try:
        tokens = _Tokens(source, input_file.read_text(source, "surrogateescape"))
    except CaffeError as error:
        raise CaffeError(f"window file {error}") from None
    file = WindowFile(source, [], [], [])
    errors: list[str] = []
    while tokens.remaining:
        _read_image(tokens, file, root, fg_threshold, bg_threshold, errors)
    if not file.images:
        errors.append(f"{source}: the window file is empty")
    if len({image[1] for image in file.images}) > 1:
        errors.append(f"{source}: all images must have the same number of channels")
    if errors:
        raise CaffeError(error_text(errors, "invalid window"))
    return file


class _Tokens:
    """The tokens of a file with their line numbers."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._tokens = [(token, number) for number, line in enumerate(text.split("\n"), 1) for token in line.split()]
        self._at = 0

    @property
    def remaining(self) -> bool:
        return self._at < len(self._tokens)

    @property
    def location(self) -> str:
        number = self._tokens[min(self._at, len(self._tokens) - 1)][1] if self._tokens else 1
        return f"{self._source}:{number}"

    def take(self, description: str, convert: Callable[[str], Any] = str) -> Any:
        """Return the next token, converted; `description` says in errors what was expected."""
        if not self.remaining:
            raise CaffeError(f"{self.location}: expected {description}, reached the end of the file")
        token = self._tokens[self._at][0]
        try:
            value = convert(token)
        except ValueError:
            raise CaffeError(f"{self.location}: expected {description}, received '{token}'") from None
        self._at += 1
        return value


def _coordinate(text: str) -> int:
    return int(float(text))


def _read_image(
    tokens: _Tokens, file: WindowFile, root: str, fg_threshold: float, bg_threshold: float, errors: list[str]
) -> None:
    location = tokens.location
    if tokens.take("'# index'") != "#":
        raise CaffeError(f"{location}: expected '# index' before each image")
    index = tokens.take("the image's index", int)
    if index != len(file.images):
        raise CaffeError(f"{location}: expected image {len(file.images)}, received {index}; images are numbered from 0")
    path = root + tokens.take("the image's path")
    size = tuple(tokens.take(f"the image's {field}", int) for field in ("channels", "height", "width"))
    file.images.append((path, *size))
    for _ in range(tokens.take("the number of windows", int)):
        location = tokens.location
        label, overlap = tokens.take("a window's class", int), tokens.take("a window's overlap", float)
        box = tuple(tokens.take(f"a window's {corner}", _coordinate) for corner in ("x1", "y1", "x2", "y2"))
        if overlap >= fg_threshold:
            if label <= 0:
                errors.append(
                    f"{location}: a foreground window (overlap {overlap:g}) needs a class above 0, received {label}"
                )
            file.foreground.append(Window(index, label, overlap, box))
        elif overlap < bg_threshold:
            file.background.append(Window(index, 0, 0.0, box))


def _round(value: float) -> int:
    """Round half away from zero, as C's round."""
    return int(math.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


@dataclasses.dataclass
class Warp:
    """The box cut out of an image (x1 y1 x2 y2, inclusive), and its top left corner and size in the crop."""

    box: tuple[int, int, int, int]
    left: int
    top: int
    width: int
    height: int


def warp_of(
    box: tuple[int, int, int, int],
    image_size: tuple[int, ...],
    crop: int,
    context_pad: int = 0,
    square: bool = False,
    mirror: bool = False,
) -> Warp:
    """Compute how `box` of an image fills a crop x crop square with a border of `context_pad` pixels.

    The part outside the image stays empty. The borders of a mirrored window are mirrored too.
    """
    x1, y1, x2, y2 = box
    if not (context_pad > 0 or square):
        return Warp((x1, y1, x2, y2), 0, 0, crop, crop)
    scale = crop / (crop - 2 * context_pad)
    half_height, half_width = (y2 - y1 + 1) / 2, (x2 - x1 + 1) / 2
    center_x, center_y = x1 + half_width, y1 + half_height
    if square:
        half_height = half_width = max(half_height, half_width)
    x1, x2 = _round(center_x - half_width * scale), _round(center_x + half_width * scale)
    y1, y2 = _round(center_y - half_height * scale), _round(center_y + half_height * scale)
    scale_x, scale_y = crop / (x2 - x1 + 1), crop / (y2 - y1 + 1)
    outside = max(0, -x1), max(0, -y1), max(0, x2 - image_size[1] + 1), max(0, y2 - image_size[0] + 1)
    x1, y1, x2, y2 = x1 + outside[0], y1 + outside[1], x2 - outside[2], y2 - outside[3]
    width, height = _round((x2 - x1 + 1) * scale_x), _round((y2 - y1 + 1) * scale_y)
    left = _round(outside[2 if mirror else 0] * scale_x)
    top = _round(outside[1] * scale_y)
    return Warp((x1, y1, x2, y2), left, top, min(width, crop - left), min(height, crop - top))
