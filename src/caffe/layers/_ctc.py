"""Connectionist temporal classification: labels and lengths from Caffe's bottoms, and the costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import Layer, Shape, Tensor


class CTCLayer(Layer):
    """Base class: the costs of T x N x C scores, before the softmax, and sequences of labels.

    Bottoms: scores and labels (N x L, padded with the blank), or scores, indicators (T x N, 0 ends a sequence) and
    labels (L x N, negative after the end), or scores, lengths of the sequences, lengths of the labels, and labels (L x
    N).
    """

    num_bottom = (2, 4)
    is_loss = auto_top = True
    no_gradient = (1, 2, 3)
    no_onnx = "it is a loss, for training only"

    def top_shapes(self, scores: Shape, *others: Shape) -> list[Shape]:
        self.need(
            len(scores) >= 3 and math.prod(scores[3:]) == 1, "the scores must be T x N x C (x 1), received %s", scores
        )
        blank = self.param.ctc_loss_param.blank_index
        self.need(blank < scores[2], "blank_index %d is not one of %d classes", blank, scores[2])
        self.need(
            all(int(np.prod(other)) % scores[1] == 0 for other in others),
            "the bottoms after the scores must be for %d sequences, received %s",
            scores[1],
            others,
        )
        if len(others) == 2:
            self.need(
                math.prod(others[0]) == scores[0] * scores[1],
                "the second bottom must be T x N = %d x %d, received %s",
                *(*scores[:2], others[0]),
            )
        return [()]

    def costs(self, scores: Tensor, others: tuple[Tensor, ...]) -> Tensor:
        """Return the cost of each sequence; one that cannot have its labels, or has none, costs 0."""
        steps, count, classes = scores.shape[:3]
        lengths, labels = self._targets(steps, count, [x.detach().cpu().numpy() for x in others])
        blank = self.param.ctc_loss_param.blank_index % classes
        for sequence in labels:
            wrong = [label for label in sequence if not 0 <= label < classes or label == blank]
            self.need(
                not wrong, "label %d is not one of the %d classes other than the blank (%d)", *wrong[:1], classes, blank
            )
        flat = [label for sequence in labels for label in sequence]
        return F.ctc_loss(
            torch.log_softmax(scores.reshape(steps, count, classes), dim=2),
            torch.tensor(flat, dtype=torch.long).to(scores.device),
            tuple(lengths),
            tuple(len(sequence) for sequence in labels),
            blank=blank,
            reduction="none",
            zero_infinity=True,
        )

    def _targets(self, steps: int, count: int, others: list[np.ndarray]) -> tuple[list[int], list[list[int]]]:
        """Return the length and the labels of each sequence."""
        blank = self.param.ctc_loss_param.blank_index
        if len(others) == 1:
            rows = others[0].reshape(count, -1)
            return [steps] * count, [[int(v) for v in row if int(v) != blank] for row in rows]
        labels = others[-1].reshape(-1, count).T
        if len(others) == 3:
            sizes = others[1].ravel().astype(int)
            return others[0].ravel().astype(int).tolist(), [[int(v) for v in r[:n]] for r, n in zip(labels, sizes)]
        going = others[0].reshape(steps, count).T
        lengths = [next((t for t in range(1, steps) if row[t] < 0.5), steps) for row in going]
        return lengths, [[int(v + 0.5) + self.label_offset for v in _until_negative(row)] for row in labels]

    label_offset = 0


def _until_negative(row: Any) -> list[float]:
    end = next((i for i, value in enumerate(row) if value < 0), len(row))
    return list(row[:end])
