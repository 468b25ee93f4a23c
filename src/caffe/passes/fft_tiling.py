"""Convolution by Fourier transforms of tiles, with every transform written as products of small matrices.

A plane is split into tiles of `step` x `step` results; each tile reads `step + kernel - 1` pixels per side. In the
spectrum of a tile the convolution is one complex product per frequency, summed over the channels. This takes a third
to a sixth of the multiplications of the direct convolution (Mathieu et al. 2014). A complex product takes three real
ones (Gauss): x is stored as re + im, re, im and w as re, im - re, re + im. A spectrum is therefore a real array of
PLANES numbers per frequency, with (vertical frequency, plane, horizontal frequency) on one axis.

Rows are transformed first, at frequencies halfway between those of the usual transform: pixels are real, so half of
the frequencies suffice, and with this offset none is its own conjugate, which would be stored twice. (Values that wrap
around the end of a tile change their sign; no result that is kept reads them.) Rounding errors are smaller than those
of the direct convolution, since the sums have fewer terms.

All pixel arrays are float32 and N x H x W x C. The pixels of a tile are the leading axes, (row, column, tile, channel),
and so are the frequencies of a spectrum, (frequency and group, tile, channel of the group). A transform is thus one
large matrix product, and the step between transforms a batch of matrix products::

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
BLOCK_COLUMNS = 4096  # columns per product on one thread, so that a block stays in the cache


@dataclasses.dataclass(frozen=True)
class Tiling:
    """Tiling of a convolution with square kernels and stride 1.

    Parameters
    ----------
    kernel : int
        Side of the kernel.
    pad, size : tuple of int
        Zeros around the plane, and its height and width.
    step : int
        Results per tile and axis, at least `kernel` - 1, so that a tile overlaps only its neighbours.
    group : int
        Number of groups.
    """

    kernel: int
    pad: tuple
    size: tuple
    step: int
    group: int = 1

    @property
    def tile(self) -> int:
        """Pixels that a tile reads per axis."""
        return self.step + self.kernel - 1

    @property
    def out(self) -> tuple[int, ...]:
        """Height and width of the result."""
        return tuple(n + 2 * p - self.kernel + 1 for n, p in zip(self.size, self.pad))

    @property
    def count(self) -> tuple[int, ...]:
        """Number of tiles vertically and horizontally."""
        return tuple(math.ceil(n / self.step) for n in self.out)

    @property
    def half(self) -> int:
        """Number of horizontal frequencies."""
        return (self.tile + 1) // 2

    @property
    def frequencies(self) -> int:
        """Numbers per channel in the spectrum of a tile."""
        return self.half * self.tile * PLANES

    @property
    def matrices(self) -> Matrices:
        """The transform matrices of this tile and kernel size."""
        return matrices(self.tile, self.kernel)

    # -- pixels to spectra -----------------------------------------------------------------------

    def spectrum(self, x: torch.Tensor) -> torch.Tensor:
        """Return the spectrum (frequencies group, tiles, C / group) of the bottom `x` (N, H, W, C)."""
        (top, bottom), (left, right) = self._margins(0), self._margins(1)
        x = _pad(x, left, right, top, bottom)
        edge, channels_per_group = self.tile, x.shape[3] // self.group
        image, down, across, one = x.stride()
        tiles = x.as_strided(
            (edge, edge, self.group, *self.count, len(x), channels_per_group),
            (down, across, channels_per_group * one, self.step * down, self.step * across, image, one),
        ).contiguous()
        del x
        waves = torch.bmm(self._expand(self.matrices.row, edge), tiles.view(edge, edge, -1))
        del tiles
        return self._grouped(_product(self.matrices.column, waves.view(2 * edge, -1)), channels_per_group)

    def weights_spectrum(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the spectrum (frequencies group, O / group, I) of kernels (O, I, kernel, kernel)."""
        taps = weights.permute(2, 3, 0, 1).reshape(self.kernel**2, -1)
        return _product(self.matrices.taps, taps).view(-1, weights.shape[0] // self.group, weights.shape[1])

    def top_spectrum(self, dy: torch.Tensor) -> torch.Tensor:
        """Return the spectrum (frequencies group, tiles, C / group) of the top's gradient (N, H, W, C)."""
        (rows, columns), (height, width), step, channels_per_group = (
            self.count,
            self.out,
            self.step,
            dy.shape[3] // self.group,
        )
        dy = _pad(dy, 0, columns * step - width, 0, rows * step - height)
        tiles = (
            dy.view(-1, rows, step, columns, step, self.group, channels_per_group)
            .permute(2, 4, 5, 1, 3, 0, 6)
            .contiguous()
        )
        del dy
        waves = torch.bmm(self._expand(self.matrices.unrow.t(), step), tiles.view(step, step, -1))
        del tiles
        return self._grouped(_product(self.matrices.uncolumn.t(), waves.view(2 * step, -1)), channels_per_group)

    # -- spectra to pixels -----------------------------------------------------------------------
    # In two steps, because a spectrum is the largest array: it can be freed between them.

    def top_waves(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the rows, not yet transformed back, of a spectrum of the top."""
        waves = self.matrices.uncolumn @ spectrum.view(PLANES * self.tile, -1)
        return waves.view(-1, *spectrum.shape[1:])

    def top(self, waves: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Return the top (N, H, W, C) of its `top_waves`, plus `bias` (C)."""
        step, channels = self.step, waves.shape[2]
        tiles = torch.bmm(self._expand(self.matrices.unrow, step), waves.view(step, 2 * self.half, -1))
        tiles = self._to_planes(tiles, step, channels)
        whole = torch.empty(tiles.shape)
        torch.add(tiles, 0 if bias is None else bias.view(self.group, -1), out=whole)
        del tiles
        return whole.flatten(5).flatten(3, 4).flatten(1, 2)[:, : self.out[0], : self.out[1]].contiguous()

    def bottom_waves(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the rows, not yet transformed back, of a spectrum of the bottom's gradient."""
        waves = self.matrices.column.t() @ spectrum.view(PLANES * self.tile, -1)
        return waves.view(-1, *spectrum.shape[1:])

    def bottom(self, waves: torch.Tensor) -> torch.Tensor:
        """Return the bottom's gradient (N, H, W, C) of its `bottom_waves`; overlapping tiles are added."""
        edge, step, (rows, columns), channels = self.tile, self.step, self.count, waves.shape[2]
        tiles = torch.bmm(self._expand(self.matrices.row.t(), edge), waves.view(edge, 2 * self.half, -1))
        tiles = self._to_planes(tiles, edge, channels)
        dx = tiles.new_zeros(len(tiles), rows + 1, step, columns + 1, step, *tiles.shape[5:])
        over = edge - step
        dx[:, :rows, :, :columns] = tiles[:, :, :step, :, :step]
        dx[:, 1:, :over, :columns].add_(tiles[:, :, step:, :, :step])
        dx[:, :rows, :, 1:, :over].add_(tiles[:, :, :step, :, step:])
        dx[:, 1:, :over, 1:, :over].add_(tiles[:, :, step:, :, step:])
        del tiles
        (top, left), (height, width) = self.pad, self.size
        return dx.flatten(5).flatten(3, 4).flatten(1, 2)[:, top : top + height, left : left + width].contiguous()

    def weights(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the kernels (O, I, kernel, kernel) of its spectrum."""
        taps = self.matrices.taps.t() @ spectrum.view(self.frequencies, -1)
        return taps.view(self.kernel, self.kernel, -1, spectrum.shape[2]).permute(2, 3, 0, 1).contiguous()

    def _grouped(self, spectrum, channels):
        return spectrum.view(self.frequencies * self.group, -1, channels)

    def _to_planes(self, tiles, edge, channels):
        """Return `tiles` as a view (N, vertical tile, row, horizontal tile, column, group, channel)."""
        tiles = tiles.view(edge, edge, self.group, *self.count, -1, channels)
        return tiles.permute(5, 3, 0, 4, 1, 2, 6)

    def _margins(self, axis):
        """Return the number of zeros before and after `axis` of the plane."""
        whole = self.count[axis] * self.step + self.kernel - 1
        return self.pad[axis], whole - self.size[axis] - self.pad[axis]

    @staticmethod
    def _expand(matrix, count):
        return matrix.expand(count, -1, -1)


def _pad(x, left, right, top, bottom):
    """Return `x` (N, H, W, C) with zeros around its planes; F.pad copies it even if there are none."""
    margins = (0, 0, left, right, top, bottom)
    return F.pad(x, margins) if any(margins) else x


def _product(matrix, columns):
    """Return `matrix` @ `columns`; a single thread works on blocks that stay in the cache.

    With several threads every block would be a parallel section, and waiting at its end costs more than cache misses.
    """
    if torch.get_num_threads() > 1:
        return matrix @ columns
    result = columns.new_empty(len(matrix), columns.shape[1])
    for block, target in zip(columns.split(BLOCK_COLUMNS, 1), result.split(BLOCK_COLUMNS, 1)):
        torch.mm(matrix, block, out=target)
    return result


@dataclasses.dataclass(frozen=True)
class Matrices:
    """The linear maps of a tile; their transposes backpropagate gradients."""

    row: torch.Tensor  # 2 half x tile: pixels of a row to (re or im, frequency)
    column: torch.Tensor  # 3 tile x 2 tile: (row, re or im) to (frequency, plane)
    uncolumn: torch.Tensor  # 2 step x 3 tile: (frequency, plane of a product) to (row, re or im)
    unrow: torch.Tensor  # step x 2 half: (re or im, frequency) to pixels of a row
    taps: torch.Tensor  # 3 tile half x kernel^2: kernels to (vertical, plane, horizontal frequency), conjugate


@functools.lru_cache(maxsize=64)
def matrices(tile: int, kernel: int) -> Matrices:
    """Return the Matrices for tiles of `tile` and kernels of `kernel` pixels per side, computed in float64."""
    step, half = tile - kernel + 1, (tile + 1) // 2
    n, turn = np.arange(tile), -2j * np.pi / tile
    down, across = np.exp(turn * np.outer(n, n)), np.exp(turn * np.outer(n[:half] + 0.5, n))
    re, im = _interleave(down.real.T, -down.imag.T).T, _interleave(down.imag.T, down.real.T).T
    # The products a = w_re (x_re + x_im), b = x_re (w_im - w_re), c = x_im (w_re + w_im) give re = a - c, im = a + b.
    cos, sin = down[:step].real, -down[:step].imag
    re_back, im_back = (
        _interleave(*parts).T for parts in (((cos - sin).T, -sin.T, -cos.T), ((sin + cos).T, cos.T, -sin.T))
    )
    twice = np.where(2 * n[:half] + 1 == tile, 1, 2)[:, None] / tile**2  # the other half is the conjugate
    unrow = np.vstack([across[:, :step].real * twice, across[:, :step].imag * twice]).T
    kernels = np.einsum("ai,bj->abij", down[:, :kernel], across[:, :kernel]).conj()
    planes = np.stack([kernels.real, kernels.imag - kernels.real, kernels.real + kernels.imag], 1)
    arrays = (
        np.vstack([across.real, across.imag]),
        _interleave(re + im, re, im),
        _interleave(re_back, im_back),
        unrow,
        planes.reshape(-1, kernel**2),
    )
    return Matrices(*(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in arrays))


def _interleave(*parts):
    """Interleave the rows of `parts`."""
    return np.stack(parts, 1).reshape(-1, parts[0].shape[1])
