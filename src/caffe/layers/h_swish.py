"""HSwish."""

from caffe.layers.base import Example, Layer, register
from caffe.layers.hard_swish import hard_swish_to_onnx


@register
class HSwish(Layer):
    """y = x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019; the name in further forks)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x):
        return x * (x + 3.0).clamp(0.0, 6.0) / 6.0

    def to_onnx(self, g, bottoms, tops):
        hard_swish_to_onnx(g, bottoms, tops)
