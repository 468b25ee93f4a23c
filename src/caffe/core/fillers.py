"""The fillers of Caffe (filler.hpp): how weights start. Simplest first."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError


def constant(param, weights, generator):
    """Every weight is `value`."""
    weights.fill_(param.value)


def uniform(param, weights, generator):
    """Uniform in min .. max."""
    weights.uniform_(param.min, param.max, generator=generator)


def gaussian(param, weights, generator):
    """Normal(mean, std); `sparse` >= 0 keeps about that many non-zero inputs an output."""
    weights.normal_(param.mean, param.std, generator=generator)
    if param.sparse >= 0:
        outputs = weights.shape[0]  # num_outputs is axis 0, as in Caffe
        weights.mul_(torch.empty_like(weights).bernoulli_(param.sparse / outputs, generator=generator))


def positive_unitball(param, weights, generator):
    """Uniform in 0 .. 1, then each output's weights divided by their sum."""
    weights.uniform_(0, 1, generator=generator)
    rows = weights.view(weights.shape[0], -1)
    rows.div_(rows.sum(1, keepdim=True))


def _fan(param, shape):
    count = math.prod(shape)
    if not count:
        raise CaffeError(f"weights of {tuple(shape)} hold no values; xavier and msra go by how many there are")
    fan_in = count // shape[0] if shape else 1
    fan_out = count // shape[1] if len(shape) > 1 else count
    norm = param.variance_norm
    return {0: fan_in, 1: fan_out, 2: (fan_in + fan_out) / 2.0}[norm]


def xavier(param, weights, generator):
    """Uniform in +-sqrt(3 / fan) (Glorot & Bengio 2010); fan by variance_norm."""
    scale = math.sqrt(3.0 / _fan(param, weights.shape))
    weights.uniform_(-scale, scale, generator=generator)


def msra(param, weights, generator):
    """Normal(0, sqrt(2 / fan)) (He et al. 2015); fan by variance_norm."""
    weights.normal_(0, math.sqrt(2.0 / _fan(param, weights.shape)), generator=generator)


def bilinear(param, weights, generator):
    """Every channel is the kernel of bilinear interpolation, for Deconvolution; needs square 4-D weights."""
    size = weights.shape[-1]
    factor = (size + 1) // 2
    centre = (size - 1) / (2.0 * factor)
    ramp = 1 - (torch.arange(size, dtype=torch.float64) / factor - centre).abs()
    weights.copy_((ramp[:, None] * ramp[None, :]).expand(weights.shape))


FILLERS = {f.__name__: f for f in (constant, uniform, gaussian, positive_unitball, xavier, msra, bilinear)}


def _check_numbers(param, fill, shape):
    """Refuse what the CHECKs of filler.hpp and math_functions.cpp refuse."""
    if fill is not gaussian and param.sparse != -1:
        raise CaffeError(f"'sparse' is for the gaussian filler, received it for '{param.type}'")
    numbers = (param.value, param.min, param.max, param.mean, param.std)
    if fill is not constant and not all(map(math.isfinite, numbers)):
        raise CaffeError(f"the {param.type} filler needs finite numbers, received {', '.join(map(str, numbers))}")
    if fill is uniform and param.min > param.max:
        raise CaffeError(f"the uniform filler needs min <= max, received {param.min:g} and {param.max:g}")
    if fill is gaussian and param.std <= 0:
        raise CaffeError(f"the gaussian filler needs a positive std, received {param.std:g} (for one value: constant)")
    if fill is gaussian and not -1 <= param.sparse <= (shape[0] if shape else 1):
        raise CaffeError(
            "'sparse', how many inputs an output keeps, cannot exceed the first axis of %s; received %d"
            % (tuple(shape), param.sparse)
        )


def filling(param, shape, generator):
    """Return a function that fills a tensor as `param` (FillerParameter) says; its seed is drawn now from `generator`."""
    fill = FILLERS.get(param.type)
    if fill is None:
        raise CaffeError("unknown filler '{}' (known: {})".format(param.type, ", ".join(FILLERS)))
    if fill is bilinear and (len(shape) != 4 or shape[2] != shape[3]):
        raise CaffeError(f"the bilinear filler needs 4-D weights with a square kernel, received {tuple(shape)}")
    _check_numbers(param, fill, shape)
    seed = 0
    if generator is not None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

    def run(tensor):
        host = torch.empty(tensor.shape)
        fill(param, host, torch.Generator().manual_seed(seed))
        tensor.copy_(host)

    return run
