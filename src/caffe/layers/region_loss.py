"""RegionLoss: the loss of YOLOv2."""

from __future__ import annotations

import numpy as np

from caffe.layers import _yolo, _yolo_loss
from caffe.layers._given_gradient import with_gradient
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class RegionLoss(Layer):
    """Loss of YOLOv2: the squares of the gradient, summed and divided by the number of items (MobileNet-YOLO).

    Bottoms: num * (5 + num_class) maps (x, y, log w, log h, object, classes of each anchor), and labels: 5 numbers per
    box (class, center x, center y, width, height as fractions of the image; a width of 0 ends the list), or the rows of
    AnnotatedData. `biases` are the anchors' sizes in cells. A box trains the anchor that overlaps it best in the cell
    of its center: its position and size (coord_scale, times 2 - area without `rescore`), its object score to 1 or
    (`rescore`) to the overlap (object_scale), and its classes by a softmax (class_scale). The object scores of cells
    that overlap no box by more than `thresh` are trained to 0 (noobject_scale). Source: Redmon & Farhadi 2017.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example(
            "region_loss_param { num_class: 3 num: 2 thresh: 0.6 object_scale: 5 noobject_scale: 1 coord_scale: 1 "
            "biases: [1, 1.5, 2.5, 2] }",
            [(2, 16, 3, 3), (2, 10)],
            values=("normal", "unit"),
        ),
    )

    def setup(self, x: Shape, label: Shape) -> None:
        p = self.param.region_loss_param
        for name in ("softmax_tree", "class_map"):
            self.need(not getattr(p, name), "region_loss_param.%s is not implemented", name)
        self.need(
            len(p.biases) == 2 * p.num, "expected 2 biases per anchor (%d), received %d", 2 * p.num, len(p.biases)
        )
        self.cells = np.array(p.biases, np.float64).reshape(-1, 2)

    def top_shapes(self, x: Shape, label: Shape) -> list[Shape]:
        p = self.param.region_loss_param
        _yolo_loss.check_bottoms(x, label, p.num * (5 + p.num_class))
        return [()]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        p = self.param.region_loss_param
        values = x.detach().cpu().double().numpy().reshape(x.shape[0], p.num, 5 + p.num_class, *x.shape[2:])
        labels = label.detach().cpu().double().numpy()
        gradient = np.stack([self._item(cells, labels, item) for item, cells in enumerate(values)]).reshape(x.shape)
        return with_gradient(x, (gradient * gradient).sum() / len(x), gradient / len(x))

    def _item(self, cells, labels, item):
        """Return the gradient (anchors, values, H, W) of one item."""
        p, sides = self.param.region_loss_param, np.array(cells.shape[:1:-1], np.float64)
        truths = _yolo_loss.truths(labels, item, p.num_class)
        cells = cells.copy()
        place, score = _yolo.sigmoid(cells[:, :2]), _yolo.sigmoid(cells[:, 4])
        cells[:, :2] = place
        predicted = _yolo_loss.boxes(cells, self.cells / sides)
        gradient = np.zeros_like(cells)
        gradient[:, 4] = p.noobject_scale * score * _yolo_loss.sigmoid_slope(score)
        for truth in truths:
            near = _yolo_loss.overlaps(truth[1:], predicted.reshape(-1, 4)).reshape(score.shape) > p.thresh
            gradient[:, 4][near] = 0
        for truth in truths:
            self._train(gradient, cells, predicted, truth)
        return gradient

    def _train(self, gradient, cells, predicted, truth):
        """Set the gradient of the anchor that overlaps `truth` best."""
        p, (height, width) = self.param.region_loss_param, cells.shape[2:]
        row, column = _yolo_loss.cell_of(truth, height, width)
        anchors = self.cells / [width, height]
        sizes = anchors if p.bias_match else predicted[:, row, column, 2:]
        number = max(_yolo_loss.best(_yolo_loss.same_center(truth[3:], sizes)), 0)
        cell, slope = cells[number, :, row, column], gradient[number, :, row, column]
        wanted = _yolo_loss.box_offsets(truth, row, column, anchors[number], height, width)
        slope[:4] = p.coord_scale * (1 if p.rescore else 2 - truth[3] * truth[4]) * (cell[:4] - wanted)
        slope[:2] *= _yolo_loss.sigmoid_slope(cell[:2])
        score = _yolo.sigmoid(cell[4])
        overlap = _yolo_loss.overlaps(truth[1:], predicted[number, row, column][None])[0]
        slope[4] = p.object_scale * (score - (overlap if p.rescore else 1)) * _yolo_loss.sigmoid_slope(score)
        classes = np.exp(cell[5:] - cell[5:].max())
        slope[5:] = p.class_scale * (classes / classes.sum() - (np.arange(p.num_class) == int(truth[0])))
