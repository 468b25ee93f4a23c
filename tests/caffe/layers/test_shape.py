"""Shape outputs the shape of its bottom."""

from support.reference import one_layer_net, run


def test_outputs_the_shape():
    assert run(one_layer_net("Shape", "", [(2, 3, 5)], force=False), []).tops[0].tolist() == [2, 3, 5]
