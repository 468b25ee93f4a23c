"""MultiStageMeanfield: a dense conditional random field as a recurrent net."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers._permutohedral import Lattice
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MultiStageMeanfield(Layer):
    """num_iterations steps of mean field inference (CRF-RNN, Zheng et al. 2015; multi_stage_meanfield.cpp).

    Bottoms: the unary scores U (N x C x H x W), the first scores Q (the same shape) and the image (N x 3 x H x W). Each
    step computes P = softmax(Q), filters P by two normalized Gaussians, and sets Q = U - M (S spatial + B bilateral):
    spatial is over the pixels' places / theta_gamma, bilateral over places / theta_alpha and colours / theta_beta, both
    on a permutohedral lattice. Blobs: S, B and M, 1 x 1 x C x C; at first spatial_filter_weight and
    bilateral_filter_weight on the diagonal, and -1 on M's (POTTS). The image has no gradient. It cannot be exported to
    ONNX: the lattice depends on the image.
    """

    num_bottom = 3
    in_place = False
    no_gradient = (2,)
    at_inference = True
    no_onnx = "its lattice depends on the image; end the net before this layer with -on LAYER"
    examples = (
        Example(
            "multi_stage_meanfield_param { num_iterations: 2 theta_alpha: 4 theta_beta: 1 theta_gamma: 2 "
            "spatial_filter_weight: 2 bilateral_filter_weight: 1 }",
            [(1, 3, 4, 5)] * 3,
        ),
    )

    def setup(self, unary: Shape, first: Shape, image: Shape) -> None:
        p = self.param.multi_stage_meanfield_param
        self.need(p.num_iterations > 0, "num_iterations must be positive, received %d", p.num_iterations)
        for name in ("theta_alpha", "theta_beta", "theta_gamma"):
            self.need(getattr(p, name) > 0, "%s must be positive", name)
        self.need(len(unary) == 4, "the unary scores must be N x C x H x W, received %s", unary)
        for value in (p.spatial_filter_weight, p.bilateral_filter_weight, -1.0):
            self._add_diagonal(unary[1], value)
        self._spatial: tuple[Shape, Any] | None = None

    def _add_diagonal(self, channels, value):
        def fill(tensor):
            tensor.copy_(torch.eye(channels)[None, None] * value)

        blob = self.add_blob((1, 1, channels, channels))
        blob.set_initializer(fill)

    def top_shapes(self, unary: Shape, first: Shape, image: Shape) -> list[Shape]:
        self.need(first == unary, "bottom 1 must have the shape %s of bottom 0, received %s", unary, first)
        expected = (unary[0], 3, *unary[2:])
        self.need(image == expected, "bottom 2, the image, must be %s, received %s", expected, image)
        return [unary]

    def forward(self, unary: Tensor, first: Tensor, image: Tensor) -> Tensor:
        sizes = tuple(unary.shape[2:])
        if self._spatial is None or self._spatial[0] != sizes:
            self._spatial = sizes, self._lattice(_places(sizes) / self._theta("gamma"), unary)
        return torch.stack(
            [self._infer(u, q, self._bilateral(x, sizes)) for u, q, x in zip(unary, first, image.detach())]
        )

    def _theta(self, name):
        return getattr(self.param.multi_stage_meanfield_param, "theta_" + name)

    def _bilateral(self, image, sizes):
        colours = image.reshape(3, -1).t().cpu().numpy() / self._theta("beta")
        return self._lattice(np.concatenate([_places(sizes) / self._theta("alpha"), colours], axis=1), image)

    def _lattice(self, features, like):
        """Return (lattice, 1 / the filter of ones)."""
        try:
            lattice = Lattice(features)
        except OverflowError:
            raise CaffeError("the image has values that are too large, or theta_beta is too small") from None
        return lattice, 1 / (lattice.filter(like.new_ones((len(features), 1))) + 1e-20)

    def _infer(self, unary, scores, bilateral):
        channels, shape = unary.shape[0], unary.shape
        spatial_weight, bilateral_weight, compatibility = (
            blob.tensor.reshape(channels, channels) for blob in self.blobs
        )
        unary, scores = unary.reshape(channels, -1), scores.reshape(channels, -1)
        assert self._spatial is not None
        for _ in range(self.param.multi_stage_meanfield_param.num_iterations):
            values = torch.softmax(scores, 0).t()
            spatial, colour = ((lattice.filter(values) * norm).t() for lattice, norm in (self._spatial[1], bilateral))
            message = spatial_weight @ spatial + bilateral_weight @ colour
            scores = unary - compatibility @ message
        return scores.reshape(shape)


def _places(sizes):
    """Return the (column, row) of all pixels."""
    rows, columns = np.indices(sizes)
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
