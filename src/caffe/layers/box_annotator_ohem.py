"""BoxAnnotatorOHEM: selects the regions with the largest loss for training."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class BoxAnnotatorOHEM(Layer):
    """Keeps the labels and box weights of the roi_per_img regions of each image with the largest loss (R-FCN).

    All other regions get the label ignore_label and weights of 0 (Shrivastava et al. 2016). Bottoms: regions (N x 5 x
    ...), losses, labels, box weights.
    """

    num_bottom = 4
    num_top = 2
    no_gradient = (0, 1, 2, 3)
    differentiable = False
    no_onnx = "it selects regions for training"
    examples = (
        Example(
            "box_annotator_ohem_param { roi_per_img: 2 ignore_label: -1 }",
            [(5, 5), (5, 1), (5, 1), (5, 8)],
            ("binary", "positive", 3, "positive"),
            tops=2,
        ),
    )

    def setup(self, rois: Shape, *others: Shape) -> None:
        self.need(self.param.box_annotator_ohem_param.roi_per_img > 0, "roi_per_img is required and must be positive")

    def top_shapes(self, rois: Shape, loss: Shape, labels: Shape, weights: Shape) -> list[Shape]:
        for other in (loss, labels, weights):
            self.need(
                other[0] == rois[0], "bottoms must have the same number of regions, received %s and %s", rois, other
            )
        self.need(rois[1] == 5, "regions must have 5 values, received %s", rois)
        return [labels, weights]

    def forward(self, rois: Tensor, loss: Tensor, labels: Tensor, weights: Tensor) -> Tensor | tuple[Tensor, ...]:
        p = self.param.box_annotator_ohem_param
        items = rois.reshape(len(rois), 5, -1)[:, 0].reshape(-1)
        flat, flat_weights = loss.reshape(-1), weights.reshape(len(weights), weights.shape[1], -1)
        chosen = torch.zeros_like(flat, dtype=torch.bool)
        for item in items.unique():
            inside = (items == item).nonzero().flatten()
            order = torch.argsort(flat[inside], descending=True, stable=True)
            chosen[inside[order[: p.roi_per_img]]] = True
        kept = torch.where(chosen.reshape(labels.shape), labels, float(p.ignore_label))
        return kept, (flat_weights * chosen.reshape(len(weights), 1, -1)).reshape(weights.shape)
