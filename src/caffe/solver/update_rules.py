"""Caffe's six update rules (sgd_solver.cpp, nesterov_solver.cpp …), simplest first.

A rule receives the learning rate, the history of a weight (tensors of its shape) and its gradient, and changes history
and gradient in place. The gradient becomes the update that is subtracted; pycaffe shows it as the weight's diff.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from caffe.errors import CaffeError


class SGD:
    """V = momentum * V + rate * g; update V. The rate sits inside V, so a drop acts on new gradients only."""

    histories = 1

    def __init__(self, param: Any) -> None:
        self.p = param
        self.check()

    def check(self) -> None:
        """Raise CaffeError for parameters that the rule does not support."""

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        """Change `history` and `gradient` in place."""
        history[0].mul_(self.p.momentum).add_(gradient, alpha=rate)
        gradient.copy_(history[0])


class Nesterov(SGD):
    """As SGD, then update (1 + momentum) * V - momentum * V_before (Nesterov's accelerated gradient)."""

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        before = history[0].clone()
        history[0].mul_(self.p.momentum).add_(gradient, alpha=rate)
        gradient.copy_(history[0]).mul_(1 + self.p.momentum).sub_(before, alpha=self.p.momentum)


class AdaGrad(SGD):
    """H = H + g^2; update rate * g / (sqrt(H) + delta) (Duchi et al. 2011)."""

    def check(self) -> None:
        if self.p.momentum:
            raise CaffeError(f"{type(self).__name__} takes no momentum, received {self.p.momentum:g}")

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        history[0].addcmul_(gradient, gradient)
        gradient.div_(history[0].sqrt().add_(self.p.delta)).mul_(rate)


class RMSProp(AdaGrad):
    """H = rms_decay * H + (1 - rms_decay) * g^2; update rate * g / (sqrt(H) + delta) (Tieleman & Hinton 2012)."""

    def check(self) -> None:
        super().check()
        if not 0 <= self.p.rms_decay < 1:
            raise CaffeError(f"rms_decay must be in 0 .. 1, received {self.p.rms_decay:g}")

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        decay = self.p.rms_decay
        history[0].mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
        gradient.div_(history[0].sqrt().add_(self.p.delta)).mul_(rate)


class AdaDelta(SGD):
    """Update u = g * sqrt((U + delta) / (H + delta)) * rate; H and U are running means of g^2 and u^2 (Zeiler 2012)."""

    histories = 2

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        squares, updates = history
        m, delta = self.p.momentum, self.p.delta
        squares.mul_(m).addcmul_(gradient, gradient, value=1 - m)
        gradient.mul_((updates + delta).div_(squares + delta).sqrt_())
        updates.mul_(m).addcmul_(gradient, gradient, value=1 - m)
        gradient.mul_(rate)


class Adam(SGD):
    """Running means M of g and V of g^2; update rate * sqrt(1 - b2^t) / (1 - b1^t) * M / (sqrt(V) + delta).

    Kingma & Ba 2015.
    """

    histories = 2

    def update(self, rate: float, history: Sequence[Any], gradient: Any, iteration: int) -> None:
        mean, square = history
        b1, b2, t = self.p.momentum, self.p.momentum2, iteration + 1
        mean.mul_(b1).add_(gradient, alpha=1 - b1)
        square.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        scale = rate * math.sqrt(1 - b2**t) / (1 - b1**t)
        gradient.copy_(mean).div_(square.sqrt().add_(self.p.delta)).mul_(scale)


UPDATE_RULES = {rule.__name__: rule for rule in (SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam)}
