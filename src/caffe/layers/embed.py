"""Embed: looks up a learned vector for each index."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Embed(Layer):
    """Replaces each index (0 .. input_dim - 1) by its row of num_output weights, plus a bias (embed_layer.cpp).

    Weights are input_dim x num_output; the bias num_output. The bottom has no gradient.
    """

    no_gradient = (0,)
    examples = (
        Example('embed_param { num_output: 4 input_dim: 7 weight_filler { type: "gaussian" } }', [(2, 3)], (7,)),
        Example(
            'embed_param { num_output: 2 input_dim: 3 bias_term: false weight_filler { type: "xavier" } }',
            [(5,)],
            (3,),
        ),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.embed_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(p.input_dim > 0, "input_dim must be positive, received %d", p.input_dim)
        self.add_blob((p.input_dim, p.num_output), p.weight_filler)
        if p.bias_term:
            self.add_blob((p.num_output,), p.bias_filler)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [(*bottom, self.param.embed_param.num_output)]

    def forward(self, x: Tensor) -> Tensor:
        rows, index = self.param.embed_param.input_dim, x.detach().long()
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < rows):
            raise CaffeError(
                f"layer '{self.name}': indices must be in 0 .. {rows - 1}, received {index.min()} .. {index.max()}"
            )
        y = torch.nn.functional.embedding(index, self.blobs[0].tensor)
        return y + self.blobs[1].tensor if len(self.blobs) > 1 else y

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        index = g.temp("index")
        vectors = g.temp("vectors") if len(self.blobs) > 1 else tops[0]
        g.node("Cast", bottoms, [index], to=7)  # int64
        g.node("Gather", [g.constant(self.blobs[0].data, "weight"), index], [vectors], axis=0)
        if len(self.blobs) > 1:
            g.node("Add", [vectors, g.constant(self.blobs[1].data, "bias")], tops)
