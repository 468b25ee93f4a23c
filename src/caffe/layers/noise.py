"""Noise: adds noise in training."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Tensor, register


@register
class Noise(Layer):
    """In TRAIN, adds noise; in TEST, the top is a copy of the bottom (caffe-windows).

    gaussian_std: normal noise with the mean `bias`, whose deviation is gaussian_std times the root mean square of the
    bottom. uniform_range: uniform noise in bias - range .. bias + range.
    """

    examples = (Example("noise_param { gaussian_std: 0.1 }", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.noise_param
        if self.phase != TRAIN:
            return x.view_as(x)
        noise, generator = torch.empty_like(x), self.random(x.device)
        if p.HasField("gaussian_std"):
            size = x.detach().square().mean().sqrt().item() * p.gaussian_std
            noise.normal_(p.bias, size, generator=generator)
        else:
            noise.uniform_(p.bias - p.uniform_range, p.bias + p.uniform_range, generator=generator)
        return x + noise

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", bottoms, tops)
