"""Split: copies forward, the sum backward."""

import numpy as np
import pytest
import torch
from support.layer_nets import run_layer

from caffe.layers import split


@pytest.mark.parametrize("tops", [1, 2, 5])
def test_value_and_gradient(tops):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    diffs = [np.random.default_rng(i).normal(size=(2, 3)).astype(np.float32) for i in range(tops)]
    run = run_layer("Split", "", x, tops=tops, diffs=diffs)
    assert len(run.tops) == tops and all(np.array_equal(t, x) for t in run.tops)
    assert np.allclose(run.diffs[0], sum(diffs), 1e-5, 1e-6)
    assert all(np.array_equal(run.net.blobs[f"t{i}"].diff, d) for i, d in enumerate(diffs))


@pytest.mark.parametrize("layouts", ["nhwc", "nchw", "mixed", "slices"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_sum_in_chunks_equals_the_plain_sum(layouts, chunk):
    random = torch.Generator().manual_seed(0)
    terms = [torch.randn(2, 6, 3, 5, generator=random) for _ in range(4)]
    if layouts == "slices":  # as the diffs of a Concat's bottoms
        terms = [term[:, :4] for term in terms]
    for i in {"nhwc": range(4), "mixed": (1, 2)}.get(layouts, ()):
        terms[i] = terms[i].contiguous(memory_format=torch.channels_last)
    expected = ((terms[0] + terms[1]) + terms[2]) + terms[3]
    before = [term.clone() for term in terms]
    total = split._sum(terms, torch.empty_like(terms[0]), chunk)
    assert torch.equal(total, expected)
    assert all(torch.equal(*pair) for pair in zip(terms, before))
    assert total.untyped_storage().data_ptr() not in {term.untyped_storage().data_ptr() for term in terms}
