"""CTCGreedyDecoder compared with a loop over steps."""

import numpy as np
import pytest
from support.reference import one_layer_net, run


def decoded(x, blank, merge):
    y = np.full((x.shape[1], x.shape[0], 1, 1), -1.0)
    for n in range(x.shape[1]):
        last, length = None, 0
        for step in x[:, n]:
            best = int(step.argmax())
            if best != blank and not (merge and best == last):
                y[n, length] = best
                length += 1
            last = best
    return y


@pytest.mark.parametrize(
    ("text", "blank", "merge"), [("", 0, True), ("blank_index: -1 ctc_merge_repeated: false", 2, False)]
)
def test_matches_a_loop(text, blank, merge):
    x = np.random.default_rng(24).standard_normal((12, 3, 3))
    net = one_layer_net("CTCGreedyDecoder", f"ctc_decoder_param {{ {text} }}", [x.shape], force=False)
    assert np.array_equal(run(net, [x]).tops[0], decoded(x, blank, merge))
