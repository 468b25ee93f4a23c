"""Convolution by Fourier transforms of tiles, every transform written as products of small matrices.

A plane is cut into tiles of `step` x `step` results, each of which reads `step + kernel - 1` pixels a side. In the tile's
spectrum the convolution is a product of complex numbers for each frequency, summed over the channels: a third to a sixth
of the multiplications that the plane itself would take (Mathieu et al. 2014). A complex product takes three real ones
(Gauss): x enters as re + im, re, im and w as re, im - re, re + im. So a spectrum here is a real array of PLANES numbers a
frequency, frequencies (down, across, plane) on one axis. The frequencies down lie halfway between those of the common
transform: pixels are real, so that half of them say all, and none of these is its own mirror image, which would say it twice.
(What wraps around a tile's end then changes its sign; no result that is kept reads it.)
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
        """Frequencies down."""
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
        down, across = self.matrices.down.expand(count, -1, -1), self._expand(self.matrices.across, count)
        result = x.new_empty(*self.count, count * self.half, self.tile * PLANES, channels)
        for i, row in enumerate(result):
            lines = torch.bmm(down, x.narrow(1, i * self.step, self.tile).flatten(2))
            lines = lines.view(count * self.half, 2, -1, channels)
            for j, part in enumerate(row):
                tile = lines.narrow(2, j * self.step, self.tile)
                torch.bmm(across[..., : self.tile], tile[:, 0], out=part)
                part.baddbmm_(across[..., self.tile :], tile[:, 1])
        return result.view(-1, self.frequencies, channels)

    def weights_spectrum(self, weights):
        """Of kernels (O, I, kernel, kernel): (frequencies, O, I)."""
        taps = weights.permute(2, 3, 0, 1).reshape(self.kernel**2, -1)
        return (self.matrices.taps @ taps).view(-1, *weights.shape[:2])

    def top_spectrum(self, dy):
        """Of the result's derivative (N, H, W, C), so that `mix` gives those of bottom and weights."""
        (rows, columns), (height, width), channels = self.count, self.out, dy.shape[3]
        dy = F.pad(dy, (0, 0, 0, columns * self.step - width, 0, rows * self.step - height))
        tiles = dy.view(-1, rows, self.step, columns, self.step, channels).permute(1, 3, 0, 2, 4, 5)
        tiles = tiles.reshape(-1, self.step, self.step * channels)
        lines = torch.bmm(self.matrices.up.t().expand(len(tiles), -1, -1), tiles)
        lines = lines.view(-1, 2 * self.step, channels)
        spectrum = torch.bmm(self.matrices.back.t().expand(len(lines), -1, -1), lines)
        return spectrum.view(-1, self.frequencies, channels)

    # -- spectra to pixels -----------------------------------------------------------------------

    def top(self, spectrum, bias=None):
        """The result (N, H, W, C) whose spectrum this is, plus `bias` (C)."""
        channels, (rows, columns) = spectrum.shape[2], self.count
        lines = spectrum.view(-1, self.tile * PLANES, channels)
        lines = torch.bmm(self.matrices.back.expand(len(lines), -1, -1), lines)
        lines = lines.view(-1, 2 * self.half, self.step * channels)
        tiles = torch.bmm(self.matrices.up.expand(len(lines), -1, -1), lines)
        tiles = tiles.view(rows, columns, -1, self.step, self.step, channels).permute(2, 0, 3, 1, 4, 5)
        whole = spectrum.new_empty(len(tiles), rows * self.step, columns * self.step, channels)
        torch.add(tiles, 0 if bias is None else bias, out=whole.view(tiles.shape))
        return whole[:, : self.out[0], : self.out[1]].contiguous()

    def bottom(self, spectrum):
        """The bottom's derivative (N, H, W, C), given its spectrum: tiles are added where they overlap."""
        channels, (rows, columns) = spectrum.shape[2], self.count
        lines = spectrum.view(-1, self.tile * PLANES, channels)
        lines = torch.bmm(self.matrices.across.t().expand(len(lines), -1, -1), lines)
        lines = lines.view(rows, columns, -1, 2 * self.half, self.tile, channels)
        whole = [columns * self.step + self.kernel - 1, rows * self.step + self.kernel - 1]
        dx = lines.new_zeros(lines.shape[2], whole[1], whole[0], channels)
        for i, row in enumerate(lines):
            line = lines.new_zeros(len(dx), 2 * self.half, whole[0], channels)
            for j, tile in enumerate(row):
                line.narrow(2, j * self.step, self.tile).add_(tile)
            strip = torch.bmm(self.matrices.down.t().expand(len(dx), -1, -1), line.flatten(2))
            dx.narrow(1, i * self.step, self.tile).add_(strip.view(len(dx), self.tile, -1, channels))
        (top, left), (height, width) = self.pad, self.size
        return dx[:, top : top + height, left : left + width].contiguous()

    def weights(self, spectrum):
        """The derivative of the kernels (O, I, kernel, kernel), given its spectrum (frequencies, O, I)."""
        taps = self.matrices.taps.t() @ spectrum.flatten(1)
        return taps.view(self.kernel, self.kernel, *spectrum.shape[1:]).permute(2, 3, 0, 1).contiguous()

    def _margins(self, axis):
        """Zeros before and after `axis` of the plane."""
        whole = self.count[axis] * self.step + self.kernel - 1
        return self.pad[axis], whole - self.size[axis] - self.pad[axis]

    def _expand(self, matrix, count):
        return matrix.expand(count * self.half, -1, -1)


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
    """The linear maps of a tile along one axis; their transposes take derivatives back."""

    down: torch.Tensor  # 2 half x tile: pixels of a column to (frequency, re or im)
    across: torch.Tensor  # 3 tile x 2 tile: (re or im, column) to (frequency, plane)
    back: torch.Tensor  # 2 step x 3 tile: (frequency, plane of a product) to (re or im, column)
    up: torch.Tensor  # step x 2 half: (frequency, re or im) to pixels of a column
    taps: torch.Tensor  # 3 half tile x kernel^2: kernels to the conjugate of their spectrum


@functools.lru_cache(maxsize=64)
def matrices(tile, kernel):
    """The Matrices of tiles of `tile` and kernels of `kernel` pixels, computed in float64."""
    step, half = tile - kernel + 1, (tile + 1) // 2
    places, turn = np.arange(tile), -2j * np.pi / tile
    across, down = np.exp(turn * np.outer(places, places)), np.exp(turn * np.outer(places[:half] + 0.5, places))
    re, im = np.hstack([across.real, -across.imag]), np.hstack([across.imag, across.real])
    # The products a = w_re (x_re + x_im), b = x_re (w_im - w_re), c = x_im (w_re + w_im) give re = a - c, im = a + b.
    cos, sin = across[:step].real, -across[:step].imag
    back = [_in_turn(*(part.T for part in parts)).T for parts in ((cos - sin, -sin, -cos), (sin + cos, cos, -sin))]
    twice = np.where(2 * places[:half] + 1 == tile, 1, 2)[:, None] / tile**2  # the other half is this one's conjugate
    up = _in_turn(down[:, :step].real * twice, down[:, :step].imag * twice).T
    kernels = np.einsum("ai,bj->abij", down[:, :kernel], across[:, :kernel]).reshape(half * tile, -1).conj()
    taps = _in_turn(kernels.real, kernels.imag - kernels.real, kernels.real + kernels.imag)
    made = _in_turn(down.real, down.imag), _in_turn(re + im, re, im), np.vstack(back), up, taps
    return Matrices(*(torch.from_numpy(np.ascontiguousarray(matrix, np.float32)) for matrix in made))


def _in_turn(*parts):
    """The rows of `parts` in turn."""
    return np.stack(parts, 1).reshape(-1, parts[0].shape[1])
