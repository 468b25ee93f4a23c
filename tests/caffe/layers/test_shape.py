"""Shape gives the extents."""

from support.reference import one_layer_net, run


def test_extents_as_values():
    assert run(one_layer_net("Shape", "", [(2, 3, 5)], force=False), []).tops[0].tolist() == [2, 3, 5]
