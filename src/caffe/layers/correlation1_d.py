"""Correlation1D: Correlation along rows."""

from __future__ import annotations

from caffe.layers.base import Example, register
from caffe.layers.correlation import Correlation


@register
class Correlation1D(Correlation):
    """Correlation with horizontal displacements and horizontal padding only (FlowNet2).

    With single_direction 1, the displacements are 0 .. max_displacement; with -1, one step less: -max_displacement -
    stride_2 .. -stride_2, where pixels left of the padding are 0.
    """

    examples = (
        Example(
            "correlation_param { pad: 2 kernel_size: 1 max_displacement: 2 single_direction: -1 }", [(1, 3, 4, 6)] * 2
        ),
    )
