"""MarginInnerProduct: SphereFace's inner product with an angular margin."""

from __future__ import annotations

from typing import Any

from caffe.layers._margin import MarginLayer
from caffe.layers.base import Example, register


@register
class MarginInnerProduct(MarginLayer):
    """Inner products with normalized weights and an angular margin m for the label (SphereFace, Liu et al. 2017).

    Each forward pass normalizes the rows of the weights. The logit of the label is |x| ((-1)^k cos(m angle) - 2 k),
    with m = 1 to 4 for `type` SINGLE to QUADRUPLE and k = floor(m angle / pi). The result is averaged with x'w, whose
    weight is lambda = max(base (1 + gamma iteration)^-power, lambda_min). The second top is lambda.
    """

    normalizes_weights = True
    examples = (
        Example(
            'margin_inner_product_param { num_output: 4 type: QUADRUPLE base: 2 weight_filler { type: "xavier" } }',
            [(3, 5), (3,)],
            ("normal", 4),
            tops=2,
        ),
    )

    @property
    def margin(self) -> Any:
        return self.param.margin_inner_product_param
