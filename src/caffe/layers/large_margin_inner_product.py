"""LargeMarginInnerProduct: the inner product of the large-margin softmax."""

from __future__ import annotations

from typing import Any

from caffe.layers._margin import MarginLayer
from caffe.layers.base import Example, register


@register
class LargeMarginInnerProduct(MarginLayer):
    """Inner products with an angular margin m for the label (L-Softmax, Liu et al. 2016; caffe-windows).

    The logit of the label is |x| |w| ((-1)^k cos(m angle) - 2 k), with m = 1 to 4 for `type` SINGLE to QUADRUPLE and
    k = floor(m angle / pi). The result is averaged with x'w, whose weight is lambda = max(base (1 + gamma
    iteration)^-power, lambda_min). The second top is lambda.
    """

    examples = (
        Example(
            'largemargin_inner_product_param { num_output: 4 type: DOUBLE base: 2 weight_filler { type: "xavier" } }',
            [(3, 5), (3,)],
            ("normal", 4),
        ),
    )

    @property
    def margin(self) -> Any:
        return self.param.largemargin_inner_product_param
