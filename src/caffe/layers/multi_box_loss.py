"""MultiBoxLoss: SSD's loss of offsets and scores of prior boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _box_matching, _boxes, _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.softmax_with_loss import _SoftmaxLoss
from caffe.proto import caffe_pb2

_P = caffe_pb2.MultiBoxLossParameter


@register
class MultiBoxLoss(Layer):
    """SSD's loss: (loc_weight * loss of the offsets + loss of the scores) / number of matched priors.

    Bottoms: offsets (N x 4 P), scores (N x P C), prior boxes (1 x 2 x 4 P), and true boxes (1 x 1 x n x 8: item, label,
    instance, xmin, ymin, xmax, ymax, difficult). Each true box is matched to the prior that overlaps it most; with
    match_type PER_PREDICTION, also each other prior to the true box that overlaps it most, if by overlap_threshold.
    The offsets of matched priors have a smooth L1 or L2 loss, their scores a softmax or logistic loss. Of the
    unmatched priors that overlap less than neg_overlap, the neg_pos_ratio * matches with the largest loss are negatives
    (mining_type MAX_NEGATIVE). With HARD_EXAMPLE, only the sample_size priors with the largest loss count, after
    non-maximum suppression by nms_param. An image without true boxes has no loss. loss_param.normalization: VALID,
    the number of matches, is the default.

    Two more bottoms are the scores and offsets of RefineDet's ARM, which adjust the priors; a prior with a score below
    objectness_score is no negative (Liu et al. 2016).
    """

    num_bottom = (4, 6)
    is_loss = auto_top = True
    no_gradient = (2, 3, 4, 5)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example(
            "multibox_loss_param { num_classes: 3 background_label_id: 2 mining_type: NONE }",
            [(2, 48), (2, 36), (1, 2, 48), (1, 1, 9, 8)],
            ("normal", "normal", "unit", "unit"),
        ),
    )

    def setup(self, offsets: Shape, scores: Shape, priors: Shape, truth: Shape, *arm: Shape) -> None:
        p = self.param.multibox_loss_param
        for name in ("ori_flag", "ignore_difficult_gt"):
            self.need(not getattr(p, name), "multibox_loss_param.%s is not implemented", name)
        self.need(p.num_classes > 0, "num_classes is required")
        self.mining = p.mining_type
        if p.HasField("do_neg_mining") and not p.HasField("mining_type") and not p.do_neg_mining:
            self.mining = _P.NONE
        self.need(self.mining == _P.NONE or p.share_location, "mining_type needs share_location: true")
        self.need(len(arm) != 1, "expected scores and offsets of RefineDet's ARM, or neither")
        self.need(
            p.conf_loss_type == _P.LOGISTIC or p.background_label_id < p.num_classes,
            "background_label_id must be less than num_classes, received %d",
            p.background_label_id,
        )

    def top_shapes(self, offsets: Shape, scores: Shape, priors: Shape, truth: Shape, *arm: Shape) -> list[Shape]:
        p = self.param.multibox_loss_param
        self.count = priors[2] // 4
        self.sets = 1 if p.share_location else p.num_classes
        received = (int(np.prod(offsets[1:])), int(np.prod(scores[1:])))
        expected = (4 * self.count * self.sets, self.count * p.num_classes)
        self.need(
            received == expected,
            "%d prior boxes need %d offsets and %d scores, received %d and %d",
            self.count,
            *expected,
            *received,
        )
        self.need(truth[-1] == 8, "the true boxes must have 8 columns, received %s", truth)
        return [()]

    def forward(self, offsets: Tensor, scores: Tensor, priors: Tensor, truth: Tensor, *arm: Tensor) -> Tensor:
        p = self.param.multibox_loss_param
        moves = offsets.reshape(len(offsets), self.count, self.sets, 4)
        values = scores.reshape(len(scores), self.count, p.num_classes)
        arrays = [x.detach().cpu().numpy().astype(np.float32) for x in (moves, values, priors, truth, *arm)]
        matches = self._matches(*arrays)
        self.matched = len(matches[0])
        divisor = _loss.normalizer(
            _loss.normalization(self.param.loss_param, _loss.LossParameter.VALID),
            len(offsets),
            self.count,
            self.matched,
            self.param.loss_param.pre_fixed_normalizer,
        )
        positive, targets, scored, labels = matches
        place = _loss_of_offsets(p.loc_loss_type, moves[tuple(positive.T)], moves.new_tensor(targets))
        conf = self._loss_of_scores(values[tuple(scored.T)], torch.as_tensor(labels, device=values.device))
        return (p.loc_weight * place + conf) / divisor

    def _loss_of_scores(self, rows, labels):
        """Return the sum of the losses of scores (n x C) with labels (n); a label of -1 means no class."""
        p = self.param.multibox_loss_param
        if not len(rows):
            return rows.sum()
        if p.conf_loss_type == _P.LOGISTIC:
            expected = torch.zeros_like(rows)
            known = labels >= 0
            expected[known, labels[known]] = 1
            return torch.nn.functional.binary_cross_entropy_with_logits(rows, expected, reduction="sum")
        index = labels[:, None, None]
        return _SoftmaxLoss.apply(rows.float()[..., None], index, torch.ones_like(index, dtype=torch.bool), 1.0)[0]

    # -- matching, in NumPy ------------------------------------------------------------------------

    def _matches(self, moves, values, priors, truth, *arm):
        """Return (item, prior, set) and target of the offsets, (item, prior) and label of the scores."""
        p = self.param.multibox_loss_param
        boxes = _box_matching.truth_by_item(truth.reshape(-1, 8), p.use_difficult_gt)
        priors, spread = priors.reshape(2, self.count, 4)
        positive, targets, scored, labels = [], [], [], []
        for item in range(len(moves)):
            own = priors if not arm else self._adjusted(arm[1][item], priors, spread)
            quiet = None if not arm else arm[0][item].reshape(self.count, 2)[:, 1] < p.objectness_score
            known = boxes.get(item, np.zeros((0, 6), np.float32))
            self._check_labels(known)
            found, chosen = self._item(moves[item], values[item], own, spread, known, quiet)
            rows, sets, numbers = found
            positive += [(item, row, which) for row, which in zip(rows, sets)]
            targets += list(self._targets(known[numbers, 1:5], own[rows], spread[rows], moves[item][rows, sets]))
            scored += [(item, row) for row in (*rows, *chosen)]
            true = known[numbers, 0] if not p.map_object_to_agnostic else np.full(len(rows), p.background_label_id + 1)
            labels += [*true.astype(int), *[self._background] * len(chosen)]
        return (
            np.array(positive, int).reshape(-1, 3),
            np.array(targets, np.float32).reshape(-1, 2, 4),
            np.array(scored, int).reshape(-1, 2),
            np.array(labels, np.int64),
        )

    @property
    def _background(self):
        p = self.param.multibox_loss_param
        return p.background_label_id if p.background_label_id < p.num_classes else -1

    def _check_labels(self, truth):
        p = self.param.multibox_loss_param
        for label in truth[:, 0]:
            self.need(
                label != p.background_label_id and (0 <= label < p.num_classes or p.map_object_to_agnostic),
                "label %d of a true box is not one of the %d classes other than the background (%d)",
                label,
                p.num_classes,
                p.background_label_id,
            )

    def _adjusted(self, moves, priors, spread):
        p = self.param.multibox_loss_param
        spread = None if p.encode_variance_in_target else spread
        return _boxes.decode(moves.reshape(self.count, 4), priors, spread, p.code_type)

    def _item(self, moves, values, priors, spread, truth, quiet):
        """Return (priors, sets, true boxes) that are matched, and the priors that are negatives, of one item."""
        p = self.param.multibox_loss_param
        if not len(truth):
            chosen = range(self.count) if self.mining == _P.NONE else ()
            return (np.zeros(0, int),) * 3, list(chosen)
        found, most = self._found(moves, priors, spread, truth)
        sets = np.zeros(self.count, int) if p.share_location else truth[np.maximum(found, 0), 0].astype(int)
        if self.mining == _P.NONE:
            rows = np.flatnonzero(found >= 0)
            return (rows, sets[rows], found[rows]), list(np.flatnonzero(found < 0))
        losses = self._losses(moves, values, priors, spread, truth, found)
        eligible = (
            (found == -1) & (most < p.neg_overlap) if self.mining == _P.MAX_NEGATIVE else np.full(len(found), True)
        )
        if quiet is not None:
            eligible &= ~quiet | (found >= 0)
        count = (
            p.sample_size if self.mining == _P.HARD_EXAMPLE else int((found >= 0).sum() * np.float32(p.neg_pos_ratio))
        )
        boxes = priors if p.use_prior_for_nms else self._decoded(moves[:, 0], priors, spread)
        picks = _box_matching.hardest(losses, eligible, count, self._nms(boxes))
        if self.mining == _P.HARD_EXAMPLE:
            found[(found >= 0) & ~np.isin(np.arange(len(found)), picks)] = -1
        rows = np.flatnonzero(found >= 0)
        return (rows, sets[rows], found[rows]), [n for n in sorted(picks) if found[n] == -1]

    def _found(self, moves, priors, spread, truth):
        p = self.param.multibox_loss_param
        options = (p.overlap_threshold, p.match_type == _P.BIPARTITE, p.ignore_cross_boundary_bbox)
        if p.use_prior_for_matching:
            return _box_matching.match(priors, truth[:, 1:5], *options)
        self.need(p.share_location, "use_prior_for_matching: false needs share_location: true")
        return _box_matching.match(self._decoded(moves[:, 0], priors, spread), truth[:, 1:5], *options)

    def _decoded(self, moves, priors, spread):
        p = self.param.multibox_loss_param
        return _boxes.decode(moves, priors, None if p.encode_variance_in_target else spread, p.code_type)

    def _nms(self, boxes):
        """Return the non-maximum suppression of nms_param on `boxes` in an order, or None."""
        p = self.param.multibox_loss_param
        if not p.HasField("nms_param") or p.nms_param.nms_threshold <= 0:
            return None
        top_k = p.nms_param.top_k if p.nms_param.top_k > 0 else None
        return lambda order: _boxes.suppress(boxes[order][:top_k], p.nms_param.nms_threshold)

    def _losses(self, moves, values, priors, spread, truth, found):
        """Return the loss of each prior for mining: of its scores, and for HARD_EXAMPLE of its offsets."""
        p = self.param.multibox_loss_param
        labels = np.where(found >= 0, truth[np.maximum(found, 0), 0], self._background).astype(int)
        if p.conf_loss_type == _P.SOFTMAX:
            powers = np.exp(values - values.max(1, keepdims=True))
            chances = powers[np.arange(len(labels)), labels] / powers.sum(1)
            losses = -np.log(np.maximum(chances, _loss.FLT_MIN))
        else:
            expected = np.arange(p.num_classes) == labels[:, None]
            losses = (np.maximum(values, 0) - values * expected + np.log1p(np.exp(-np.abs(values)))).sum(1)
        if self.mining == _P.HARD_EXAMPLE:
            rows = np.flatnonzero(found >= 0)
            pairs = self._targets(truth[found[rows], 1:5], priors[rows], spread[rows], moves[rows, 0])
            d = np.abs((moves[rows, 0] - pairs[:, 0]) * pairs[:, 1])
            smooth = np.where(d < 1, d * d / 2, d - 0.5) if p.loc_loss_type == _P.SMOOTH_L1 else d * d / 2
            losses[rows] += smooth.sum(1)
        return losses

    def _targets(self, truth, priors, spread, moves):
        """Return (target, weight) of the offsets of matched priors, n x 2 x 4; bp_inside gives weights of 0."""
        p = self.param.multibox_loss_param
        targets = _boxes.encode(truth, priors, spread, p.code_type)
        weights = np.ones_like(targets)
        if p.encode_variance_in_target:
            weights = weights / spread
            targets = targets * spread
        if p.bp_inside:
            boxes = priors if p.use_prior_for_matching else self._decoded(moves, priors, spread)
            weights[(boxes < 0) | (boxes > 1)] = 0
        return np.stack([targets, weights], axis=1)


def _loss_of_offsets(kind: int, moves: Tensor, targets: Any) -> Tensor:
    """Return the sum of the losses of offsets (n x 4) for (target, weight) pairs (n x 2 x 4)."""
    d = (moves - targets[:, 0]) * targets[:, 1]
    if kind == _P.L2:
        return (d * d).sum() / 2
    size = d.abs()
    return torch.where(size < 1, d * d / 2, size - 0.5).sum()
