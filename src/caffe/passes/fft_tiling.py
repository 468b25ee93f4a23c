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

All arrays of pixels are float32 and N x H x W x C. A tile's pixels lead, (row, column, tile, channel), and so do the
frequencies of a spectrum, (frequency and group, tile, channel of the group), so that a transform is one large product of
matrices and what is done between transforms a batch of them::

    top = spectrum(x) @ weights_spectrum(w)^T      dx = top_spectrum(dy) @ weights_spectrum(w)
    dw = top_spectrum(dy)^T @ spectrum(x)
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch
import torch.nn.functional as F

PLANES = 3
AT_ONCE = 4096  # columns


@dataclasses.dataclass(frozen=True)
class Tiling:
    """Square kernels at stride 1 over planes of `size` (height, width) with `pad` zeros around, `step` results a tile.

    `step` must be at least `kernel` - 1, so that a tile overlaps its neighbours only.
    """

    kernel: int
    pad: tuple
    size: tuple
    step: int
    group: int = 1

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
        """Numbers a tile's spectrum has, of each channel."""
        return self.half * self.tile * PLANES

    @property
    def matrices(self):
        """See `matrices`."""
        return matrices(self.tile, self.kernel)

    # -- pixels to spectra -----------------------------------------------------------------------

    def spectrum(self, x):
        """Of the bottom `x` (N, H, W, C): (frequencies group, tiles, C / group)."""
        (top, bottom), (left, right) = self._margins(0), self._margins(1)
        x = F.pad(x, (0, 0, left, right, top, bottom))
        edge, part = self.tile, x.shape[3] // self.group
        picture, down, across, one = x.stride()
        tiles = x.as_strided(
            (edge, edge, self.group, *self.count, len(x), part),
            (down, across, part * one, self.step * down, self.step * across, picture, one),
        ).contiguous()
        waves = torch.bmm(self._all(self.matrices.row, edge), tiles.view(edge, edge, -1))
        return self._grouped(_product(self.matrices.column, waves.view(2 * edge, -1)), part)

    def weights_spectrum(self, weights):
        """Of kernels (O, I, kernel, kernel): (frequencies group, O / group, I)."""
        taps = weights.permute(2, 3, 0, 1).reshape(self.kernel**2, -1)
        return _product(self.matrices.taps, taps).view(-1, weights.shape[0] // self.group, weights.shape[1])

    def top_spectrum(self, dy):
        """Of the result's derivative (N, H, W, C): (frequencies group, tiles, C / group)."""
        (rows, columns), (height, width), step, part = self.count, self.out, self.step, dy.shape[3] // self.group
        dy = F.pad(dy, (0, 0, 0, columns * step - width, 0, rows * step - height))
        tiles = dy.view(-1, rows, step, columns, step, self.group, part).permute(2, 4, 5, 1, 3, 0, 6).contiguous()
        waves = torch.bmm(self._all(self.matrices.unrow.t(), step), tiles.view(step, step, -1))
        return self._grouped(_product(self.matrices.uncolumn.t(), waves.view(2 * step, -1)), part)

    # -- spectra to pixels -----------------------------------------------------------------------

    def top(self, spectrum, bias=None):
        """The result (N, H, W, C) whose spectrum this is, plus `bias` (C)."""
        step = self.step
        waves = self.matrices.uncolumn @ spectrum.view(PLANES * self.tile, -1)
        tiles = torch.bmm(self._all(self.matrices.unrow, step), waves.view(step, 2 * self.half, -1))
        tiles = self._placed(tiles, step, spectrum.shape[2])
        whole = torch.empty(tiles.shape)
        torch.add(tiles, 0 if bias is None else bias.view(self.group, -1), out=whole)
        return whole.flatten(5).flatten(3, 4).flatten(1, 2)[:, : self.out[0], : self.out[1]].contiguous()

    def bottom(self, spectrum):
        """The bottom's derivative (N, H, W, C), given its spectrum: tiles are added where they overlap."""
        edge, step, (rows, columns) = self.tile, self.step, self.count
        waves = self.matrices.column.t() @ spectrum.view(PLANES * edge, -1)
        tiles = torch.bmm(self._all(self.matrices.row.t(), edge), waves.view(edge, 2 * self.half, -1))
        tiles = self._placed(tiles, edge, spectrum.shape[2])
        dx = tiles.new_zeros(len(tiles), rows + 1, step, columns + 1, step, *tiles.shape[5:])
        over = edge - step
        dx[:, :rows, :, :columns] = tiles[:, :, :step, :, :step]
        dx[:, 1:, :over, :columns].add_(tiles[:, :, step:, :, :step])
        dx[:, :rows, :, 1:, :over].add_(tiles[:, :, :step, :, step:])
        dx[:, 1:, :over, 1:, :over].add_(tiles[:, :, step:, :, step:])
        (top, left), (height, width) = self.pad, self.size
        return dx.flatten(5).flatten(3, 4).flatten(1, 2)[:, top : top + height, left : left + width].contiguous()

    def weights(self, spectrum):
        """The derivative of the kernels (O, I, kernel, kernel), given its spectrum."""
        taps = self.matrices.taps.t() @ spectrum.view(self.frequencies, -1)
        return taps.view(self.kernel, self.kernel, -1, spectrum.shape[2]).permute(2, 3, 0, 1).contiguous()

    def _grouped(self, spectrum, channels):
        return spectrum.view(self.frequencies * self.group, -1, channels)

    def _placed(self, tiles, edge, channels):
        """(N, tile down, row, tile across, column, group, channel), a view of (row, column, group, tile down, …)."""
        tiles = tiles.view(edge, edge, self.group, *self.count, -1, channels)
        return tiles.permute(5, 3, 0, 4, 1, 2, 6)

    def _margins(self, axis):
        """Zeros before and after `axis` of the plane."""
        whole = self.count[axis] * self.step + self.kernel - 1
        return self.pad[axis], whole - self.size[axis] - self.pad[axis]

    @staticmethod
    def _all(matrix, count):
        return matrix.expand(count, -1, -1)


def _product(matrix, columns):
    """`matrix` @ `columns`; a thread of its own takes as many columns at once as the cache holds.

    With more threads each such piece would be a parallel section, and the wait at its end dearer than the cache.
    """
    if torch.get_num_threads() > 1:
        return matrix @ columns
    result = columns.new_empty(len(matrix), columns.shape[1])
    for part, target in zip(columns.split(AT_ONCE, 1), result.split(AT_ONCE, 1)):
        torch.mm(matrix, part, out=target)
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
    re_back, im_back = (
        _by_turns(*part).T for part in (((cos - sin).T, -sin.T, -cos.T), ((sin + cos).T, cos.T, -sin.T))
    )
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
