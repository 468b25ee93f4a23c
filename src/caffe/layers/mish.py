"""Mish."""

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import Example, Layer, register


@register
class Mish(Layer):
    """y = x * tanh(log(1 + e^x)) (Misra 2019; MobileNet-YOLO, Synopsys)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x):
        return x * torch.tanh(F.softplus(x))

    def to_onnx(self, g, bottoms, tops):
        soft, gate = g.temp("soft"), g.temp("gate")
        g.node("Softplus", bottoms, [soft])
        g.node("Tanh", [soft], [gate])
        g.node("Mul", [bottoms[0], gate], tops)
