"""Concat compared with its definition, value by value."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


def join(axis):
    def concat(*bottoms):
        shape = list(bottoms[0].shape)
        shape[axis] = sum(b.shape[axis] for b in bottoms)
        y = np.zeros(shape)
        for position in np.ndindex(*shape):
            source, number = list(position), 0
            while source[axis] >= bottoms[number].shape[axis]:
                source[axis] -= bottoms[number].shape[axis]
                number += 1
            y[position] = bottoms[number][tuple(source)]
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
def test_matches_the_definition(text, axis, shapes):
    rng = np.random.default_rng(1)
    check_layer("Concat", text, [rng.standard_normal(s) for s in shapes], join(axis))


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("concat_param { axis: 1 concat_dim: 1 }", [(2, 3), (2, 3)], "axis or concat_dim, not both"),
        ("concat_param { axis: 2 }", [(2, 3), (2, 3)], "axis 2 is out of range"),
        ("concat_param { concat_dim: 2 }", [(2, 3), (2, 3)], "concat_dim 2 is out of range"),
        ("", [(2, 3, 4), (2, 3, 5)], "bottom 1 is (2, 3, 5)"),
        ("", [(2, 3), (2, 3, 1)], "must agree in all axes except axis 1"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("Concat", text, shapes)


def test_per_fla_fuse_permutes_and_flattens_first():
    def joined(*bottoms):
        rows = [
            [np.concatenate([b[n, :, i, j] for i, j in np.ndindex(*b.shape[2:])]) for b in bottoms] for n in range(2)
        ]
        return [np.stack([np.concatenate(parts) for parts in rows])]

    rng = np.random.default_rng(3)
    check_layer(
        "Concat",
        "concat_param { per_fla_fuse: true }",
        [rng.standard_normal(s) for s in ((2, 3, 2, 2), (2, 2, 1, 3))],
        joined,
    )
