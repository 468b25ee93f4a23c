"""SeLu."""

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, register


@register
class SeLu(Layer):
    """y = lambda * x where x > 0, else lambda * alpha * (e^x - 1), of selu_param: 1.0507 and 1.6733 (Klambauer et al. 2017)."""

    examples = (Example("", [(2, 3, 4)]), Example("selu_param { lambda: 2 alpha: 0.5 }", [(2, 3, 4)]))

    @property
    def factors(self):
        """(lambda, alpha)."""
        p = self.param.selu_param
        return getattr(p, "lambda"), p.alpha

    def forward(self, x):
        scale, alpha = self.factors
        return scale * F.elu(x, alpha)

    def to_onnx(self, g, bottoms, tops):
        scale, alpha = self.factors
        g.node("Selu", bottoms, tops, alpha=alpha, gamma=scale)
