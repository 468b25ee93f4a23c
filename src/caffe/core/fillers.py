"""Caffe's weight fillers (filler.hpp), simplest first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError


def constant(param: Any, weights: Any, generator: Any) -> None:
    """Set every weight to `value`."""
    weights.fill_(param.value)


def uniform(param: Any, weights: Any, generator: Any) -> None:
    """Draw from Uniform(min, max)."""
    weights.uniform_(param.min, param.max, generator=generator)


def gaussian(param: Any, weights: Any, generator: Any) -> None:
    """Draw from Normal(mean, std); `sparse` >= 0 keeps about that many non-zero inputs per output."""
    weights.normal_(param.mean, param.std, generator=generator)
    if param.sparse >= 0:
        outputs = weights.shape[0]  # num_outputs is axis 0, as in Caffe
        weights.mul_(torch.empty_like(weights).bernoulli_(param.sparse / outputs, generator=generator))


def positive_unitball(param: Any, weights: Any, generator: Any) -> None:
    """Draw from Uniform(0, 1), then divide the weights of each output by their sum."""
    weights.uniform_(0, 1, generator=generator)
    rows = weights.view(weights.shape[0], -1)
    rows.div_(rows.sum(1, keepdim=True))


def gaussian_unitball(param: Any, weights: Any, generator: Any) -> None:
    """Fill with N(0, 1), then divide every row by its length (caffe-windows)."""
    weights.normal_(0, 1, generator=generator)
    rows = weights.view(len(weights), -1)
    rows /= (rows.square().sum(1, keepdim=True) + 1e-12).sqrt()


def _fan(param, shape):
    count = math.prod(shape)
    if not count:
        raise CaffeError(f"xavier and msra need at least one weight, received shape {tuple(shape)}")
    fan_in = count // shape[0] if shape else 1
    fan_out = count // shape[1] if len(shape) > 1 else count
    norm = param.variance_norm
    return {0: fan_in, 1: fan_out, 2: (fan_in + fan_out) / 2.0}[norm]


def xavier(param: Any, weights: Any, generator: Any) -> None:
    """Draw from Uniform(+-sqrt(3 / fan)) (Glorot & Bengio 2010); `variance_norm` selects the fan."""
    scale = math.sqrt(3.0 / _fan(param, weights.shape))
    weights.uniform_(-scale, scale, generator=generator)


def msra(param: Any, weights: Any, generator: Any) -> None:
    """Draw from Normal(0, sqrt(2 / fan)) (He et al. 2015); `variance_norm` selects the fan."""
    weights.normal_(0, math.sqrt(2.0 / _fan(param, weights.shape)), generator=generator)


def bilinear(param: Any, weights: Any, generator: Any) -> None:
    """Fill every channel with the bilinear interpolation kernel, for Deconvolution; needs square 4-D weights."""
    size = weights.shape[-1]
    factor = (size + 1) // 2
    centre = (size - 1) / (2.0 * factor)
    ramp = 1 - (torch.arange(size, dtype=torch.float64) / factor - centre).abs()
    weights.copy_((ramp[:, None] * ramp[None, :]).expand(weights.shape))


FILLERS = {
    f.__name__: f for f in (constant, uniform, gaussian, positive_unitball, gaussian_unitball, xavier, msra, bilinear)
}


def _check_numbers(param, fill, shape):
    """Apply the CHECKs of filler.hpp and math_functions.cpp."""
    if fill is not gaussian and param.sparse != -1:
        raise CaffeError(f"'sparse' is for the gaussian filler, received it for '{param.type}'")
    numbers = (param.value, param.min, param.max, param.mean, param.std)
    if fill is not constant and not all(map(math.isfinite, numbers)):
        raise CaffeError(f"the {param.type} filler needs finite numbers, received {', '.join(map(str, numbers))}")
    if fill is uniform and param.min > param.max:
        raise CaffeError(f"the uniform filler needs min <= max, received {param.min:g} and {param.max:g}")
    if fill is gaussian and param.std <= 0:
        raise CaffeError(
            f"the gaussian filler needs a positive std, received {param.std:g} (use constant for a single value)"
        )
    if fill is gaussian and not -1 <= param.sparse <= (shape[0] if shape else 1):
        raise CaffeError(
            "'sparse', the number of non-zero inputs per output, cannot exceed the first axis of "
            f"{tuple(shape)}; received {param.sparse}"
        )


def make_initializer(param: Any, shape: tuple[int, ...], generator: Any) -> Callable[[Any], None]:
    """Return a function that fills a tensor according to `param` (FillerParameter).

    The seed is drawn from `generator` now, so the values do not depend on when the function is called.
    """
    fill = FILLERS.get(param.type)
    if fill is None:
        known = ", ".join(FILLERS)
        raise CaffeError(f"unknown filler '{param.type}' (known: {known})")
    if fill is bilinear and (len(shape) != 4 or shape[2] != shape[3]):
        raise CaffeError(f"the bilinear filler needs 4-D weights with a square kernel, received {tuple(shape)}")
    _check_numbers(param, fill, shape)
    seed = 0
    if generator is not None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def initialize(tensor):
        values = torch.empty(tensor.shape)  # on the CPU, so that all devices get the same values
        fill(param, values, torch.Generator().manual_seed(seed))
        tensor.copy_(values)

    return initialize
