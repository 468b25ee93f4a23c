"""Yolov3: the loss of YOLOv3 on one map."""

from __future__ import annotations

import numpy as np

from caffe.layers import _yolo, _yolo_loss
from caffe.layers._given_gradient import with_gradient
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Yolov3(Layer):
    """Loss of YOLOv3 on one map: the squares of the gradient, summed and divided by the number of items.

    Bottoms: num * (5 + num_class) maps (x, y, log w, log h, object, classes of each anchor), and labels as for
    RegionLoss. `biases` are the sizes of all anchors in pixels, `mask` those of this map, whose cells are anchors_scale
    pixels wide. A box trains the anchor that overlaps it best, if this map has it, and the map's other anchors that
    overlap it by more than iou_thresh: position and size (coord_scale times 2 - area), the object score to 1, the
    classes by sigmoids (class_scale, label_smooth_eps, use_focal_loss). The other object scores are trained to 0 where
    no box is overlapped by more than `thresh`. `use_logic_gradient` multiplies the gradient by the slope of the sigmoid
    (and that of the object scores by object_scale). With iou_loss IOU or GIOU, position and size follow the slope of
    the overlap (iou_normalizer, max_delta, accumulate), and the loss has the mean of 1 - overlap instead of their
    squares; DIOU and CIOU are not implemented. Sources: Redmon & Farhadi 2018; MobileNet-YOLO.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example(
            "yolov3_param { num_class: 3 num: 2 thresh: 0.7 class_scale: 1 coord_scale: 1 anchors_scale: 8 "
            "mask: [0, 1] biases: [10, 12, 20, 16, 30, 28] }",
            [(2, 16, 4, 4), (2, 10)],
            values=("normal", "unit"),
        ),
    )

    def setup(self, x: Shape, label: Shape) -> None:
        p = self.param.yolov3_param
        known = p.iou_loss in (p.MSE, p.IOU, p.GIOU)
        self.need(known, "yolov3_param.iou_loss: %s is not implemented", p.IOU_LOSS.Name(p.iou_loss))
        self.by_overlap, self.generalized = p.iou_loss != p.MSE, p.iou_loss == p.GIOU
        self.anchors = np.array(p.biases, np.float64).reshape(-1, 2)
        self.need(
            len(p.mask) >= p.num > 0 and max(p.mask) < len(self.anchors),
            "mask must list %d of the %d anchors of `biases`, received %s",
            p.num,
            len(self.anchors),
            list(p.mask),
        )
        self.mask = list(p.mask[: p.num])

    def top_shapes(self, x: Shape, label: Shape) -> list[Shape]:
        p = self.param.yolov3_param
        _yolo_loss.check_bottoms(x, label, p.num * (5 + p.num_class))
        return [()]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        p = self.param.yolov3_param
        cells = x.detach().cpu().double().numpy().reshape(x.shape[0], p.num, 5 + p.num_class, *x.shape[2:])
        activated = _yolo.sigmoid(cells)
        activated[:, :, 2:4] = cells[:, :, 2:4]
        labels = label.detach().cpu().double().numpy()
        self.lost: list[float] = []  # 1 - overlap of every trained box, for the losses of overlaps
        difference = np.stack([self._item(item, labels, number) for number, item in enumerate(activated)])
        squares = (difference[:, :, 4 if self.by_overlap else 0 :] ** 2).sum()
        loss = (squares + p.iou_normalizer * (np.mean(self.lost) if self.lost else 0)) / len(x)
        if p.use_logic_gradient:
            slope = _yolo_loss.sigmoid_slope(activated)
            slope[:, :, 2:4] = 1
            difference *= slope
        return with_gradient(x, loss, difference.reshape(x.shape) / len(x))

    def _item(self, cells, labels, item):
        """Return the differences (anchors, values, H, W) of one item."""
        p, sides = self.param.yolov3_param, np.array(cells.shape[:1:-1], np.float64)
        anchors = self.anchors / (sides * p.anchors_scale)
        truths = _yolo_loss.truths(labels, item, p.num_class)
        predicted = _yolo_loss.boxes(cells, anchors[self.mask])
        difference = np.zeros_like(cells)
        difference[:, 4] = cells[:, 4]
        for truth in truths:
            overlap = _yolo_loss.overlaps(truth[1:], predicted.reshape(-1, 4), self.generalized)
            difference[:, 4][overlap.reshape(cells[:, 4].shape) > p.thresh] = 0
        for truth in truths:
            overlap = _yolo_loss.same_center(truth[3:], anchors, self.generalized)
            chosen = {_yolo_loss.best(overlap)}
            if p.iou_thresh < 1:
                chosen |= set(np.flatnonzero(overlap > p.iou_thresh))
            for number, anchor in enumerate(self.mask):
                if anchor in chosen:
                    self._train(difference[number], cells[number], predicted[number], truth, anchors[anchor])
        return difference

    def _train(self, difference, cells, predicted, truth, anchor):
        """Set the differences of one anchor in the cell of `truth`."""
        p, (height, width) = self.param.yolov3_param, cells.shape[1:]
        row, column = _yolo_loss.cell_of(truth, height, width)
        cell, out = cells[:, row, column], difference[:, row, column]
        if self.by_overlap:
            self._follow_overlap(out, cell, predicted[row, column], truth[1:])
        else:
            wanted = _yolo_loss.box_offsets(truth, row, column, anchor, height, width)
            out[:4] = p.coord_scale * (2 - truth[3] * truth[4]) * (cell[:4] - wanted)
        out[4] = (cell[4] - 1) * (p.object_scale if p.use_logic_gradient else 1)
        label, smooth = int(truth[0]), p.label_smooth_eps
        if out[5 + label]:  # an earlier box trains this cell: several classes can be right
            out[5 + label] = p.class_scale * (cell[5 + label] - (1 - smooth / 2))
            return
        right = np.arange(p.num_class) == label
        if p.use_focal_loss:
            sure = cell[5 + label] + 1e-15
            factor = -0.5 * (1 - sure) * (2 * sure * np.log(sure) + sure - 1)
            out[5:] = p.class_scale * factor * (cell[5:] - right)
        else:
            out[5:] = p.class_scale * (cell[5:] - (right * (1 - smooth) + smooth / 2))

    def _follow_overlap(self, out, cell, box, truth):
        """Let the differences of position and size follow the slope of the overlap."""
        p = self.param.yolov3_param
        slope = _yolo_loss.overlap_slope(box, truth, self.generalized)
        slope[2:] *= np.exp(cell[2:4])
        step = np.clip(np.nan_to_num(p.iou_normalizer * slope), -p.max_delta, p.max_delta)
        out[:4] = (out[:4] if p.accumulate else 0) - step
        self.lost.append(1 - _yolo_loss.overlaps(truth, box[None], self.generalized)[0])
