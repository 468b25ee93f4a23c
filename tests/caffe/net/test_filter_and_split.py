"""Phase rules by truth table, Split layers with Caffe's names, and which layers run backward."""

import pytest

from caffe.errors import CaffeError
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2, text

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def net_param(body):
    message = caffe_pb2.NetParameter()
    text.parse(body, message)
    return message


def layer_param(body):
    message = caffe_pb2.LayerParameter()
    text.parse(body, message)
    return message


# -- rules -----------------------------------------------------------------------------------------

RULES = [  # rule, phase, level, stages of the net, whether the rule is met
    ("", TRAIN, 0, (), True),
    ("phase: TRAIN", TRAIN, 0, (), True),
    ("phase: TRAIN", TEST, 0, (), False),
    ("min_level: 2", TRAIN, 1, (), False),
    ("min_level: 2", TRAIN, 2, (), True),
    ("max_level: 2", TRAIN, 2, (), True),
    ("max_level: 2", TRAIN, 3, (), False),
    ("max_level: -1", TRAIN, 0, (), False),
    ("min_level: 1 max_level: 3", TRAIN, 2, (), True),
    ('stage: "a"', TRAIN, 0, (), False),
    ('stage: "a"', TRAIN, 0, ("a", "b"), True),
    ('stage: "a" stage: "b"', TRAIN, 0, ("a",), False),
    ('stage: "a" stage: "b"', TRAIN, 0, ("b", "a"), True),
    ('not_stage: "a"', TRAIN, 0, (), True),
    ('not_stage: "a"', TRAIN, 0, ("a",), False),
    ('not_stage: "a" not_stage: "b"', TRAIN, 0, ("b",), False),
    ('stage: "a" not_stage: "b"', TRAIN, 0, ("a",), True),
    ('stage: "a" not_stage: "b"', TRAIN, 0, ("a", "b"), False),
    ('phase: TEST min_level: 1 stage: "a"', TEST, 1, ("a",), True),
    ('phase: TEST min_level: 1 stage: "a"', TRAIN, 1, ("a",), False),
]


@pytest.mark.parametrize("rule, phase, level, stages, met", RULES)
def test_include_and_exclude_rules(rule, phase, level, stages, met):
    state = filter_and_split.net_state(phase, level, stages)
    assert filter_and_split.included(layer_param(f"include {{ {rule} }}"), state) is met
    assert filter_and_split.included(layer_param(f"exclude {{ {rule} }}"), state) is not met


@pytest.mark.parametrize("phase, includes", [(TRAIN, True), (TEST, True)])
def test_several_rules(phase, includes):
    """One satisfied include rule suffices, as does one exclude rule; a layer without rules is included."""
    state = filter_and_split.net_state(phase)
    assert filter_and_split.included(layer_param("include { phase: TRAIN } include { phase: TEST }"), state) is includes
    assert (
        filter_and_split.included(layer_param("exclude { phase: TRAIN } exclude { phase: TEST }"), state)
        is not includes
    )
    assert filter_and_split.included(layer_param("include { phase: TRAIN } include { min_level: 1 }"), state) is (
        phase == TRAIN
    )
    assert filter_and_split.included(layer_param(""), state)


def test_filter_net_keeps_locations_in_sync():
    param = net_param("""name: "n" force_backward: true
        layer { name: "a" include { phase: TEST } } layer { name: "b" } layer { name: "c" exclude { phase: TEST } }""")
    for phase, names, locations in ((TEST, ["a", "b"], ["f:2", "f:3"]), (TRAIN, ["b", "c"], ["f:3", "f:4"])):
        filtered, where = filter_and_split.filter_net(param, filter_and_split.net_state(phase), ["f:2", "f:3", "f:4"])
        assert [layer.name for layer in filtered.layer] == names and where == locations
        assert filtered.name == "n" and filtered.force_backward


def test_layers_with_include_and_exclude_rules_raise_together():
    both = "include { phase: TEST } exclude { phase: TRAIN }"
    param = net_param(f'layer {{ name: "a" {both} }} layer {{ name: "b" }} layer {{ name: "c" {both} }}')
    with pytest.raises(CaffeError) as caught:
        filter_and_split.filter_net(param, filter_and_split.net_state(TEST), ["f:1", "f:2", "f:9"])
    lines = str(caught.value).splitlines()
    assert [line.split(": give")[0] for line in lines] == ["f:1: layer 'a'", "f:9: layer 'c'"]


# -- splits: expected names and weights are output of Caffe 1.0 ------------------------------------

INPUT = 'layer { name: "in" type: "Input" top: "x" top: "z" }'


def split(body):
    param = net_param(INPUT + body)
    out, locations = filter_and_split.insert_splits(param, [f"f:{i}" for i in range(len(param.layer))])
    assert len(locations) == len(out.layer)
    return out, locations


def connections(out):
    return [(layer.name, list(layer.bottom), list(layer.top)) for layer in out.layer]


def test_single_reader_needs_no_split():
    body = 'layer { name: "a" bottom: "x" top: "a" } layer { name: "b" bottom: "a" top: "b" }'
    assert connections(split(body)[0])[1:] == [("a", ["x"], ["a"]), ("b", ["a"], ["b"])]


def test_several_readers_including_one_that_reads_twice():
    out, locations = split(
        'layer { name: "a" bottom: "x" top: "a" } layer { name: "b" bottom: "x" top: "b" }'
        'layer { name: "c" bottom: "a" bottom: "a" bottom: "x" top: "c" }'
    )
    assert connections(out) == [
        ("in", [], ["x", "z"]),
        ("x_in_0_split", ["x"], ["x_in_0_split_0", "x_in_0_split_1", "x_in_0_split_2"]),
        ("a", ["x_in_0_split_0"], ["a"]),
        ("a_a_0_split", ["a"], ["a_a_0_split_0", "a_a_0_split_1"]),
        ("b", ["x_in_0_split_1"], ["b"]),
        ("c", ["a_a_0_split_0", "a_a_0_split_1", "x_in_0_split_2"], ["c"]),
    ]
    assert locations == ["f:0", "f:0", "f:1", "f:1", "f:2", "f:3"]
    assert out.layer[1].type == "Split" and not out.layer[1].loss_weight


def test_readers_use_the_last_in_place_writer():
    out, _ = split(
        'layer { name: "a" bottom: "x" top: "a" } layer { name: "r" bottom: "a" top: "a" }'
        'layer { name: "b" bottom: "a" top: "b" } layer { name: "c" bottom: "a" top: "c" }'
    )
    assert connections(out)[2:] == [
        ("r", ["a"], ["a"]),
        ("a_r_0_split", ["a"], ["a_r_0_split_0", "a_r_0_split_1"]),
        ("b", ["a_r_0_split_0"], ["b"]),
        ("c", ["a_r_0_split_1"], ["c"]),
    ]


def test_split_of_second_top_has_its_index():
    out, _ = split('layer { name: "b" bottom: "z" top: "b" } layer { name: "c" bottom: "z" top: "c" }')
    assert connections(out)[1] == ("z_in_1_split", ["z"], ["z_in_1_split_0", "z_in_1_split_1"])


def test_loss_weight_counts_as_reader_and_moves_to_the_first_copy():
    out, _ = split('layer { name: "a" bottom: "x" top: "a" loss_weight: 2 } layer { name: "b" bottom: "a" top: "b" }')
    assert connections(out)[1:] == [
        ("a", ["x"], ["a"]),
        ("a_a_0_split", ["a"], ["a_a_0_split_0", "a_a_0_split_1"]),
        ("b", ["a_a_0_split_1"], ["b"]),
    ]
    assert not any(out.layer[1].loss_weight) and list(out.layer[2].loss_weight) == [2, 0]


def test_loss_weight_alone_needs_no_split():
    out, _ = split('layer { name: "a" bottom: "x" top: "a" loss_weight: 2 }')
    assert len(out.layer) == 2 and list(out.layer[1].loss_weight) == [2]


def test_zero_loss_weight_is_not_a_reader():
    out, _ = split(
        'layer { name: "a" bottom: "x" top: "a1" top: "a2" loss_weight: 0 loss_weight: 3 }'
        'layer { name: "b" bottom: "a2" top: "b" } layer { name: "c" bottom: "a1" top: "c" }'
    )
    assert [layer.name for layer in out.layer] == ["in", "a", "a2_a_1_split", "b", "c"]
    assert list(out.layer[2].loss_weight) == [3, 0] and list(out.layer[4].bottom) == ["a1"]


def test_reused_top_name_is_another_blob():
    out, _ = split(
        'layer { name: "a" bottom: "x" top: "t" } layer { name: "b" bottom: "t" top: "b" }'
        'layer { name: "c" bottom: "z" top: "t" } layer { name: "d" bottom: "t" top: "d" }'
    )
    assert not any(layer.type == "Split" for layer in out.layer)


def test_unknown_bottom_is_left_unchanged():
    assert connections(split('layer { name: "a" bottom: "nowhere" top: "a" }')[0])[1][1] == ["nowhere"]


# -- backward --------------------------------------------------------------------------------------


class Node:
    def __init__(self, bottoms, tops, need, loss=0.0):
        self.bottoms, self.tops, self.losses = bottoms, tops, [loss] * len(tops)
        self.need_backward, self.bottom_need_backward = any(need), list(need)


def test_only_layers_that_lead_to_a_loss_run_backward():
    side, trunk, loss = (
        Node(["a"], ["side"], [True]),
        Node(["a"], ["b"], [True]),
        Node(["b", "label"], ["l"], [True, False], 1.0),
    )
    filter_and_split.mark_loss_paths([side, trunk, loss])
    assert (side.need_backward, side.bottom_need_backward) == (False, [False])
    assert (trunk.need_backward, trunk.bottom_need_backward) == (True, [True])
    assert (loss.need_backward, loss.bottom_need_backward) == (True, [True, False])


def test_layers_below_a_skipped_bottom_do_not_run_backward():
    first, second = Node(["x"], ["a"], [True]), Node(["a"], ["b"], [True])
    stop, loss = Node(["b"], ["c"], [False]), Node(["c"], ["l"], [True], 1.0)
    stop.need_backward = True  # propagate_down: false
    filter_and_split.mark_loss_paths([first, second, stop, loss])
    assert [n.need_backward for n in (first, second, stop, loss)] == [False, False, True, True]
