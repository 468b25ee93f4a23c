"""Windows of pictures, as R-CNN trains on: the window file, and batches of warped windows
(window_data_layer.cpp).
"""

from __future__ import annotations

import dataclasses
import math
import os

import cv2
import numpy as np

from caffe.data.feed import Batch, Feed
from caffe.data.listfile import fault_text
from caffe.errors import CaffeError

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
        with open(source, encoding="utf-8", errors="surrogateescape") as stream:
            words = _Words(source, stream.read())
    except OSError as error:
        raise CaffeError("window file '%s': %s" % (source, error.strerror)) from None
    file, faults = WindowFile(source, [], [], []), []
    while words.left:
        _read_image(words, file, root, fg_threshold, bg_threshold, faults)
    if not file.images:
        faults.append("%s: the window file is empty" % source)
    if len({image[1] for image in file.images}) > 1:
        faults.append("%s: all pictures must have equally many channels" % source)
    if faults:
        raise CaffeError(fault_text(faults, "faulty window"))
    return file


class _Words:
    """The words of a file, and in which line each stands."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._words = [
            (word, number) for number, line in enumerate(text.split("\n"), 1) for word in line.split()
        ]
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._words)

    @property
    def place(self) -> str:
        number = self._words[min(self._at, len(self._words) - 1)][1] if self._words else 1
        return "%s:%d" % (self._source, number)

    def take(self, what: str, kind=str):
        if not self.left:
            raise CaffeError("%s: the file ends where %s is wanted" % (self.place, what))
        try:
            value = kind(self._words[self._at][0])
        except ValueError:
            raise CaffeError(
                "%s: %s is wanted, received '%s'" % (self.place, what, self._words[self._at][0])
            ) from None
        self._at += 1
        return value


def _number(text: str) -> int:
    return int(float(text))


def _read_image(words, file, root, fg_threshold, bg_threshold, faults):
    place = words.place
    if words.take("'# index'") != "#":
        raise CaffeError("%s: '# index' is wanted before each picture" % place)
    index = words.take("the picture's index", int)
    if index != len(file.images):
        raise CaffeError(
            "%s: picture %d is wanted here, received %d; they are numbered from 0"
            % (place, len(file.images), index)
        )
    path = root + words.take("the picture's path")
    size = tuple(words.take("the picture's %s" % what, int) for what in ("channels", "height", "width"))
    file.images.append((path, *size))
    for _ in range(words.take("the number of windows", int)):
        place = words.place
        label, overlap = words.take("a window's class", int), words.take("a window's overlap", float)
        box = tuple(words.take("a window's %s" % corner, _number) for corner in ("x1", "y1", "x2", "y2"))
        if overlap >= fg_threshold:
            if label <= 0:
                faults.append(
                    "%s: a foreground window (overlap %g) needs a class above 0, received %d"
                    % (place, overlap, label)
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
    box, image_size, crop: int, context_pad: int = 0, square: bool = False, mirror: bool = False
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


class WindowFeed(Feed):
    """Batches of windows: first the background share, then the foreground, drawn at random from (seed,
    position).
    """

    def __init__(
        self,
        file: WindowFile,
        batch_size: int,
        *,
        crop: int,
        mean=None,
        scale: float = 1.0,
        mirror: bool = False,
        fg_fraction: float = 0.25,
        context_pad: int = 0,
        square: bool = False,
        cache: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(file, batch_size, None, **kwargs)  # type: ignore[arg-type]
        self._crop, self._mean, self._scale, self._mirror = crop, mean, np.float32(scale), mirror
        self._context_pad, self._square = context_pad, square
        self._foreground = int(np.float32(batch_size) * np.float32(fg_fraction))
        self._files = [_bytes(image[0]) for image in file.images] if cache else None

    @property
    def shape(self):
        return (self.batch_size, self.db.images[0][1], self._crop, self._crop)

    def _start(self):
        self.db.at = lambda index: None  # windows are drawn, not read in order
        super()._start()

    def _batch(self, records, position, old):
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position])
        data = np.zeros(self.shape, np.float32) if old is None else old.data
        label = np.empty(self.batch_size, np.float32) if old is None else old.label
        data[...] = 0
        for index in range(self.batch_size):
            background = index < self.batch_size - self._foreground
            windows = self.db.background if background else self.db.foreground
            window = windows[rng.integers(len(windows))]
            self._put(window, self._mirror and bool(rng.integers(2)), data[index])
            label[index] = window.label
        return Batch(data, label)

    def _put(self, window: Window, mirror: bool, out: np.ndarray) -> None:
        """Warp one window into `out`, zeros of (C, crop, crop)."""
        picture = self._picture(window.image)
        warp = warp_of(window.box, picture.shape[:2], self._crop, self._context_pad, self._square, mirror)
        x1, y1, x2, y2 = warp.box
        cut = picture[y1 : y2 + 1, x1 : x2 + 1]
        if (
            min(x1, y1) < 0
            or cut.shape[:2] != (y2 - y1 + 1, x2 - x1 + 1)
            or not cut.size
            or min(warp.width, warp.height) < 1
        ):
            raise CaffeError(
                "window %s of '%s' does not lie in the picture of %dx%d"
                % (window.box, self.db.images[window.image][0], *picture.shape[:2])
            )
        cut = cv2.resize(cut, (warp.width, warp.height), interpolation=cv2.INTER_LINEAR)
        planes = (cut[:, ::-1] if mirror else cut).transpose(2, 0, 1).astype(np.float32)
        place = (
            slice(None),
            slice(warp.top, warp.top + warp.height),
            slice(warp.left, warp.left + warp.width),
        )
        if self._mean is not None:
            planes -= self._mean_window()[place]
        out[place] = planes * self._scale

    def _mean_window(self) -> np.ndarray:
        """The mean as (C, crop, crop): the middle of a mean image, as Caffe takes it, or one value a
        channel.
        """
        channels = self.db.images[0][1]
        if self._mean.ndim == 1:
            return np.broadcast_to(self._mean.reshape(-1, 1, 1), (channels, self._crop, self._crop))
        off = (self._mean.shape[2] - self._crop) // 2
        return self._mean[:, off : off + self._crop, off : off + self._crop]

    def _picture(self, number: int) -> np.ndarray:
        path = self.db.images[number][0]
        data = self._files[number] if self._files is not None else _bytes(path)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
        if picture is None:
            raise CaffeError("%s: '%s' is no picture that OpenCV can read" % (self.db.source, path))
        return picture


def _bytes(path: str) -> np.ndarray:
    try:
        return np.fromfile(os.fspath(path), np.uint8)
    except OSError as error:
        raise CaffeError("picture '%s': %s" % (path, error.strerror)) from None
