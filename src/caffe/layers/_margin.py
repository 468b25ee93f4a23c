"""Angular margins of inner products: SphereFace's MarginInnerProduct and LargeMarginInnerProduct."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Layer, Shape, Tensor


class MarginLayer(Layer):
    """Base class: x'w, with the logit of the label (-1)^k cos(m angle) - 2 k times |x|, or |x| |w|.

    m is 1 to 4 (type SINGLE to QUADRUPLE), and k the number of the interval of length pi / m that has the angle. Both
    kinds of logits are averaged with the weights 1 and lambda = max(base (1 + gamma iteration)^-power, lambda_min).
    """

    num_bottom = 2
    repeatable = False  # it counts the iterations
    num_top = (1, 2)
    no_gradient = (1,)
    no_onnx = "it needs the labels; the features are its first bottom"
    normalizes_weights = False

    @property
    def margin(self) -> Any:
        """The layer's parameter message."""
        raise NotImplementedError

    def setup(self, bottom: Shape, label: Shape) -> None:
        p = self.margin
        self.need(p.num_output > 0, "num_output must be positive")
        self.size = math.prod(bottom[self.axis(p.axis, bottom) :])
        self.add_blob((p.num_output, self.size), p.weight_filler)
        self.iteration = p.iteration

    def top_shapes(self, bottom: Shape, label: Shape) -> list[Shape]:
        items = math.prod(bottom) // self.size
        self.need(math.prod(label) == items, "expected %d labels, received %s", items, label)
        return [(items, self.margin.num_output), (1,)][: self.top_count]

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        p = self.margin
        self.iteration += 1
        weight = max(p.base * (1 + p.gamma * self.iteration) ** -p.power, p.lambda_min)
        if self.normalizes_weights:
            with torch.no_grad():
                self.blobs[0].tensor.div_(self.blobs[0].tensor.norm(dim=1, keepdim=True))
        w = self.blobs[0].tensor
        features = x.reshape(-1, self.size)
        logits = features @ w.t()
        if p.type:
            index = label.detach().reshape(-1, 1).long()
            scale = features.norm(dim=1, keepdim=True)
            if not self.normalizes_weights:
                scale = scale * w.norm(dim=1)[index[:, 0]][:, None]
            own = _angular(logits.gather(1, index) / scale, p.type + 1) * scale
            logits = (logits.scatter(1, index, own) + weight * logits) / (1 + weight)
        return (logits, torch.full((1,), weight, device=x.device))[: self.top_count]

    def state(self) -> dict[str, float]:
        """Return the iteration, which sets lambda."""
        return {"iteration": self.iteration}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from `state`."""
        self.iteration = state["iteration"]


def _angular(cos: Tensor, margin: int) -> Tensor:
    """Return (-1)^k cos(margin * angle) - 2 k, with the Chebyshev polynomial of the cosine."""
    powers = {2: 2 * cos**2 - 1, 3: 4 * cos**3 - 3 * cos, 4: 8 * cos**4 - 8 * cos**2 + 1}
    angle = torch.acos(cos.detach().clamp(-1, 1))
    interval = torch.floor(angle * margin / math.pi).clamp(max=margin - 1)
    return (1 - 2 * (interval % 2)) * powers[margin] - 2 * interval
