"""Convolution by Fourier transforms of tiles, every transform written as products of small matrices.

A plane is cut into tiles of `step` x `step` results, each of which reads `step + kernel - 1` pixels a side. In the tile's
spectrum the convolution is a product of complex numbers for each frequency, summed over the channels: a third to a sixth
of the multiplications that the plane itself would take (Mathieu et al. 2014). A complex product takes three real ones
(Gauss): x enters as re + im, re, im and w as re, im - re, re + im. So a spectrum here is a real array of PLANES numbers a
frequency, with (frequency down, plane, frequency across) on one axis.

Rows are transformed first. Their frequencies lie halfway between those of the common transform: pixels are real, so that
half of the frequencies say all, and none of these is its own mirror image, which would say it twice. (What wraps around
the end of a tile then changes its sign; no result that is kept reads it.)
Rounding errors are those of sums with fewer terms: smaller than the direct convolution's.

All arrays of pixels are float32 and N x H x W x C; a spectrum is tiles x frequencies x channels.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch
import torch.nn.functional as F

PLANES = 3


@dataclasses.dataclass(frozen=True)
class Tiling:
    """Square kernels at stride 1 over planes of `size` (height, width) with `pad` zeros around, `step` results a tile."""

    kernel: int
    pad: tuple
    size: tuple
    step: int

    @property
    def tile(self):
        """Pixels that a tile reads, each way."""
        return self.step + self.kernel - 1

    @property
    def out(self):
        """Height and width of the result."""
        return tuple(n + 2 * p - self.kernel + 1 for n, p in zip(self.size, self.pad))

    @property
    def count(self):
        """Tiles down and across."""
        return tuple(math.ceil(n / self.step) for n in self.out)

    @property
    def half(self):
        """Frequencies across."""
        return (self.tile + 1) // 2

    @property
    def frequencies(self):
        """The second axis of a spectrum."""
        return self.half * self.tile * PLANES

    @property
    def matrices(self):
        """See `matrices`."""
        return matrices(self.tile, self.kernel)

    # -- pixels to spectra -----------------------------------------------------------------------

    def spectrum(self, x):
        """Of the bottom `x` (N, H, W, C), tile by tile: (tiles N, frequencies, C)."""
        count, channels = len(x), x.shape[3]
        x = F.pad(x, (0, 0, *self._margins(1), *self._margins(0)))
        lines = x.flatten(0, 1)  # all rows of all pictures
        result = x.new_empty(*self.count, count, PLANES * self.tile, self.half * channels)
        for j in range(self.count[1]):
            waves = _each(self.matrices.row, lines.narrow(1, j * self.step, self.tile))
            waves = waves.view(count, -1, self.half * channels)  # (row, re or im), (frequency, channel)
            for i in range(self.count[0]):
                tile = waves.narrow(1, 2 * i * self.step, 2 * self.tile)
                _each(self.matrices.column, tile, out=result[i, j])
        return result.view(-1, self.frequencies, channels)

    def weights_spectrum(self, weights):
        """Of kernels (O, I, kernel, kernel): (frequencies, O, I)."""
        taps = weights.permute(2, 3, 0, 1).reshape(self.kernel**2, -1)
        return (self.matrices.taps @ taps).view(-1, *weights.shape[:2])

    def top_spectrum(self, dy):
        """Of the result's derivative (N, H, W, C), so that `mix_back` and `correlate` give those of bottom and weights."""
        (rows, columns), (height, width), channels = self.count, self.out, dy.shape[3]
        dy = F.pad(dy, (0, 0, 0, columns * self.step - width, 0, rows * self.step - height))
        tiles = dy.view(-1, rows, self.step, columns, self.step, channels).permute(1, 3, 0, 2, 4, 5)
        waves = _each(self.matrices.unrow.t(), tiles.reshape(-1, self.step, channels))
        waves = waves.view(-1, 2 * self.step, self.half * channels)
        return _each(self.matrices.uncolumn.t(), waves).view(-1, self.frequencies, channels)

    # -- spectra to pixels -----------------------------------------------------------------------

    def top(self, spectrum, bias=None):
        """The result (N, H, W, C) whose spectrum this is, plus `bias` (C)."""
        channels, (rows, columns) = spectrum.shape[2], self.count
        waves = _each(self.matrices.uncolumn, spectrum.view(len(spectrum), PLANES * self.tile, -1))
        tiles = _each(self.matrices.unrow, waves.view(-1, 2 * self.half, channels))
        tiles = tiles.view(rows, columns, -1, self.step, self.step, channels).permute(2, 0, 3, 1, 4, 5)
        whole = spectrum.new_empty(len(tiles), rows * self.step, columns * self.step, channels)
        torch.add(tiles, 0 if bias is None else bias, out=whole.view(tiles.shape))
        return whole[:, : self.out[0], : self.out[1]].contiguous()

    def bottom(self, spectrum):
        """The bottom's derivative (N, H, W, C), given its spectrum: tiles are added where they overlap."""
        channels, (rows, columns) = spectrum.shape[2], self.count
        waves = _each(self.matrices.column.t(), spectrum.view(len(spectrum), PLANES * self.tile, -1))
        waves = waves.view(rows, columns, -1, *waves.shape[1:])
        count, height, width = waves.shape[2], *(n * self.step + self.kernel - 1 for n in self.count)
        dx = waves.new_zeros(count * height, width, channels)
        for j in range(columns):
            lines = waves.new_zeros(count, 2 * height, waves.shape[4])
            for i in range(rows):
                lines.narrow(1, 2 * i * self.step, 2 * self.tile).add_(waves[i, j])
            pixels = _each(self.matrices.row.t(), lines.view(-1, 2 * self.half, channels))
            dx.narrow(1, j * self.step, self.tile).add_(pixels)
        top, left = self.pad
        return dx.view(count, height, width, channels)[:, top:, left:][:, : self.size[0], : self.size[1]].contiguous()

    def weights(self, spectrum):
        """The derivative of the kernels (O, I, kernel, kernel), given its spectrum (frequencies, O, I)."""
        taps = self.matrices.taps.t() @ spectrum.flatten(1)
        return taps.view(self.kernel, self.kernel, *spectrum.shape[1:]).permute(2, 3, 0, 1).contiguous()

    def _margins(self, axis):
        """Zeros before and after `axis` of the plane."""
        whole = self.count[axis] * self.step + self.kernel - 1
        return self.pad[axis], whole - self.size[axis] - self.pad[axis]


def _each(matrix, rows, out=None):
    """`matrix` times each of `rows` (batch, rows, columns)."""
    return torch.bmm(matrix.expand(len(rows), -1, -1), rows, out=out)


def mix(spectrum, weights, group=1):
    """Sum over the channels of each group: (tiles, f, g I) x (f, g O, I) -> (tiles, f, g O)."""
    parts = zip(spectrum.chunk(group, 2), weights.chunk(group, 1))
    result = spectrum.new_empty(*spectrum.shape[:2], weights.shape[1])
    for (source, kernels), part in zip(parts, result.chunk(group, 2)):
        torch.bmm(source.transpose(0, 1), kernels.transpose(1, 2), out=part.transpose(0, 1))
    return result


def mix_back(spectrum, weights, group=1):
    """The transpose of `mix`: (tiles, f, g O) x (f, g O, I) -> (tiles, f, g I)."""
    parts = zip(spectrum.chunk(group, 2), weights.chunk(group, 1))
    result = spectrum.new_empty(*spectrum.shape[:2], weights.shape[2] * group)
    for (source, kernels), part in zip(parts, result.chunk(group, 2)):
        torch.bmm(source.transpose(0, 1), kernels, out=part.transpose(0, 1))
    return result


def correlate(top, bottom, group=1):
    """Sum over the tiles: (tiles, f, g O) x (tiles, f, g I) -> (f, g O, I), the spectrum of the weights' derivative."""
    pairs = zip(top.permute(1, 2, 0).chunk(group, 1), bottom.transpose(0, 1).chunk(group, 2))
    result = top.new_empty(top.shape[1], top.shape[2], bottom.shape[2] // group)
    for pair, part in zip(pairs, result.chunk(group, 1)):
        torch.bmm(*pair, out=part)
    return result


@dataclasses.dataclass(frozen=True)
class Matrices:
    """The linear maps of a tile; their transposes take derivatives back."""

    row: torch.Tensor  # 2 half x tile: pixels of a row to (re or im, frequency)
    column: torch.Tensor  # 3 tile x 2 tile: (row, re or im) to (frequency, plane)
    uncolumn: torch.Tensor  # 2 step x 3 tile: (frequency, plane of a product) to (row, re or im)
    unrow: torch.Tensor  # step x 2 half: (re or im, frequency) to pixels of a row
    taps: torch.Tensor  # 3 tile half x kernel^2: kernels to (frequency down, plane, frequency across), conjugate


@functools.lru_cache(maxsize=64)
def matrices(tile, kernel):
    """The Matrices of tiles of `tile` and kernels of `kernel` pixels, computed in float64."""
    step, half = tile - kernel + 1, (tile + 1) // 2
    places, turn = np.arange(tile), -2j * np.pi / tile
    down, across = np.exp(turn * np.outer(places, places)), np.exp(turn * np.outer(places[:half] + 0.5, places))
    re, im = _by_turns(down.real.T, -down.imag.T).T, _by_turns(down.imag.T, down.real.T).T
    # The products a = w_re (x_re + x_im), b = x_re (w_im - w_re), c = x_im (w_re + w_im) give re = a - c, im = a + b.
    cos, sin = down[:step].real, -down[:step].imag
    re_back, im_back = (_by_turns(*part).T for part in (((cos - sin).T, -sin.T, -cos.T), ((sin + cos).T, cos.T, -sin.T)))
    twice = np.where(2 * places[:half] + 1 == tile, 1, 2)[:, None] / tile**2  # the other half is this one's conjugate
    unrow = np.vstack([across[:, :step].real * twice, across[:, :step].imag * twice]).T
    kernels = np.einsum("ai,bj->abij", down[:, :kernel], across[:, :kernel]).conj()
    planes = np.stack([kernels.real, kernels.imag - kernels.real, kernels.real + kernels.imag], 1)
    made = (
        np.vstack([across.real, across.imag]), _by_turns(re + im, re, im), _by_turns(re_back, im_back), unrow,
        planes.reshape(-1, kernel**2),
    )  # fmt: skip
    return Matrices(*(torch.from_numpy(np.ascontiguousarray(matrix, np.float32)) for matrix in made))


def _by_turns(*parts):
    """A row of each of `parts`, then the next of each."""
    return np.stack(parts, 1).reshape(-1, parts[0].shape[1])
