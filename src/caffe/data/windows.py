"""Windows of pictures, as R-CNN trains on: the window file, and where a window goes when it is warped."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from caffe.data.listfile import fault_text
from caffe.errors import CaffeError
from caffe.utils import input_file

SQUARE = "square"


@dataclasses.dataclass
class Window:
    """A box (both corners included) in picture number `image`, with its class and overlap with the truth."""

    image: int
    label: int
    overlap: float
    box: tuple[int, int, int, int]  # x1 y1 x2 y2


@dataclasses.dataclass
class WindowFile:
    """What a window file holds: pictures (path, channels, height, width), foreground and background
    windows.
    """

    source: str
    images: list[tuple[str, int, int, int]]
    foreground: list[Window]
    background: list[Window]


def read(source: str, fg_threshold: float, bg_threshold: float, root: str = "") -> WindowFile:
    """Read a window file: for each picture `# index`, path, channels, height, width, number of windows, then
    the windows as `class overlap x1 y1 x2 y2`.

    Overlap >= fg_threshold is foreground, < bg_threshold background (class 0), what lies between is left out.
    """
    try:
        words = _Words(source, input_file.read_text(source, "surrogateescape"))
    except CaffeError as error:
        raise CaffeError(f"window file {error}") from None
    file = WindowFile(source, [], [], [])
    faults: list[str] = []
    while words.left:
        _read_image(words, file, root, fg_threshold, bg_threshold, faults)
    if not file.images:
        faults.append(f"{source}: the window file is empty")
    if len({image[1] for image in file.images}) > 1:
        faults.append(f"{source}: all pictures must have equally many channels")
    if faults:
        raise CaffeError(fault_text(faults, "faulty window"))
    return file


class _Words:
    """The words of a file, and in which line each stands."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._words = [(word, number) for number, line in enumerate(text.split("\n"), 1) for word in line.split()]
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._words)

    @property
    def place(self) -> str:
        number = self._words[min(self._at, len(self._words) - 1)][1] if self._words else 1
        return "%s:%d" % (self._source, number)

    def take(self, what: str, kind: Callable[[str], Any] = str) -> Any:
        """The next word as `kind`; an error says where which `what` is wanted."""
        if not self.left:
            raise CaffeError(f"{self.place}: the file ends where {what} is wanted")
        try:
            value = kind(self._words[self._at][0])
        except ValueError:
            raise CaffeError(f"{self.place}: {what} is wanted, received '{self._words[self._at][0]}'") from None
        self._at += 1
        return value


def _number(text: str) -> int:
    return int(float(text))


def _read_image(
    words: _Words, file: WindowFile, root: str, fg_threshold: float, bg_threshold: float, faults: list[str]
) -> None:
    place = words.place
    if words.take("'# index'") != "#":
        raise CaffeError(f"{place}: '# index' is wanted before each picture")
    index = words.take("the picture's index", int)
    if index != len(file.images):
        raise CaffeError(
            "%s: picture %d is wanted here, received %d; they are numbered from 0" % (place, len(file.images), index)
        )
    path = root + words.take("the picture's path")
    size = tuple(words.take(f"the picture's {what}", int) for what in ("channels", "height", "width"))
    file.images.append((path, *size))
    for _ in range(words.take("the number of windows", int)):
        place = words.place
        label, overlap = words.take("a window's class", int), words.take("a window's overlap", float)
        box = tuple(words.take(f"a window's {corner}", _number) for corner in ("x1", "y1", "x2", "y2"))
        if overlap >= fg_threshold:
            if label <= 0:
                faults.append(
                    "%s: a foreground window (overlap %g) needs a class above 0, received %d" % (place, overlap, label)
                )
            file.foreground.append(Window(index, label, overlap, box))
        elif overlap < bg_threshold:
            file.background.append(Window(index, 0, 0.0, box))


def _round(value: float) -> int:
    """C's round: halves away from zero."""
    return int(math.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


@dataclasses.dataclass
class Warp:
    """What is cut out of a picture (x1 y1 x2 y2, included), and where it goes: top left corner and size in
    the crop.
    """

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
    """How `box` of a picture of `image_size` (height, width) fills a crop x crop square with context_pad
    pixels around it.

    What lies outside the picture stays empty; a mirrored window has its margins mirrored too.
    """
    x1, y1, x2, y2 = box
    if not (context_pad > 0 or square):
        return Warp((x1, y1, x2, y2), 0, 0, crop, crop)
    scale = crop / (crop - 2 * context_pad)
    half_height, half_width = (y2 - y1 + 1) / 2, (x2 - x1 + 1) / 2
    centre_x, centre_y = x1 + half_width, y1 + half_height
    if square:
        half_height = half_width = max(half_height, half_width)
    x1, x2 = _round(centre_x - half_width * scale), _round(centre_x + half_width * scale)
    y1, y2 = _round(centre_y - half_height * scale), _round(centre_y + half_height * scale)
    scale_x, scale_y = crop / (x2 - x1 + 1), crop / (y2 - y1 + 1)
    over = max(0, -x1), max(0, -y1), max(0, x2 - image_size[1] + 1), max(0, y2 - image_size[0] + 1)
    x1, y1, x2, y2 = x1 + over[0], y1 + over[1], x2 - over[2], y2 - over[3]
    width, height = _round((x2 - x1 + 1) * scale_x), _round((y2 - y1 + 1) * scale_y)
    left = _round(over[2 if mirror else 0] * scale_x)
    top = _round(over[1] * scale_y)
    return Warp((x1, y1, x2, y2), left, top, min(width, crop - left), min(height, crop - top))
