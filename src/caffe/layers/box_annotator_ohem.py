"""BoxAnnotatorOHEM: the hardest regions alone are trained with."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class BoxAnnotatorOHEM(Layer):
    """Labels and box weights of the roi_per_img regions of each image with the greatest loss; the others get ignore_label and
    weights of 0 (Shrivastava et al. 2016; R-FCN). Bottoms: regions (N x 5 x ...), losses, labels, box weights.
    """

    num_bottom = 4
    num_top = 2
    no_gradient = (0, 1, 2, 3)
    differentiable = False
    no_onnx = "it chooses what is trained with"
    examples = (
        Example(
            "box_annotator_ohem_param { roi_per_img: 2 ignore_label: -1 }",
            [(5, 5), (5, 1), (5, 1), (5, 8)],
            ("binary", "positive", 3, "positive"),
            tops=2,
        ),
    )

    def setup(self, rois, *others):
        self.need(self.param.box_annotator_ohem_param.roi_per_img > 0, "roi_per_img must be given and positive")

    def top_shapes(self, rois, loss, labels, weights):
        for other in (loss, labels, weights):
            self.need(other[0] == rois[0], "bottoms must have one number of regions: %s, %s", rois, other)
        self.need(rois[1] == 5, "regions must have 5 numbers, received %s", rois)
        return [labels, weights]

    def forward(self, rois, loss, labels, weights):
        p = self.param.box_annotator_ohem_param
        items = rois.reshape(len(rois), 5, -1)[:, 0].reshape(-1)
        flat, places = loss.reshape(-1), weights.reshape(len(weights), weights.shape[1], -1)
        chosen = torch.zeros_like(flat, dtype=torch.bool)
        for item in items.unique():
            inside = (items == item).nonzero().flatten()
            order = torch.argsort(flat[inside], descending=True, stable=True)
            chosen[inside[order[: p.roi_per_img]]] = True
        kept = torch.where(chosen.reshape(labels.shape), labels, float(p.ignore_label))
        return kept, (places * chosen.reshape(len(weights), 1, -1)).reshape(weights.shape)
