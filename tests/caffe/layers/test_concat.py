"""Concat against its definition, value by value."""

import numpy as np
import pytest
from support.reference import hold, refusal


def join(axis):
    def concat(*bottoms):
        shape = list(bottoms[0].shape)
        shape[axis] = sum(b.shape[axis] for b in bottoms)
        y = np.zeros(shape)
        for place in np.ndindex(*shape):
            at, number = list(place), 0
            while at[axis] >= bottoms[number].shape[axis]:
                at[axis] -= bottoms[number].shape[axis]
                number += 1
            y[place] = bottoms[number][tuple(at)]
        return [y]

    return concat


@pytest.mark.parametrize(
    ("text", "axis", "shapes"),
    [
        ("", 1, [(2, 1, 3), (2, 3, 3), (2, 2, 3)]),
        ("concat_param { axis: -1 }", 2, [(2, 3, 1), (2, 3, 2)]),
        ("concat_param { axis: 0 }", 0, [(2,), (3,)]),
        ("concat_param { concat_dim: 2 }", 2, [(1, 2, 2, 3), (1, 2, 1, 3)]),
        ("", 1, [(2, 3)]),
    ],
)
def test_equals_the_definition(text, axis, shapes):
    rng = np.random.default_rng(1)
    hold("Concat", text, [rng.standard_normal(s) for s in shapes], join(axis))


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        ("concat_param { axis: 1 concat_dim: 1 }", [(2, 3), (2, 3)], "axis or concat_dim, not both"),
        ("concat_param { axis: 2 }", [(2, 3), (2, 3)], "axis 2 is out of range"),
        ("concat_param { concat_dim: 2 }", [(2, 3), (2, 3)], "concat_dim 2 is out of range"),
        ("", [(2, 3, 4), (2, 3, 5)], "bottom 1 is (2, 3, 5)"),
        ("", [(2, 3), (2, 3, 1)], "must agree in all axes but axis 1"),
    ],
)
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("Concat", text, shapes)


def test_intels_permutes_and_flattens_first():
    def joined(*bottoms):
        rows = [
            [np.concatenate([b[n, :, i, j] for i, j in np.ndindex(*b.shape[2:])]) for b in bottoms] for n in range(2)
        ]
        return [np.stack([np.concatenate(parts) for parts in rows])]

    rng = np.random.default_rng(3)
    hold(
        "Concat",
        "concat_param { per_fla_fuse: true }",
        [rng.standard_normal(s) for s in ((2, 3, 2, 2), (2, 2, 1, 3))],
        joined,
    )
