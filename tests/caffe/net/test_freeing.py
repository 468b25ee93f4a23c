"""Freed and repeated blobs: the same losses and weights bit for bit as training that keeps every blob."""

import numpy as np
import pytest
import torch

import caffe
from caffe.core import config
from caffe.errors import CaffeError
from caffe.net import segments
from caffe.proto import caffe_pb2, text
from caffe.solver.solver import Solver

DATA = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 6 dim: 3 dim: 16 dim: 16 } shape { dim: 6 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
"""


def conv(name, bottom, outputs=8, kernel=3):
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param {{ num_output: '
        f'{outputs} kernel_size: {kernel} pad: {kernel // 2} weight_filler {{ type: "xavier" }} }} }}\n'
    )


def in_place(kind, name, blob, param=""):
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{blob}" top: "{blob}" {param} }}\n'


def head(bottom, name="loss"):
    return (
        f'layer {{ name: "ip_{name}" type: "InnerProduct" bottom: "{bottom}" top: "ip_{name}" '
        'inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }\n'
        f'layer {{ name: "{name}" type: "SoftmaxWithLoss" bottom: "ip_{name}" bottom: "label" top: "{name}" }}\n'
    )


def pool(name, bottom):
    return (
        f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" '
        "pooling_param { kernel_size: 2 stride: 2 } }\n"
    )


def batch_norm(blob):
    scale = in_place("Scale", blob + "_scale", blob, "scale_param { bias_term: true }")
    return in_place("BatchNorm", blob + "_norm", blob) + scale + in_place("ReLU", blob + "_relu", blob)


def eltwise(name, *bottoms):
    listed = " ".join(f'bottom: "{b}"' for b in bottoms)
    return f'layer {{ name: "{name}" type: "Eltwise" {listed} top: "{name}" }}\n'


DROPOUT = "".join(
    conv(f"c{i}", f"c{i - 1}" if i else "data")
    + in_place("ReLU", f"r{i}", f"c{i}")
    + in_place("Dropout", f"d{i}", f"c{i}")
    for i in range(6)
)
RESIDUAL = conv("s0", "data") + batch_norm("s0")
for i in range(1, 5):
    RESIDUAL += conv(f"a{i}", f"s{i - 1}") + batch_norm(f"a{i}") + conv(f"b{i}", f"a{i}")
    RESIDUAL += eltwise(f"s{i}", f"s{i - 1}", f"b{i}") + in_place("ReLU", f"e{i}", f"s{i}")
SEPARATE = "".join(  # the normalized values have a blob of their own
    conv(f"c{i}", f"n{i - 1}" if i else "data")
    + f'layer {{ name: "n{i}" type: "BatchNorm" bottom: "c{i}" top: "n{i}" }}\n'
    + in_place("Scale", f"t{i}", f"n{i}", "scale_param { bias_term: true }")
    + in_place("ReLU", f"r{i}", f"n{i}")
    for i in range(4)
)
NETS = {
    "BatchNorm with a top of its own": SEPARATE + head("n3"),
    "dropout": DROPOUT + head("c5"),
    "residual blocks with BatchNorm": RESIDUAL + head("s4"),
    "a loss in the middle": DROPOUT + head("c2", "early") + head("c5"),
    "pooling and Fourier transforms": conv("c0", "data", 64, 5)
    + in_place("ReLU", "r0", "c0")
    + pool("p0", "c0")
    + conv("c1", "p0", 64, 5)
    + in_place("ReLU", "r1", "c1")
    + pool("p1", "c1")
    + head("p1"),
    "a layer with state": DROPOUT
    + 'layer { name: "m" type: "MarginInnerProduct" bottom: "c5" bottom: "label" top: "m" top: "lambda" '
    "margin_inner_product_param { num_output: 4 type: DOUBLE base: 10 gamma: 0.1 power: 1 lambda_min: 1 "
    'weight_filler { type: "xavier" } } }\n'
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "m" bottom: "label" top: "loss" }\n',
}


def train(body, free, steps=3, **fields):
    """Train a few steps; return losses, weights (with statistics) and the solver."""
    config.set_random_seed(3)
    param = caffe_pb2.SolverParameter(
        base_lr=0.02,
        lr_policy="fixed",
        momentum=0.9,
        random_seed=3,
        snapshot_after_train=False,
        max_iter=steps,
        **fields,
    )
    text.parse(DATA + body, param.net_param)
    trainer = caffe.SGDSolver.from_param(param)
    free(trainer)
    losses = []
    for _ in range(steps):
        trainer.step(1)
        losses.append(float(trainer._losses[-1]))
    weights = [b.data.copy() for blobs in trainer.net.params.values() for b in blobs]
    return losses, weights, trainer


def plain(trainer):
    pass


def checkpointing(trainer):
    trainer.free_blobs(checkpointing=True)


@pytest.mark.parametrize("free", [Solver.free_blobs, checkpointing])
@pytest.mark.parametrize("name", NETS)
def test_training_is_equal_bit_for_bit(name, free):
    losses, weights, _ = train(NETS[name], plain)
    free_losses, free_weights, trainer = train(NETS[name], free)
    assert free_losses == losses
    for one, other in zip(weights, free_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    if free is checkpointing:
        assert any(segment.repeated for segment in trainer.net.freeing.segments)


def test_freed_blobs_say_so_and_kept_ones_are_readable():
    _, _, trainer = train(NETS["a loss in the middle"], checkpointing)
    net = trainer.net
    for read in (lambda: net.blobs["c1"].data, lambda: net.blobs["c1"].diff, lambda: net.blobs["c1"].tensor):
        with pytest.raises(CaffeError, match="freed to save memory"):
            read()
    for name in ("data", "label", "loss", "early"):
        assert np.isfinite(net.blobs[name].data).all()
    assert net.params["c1"][0].diff.any()


def test_segments_cover_the_net_and_need_less_memory():
    net = train(NETS["residual blocks with BatchNorm"], checkpointing, steps=1)[2].net
    parts = net.freeing.segments
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
    assert (parts[0].first, parts[-1].last) == (0, len(net.nodes) - 1)
    assert not parts[0].repeated and not parts[-1].repeated  # reads data; its backward pass follows at once
    whole = [segments.Segment(0, len(net.nodes) - 1, repeated=False)]
    assert segments._memory(net.nodes, parts) < 0.7 * segments._memory(net.nodes, whole)


def test_a_segment_starts_neither_before_an_in_place_layer_nor_between_layers_that_run_together():
    net = train(NETS["residual blocks with BatchNorm"], plain, steps=1)[2].net
    starts = segments.boundaries(net.nodes)
    names = [net.nodes[i].layer.name for i in starts]
    assert not {"s0_norm", "s0_scale", "s0_relu", "e1"} & set(names)
    assert {"s0", "a1", "b1"} <= set(names)


def test_tensors_are_freed():
    """Count the bytes of the blobs that live after forward, and after backward."""
    sizes = {}
    for name, free in (("kept", plain), ("freed", Solver.free_blobs), ("checkpointing", checkpointing)):
        net = train(NETS["dropout"], free, steps=1)[2].net
        net.freeing.forward() if net.freeing else net.forward_range(0, len(net.nodes) - 1)
        after_forward = _live_bytes(net)
        net.freeing.backward() if net.freeing else net.backward_range(len(net.nodes) - 1, 0)
        sizes[name] = after_forward, _live_bytes(net)
    assert sizes["checkpointing"][0] < 0.7 * sizes["freed"][0] <= sizes["kept"][0]
    assert sizes["freed"][1] == sizes["checkpointing"][1] < 0.2 * sizes["kept"][1]


def _live_bytes(net):
    storages = [storage for blob in net.blobs.values() for storage in (blob._data, blob._diff)]
    return sum(4 * storage.tensor.numel() for storage in storages if storage.tensor is not None)


def test_split_sums_diffs_in_the_memory_of_one_that_nothing_else_shares():
    _, _, trainer = train(NETS["residual blocks with BatchNorm"], Solver.free_blobs, steps=1)
    net = trainer.net
    splits = [node for node in net.nodes if node.layer.type == "Split" and any(node.bottom_need_backward)]
    assert len(splits) == 4
    for split in splits:
        assert split.layer.overwritable == 0  # the convolution's; that of the Eltwise is the diff of its top
        diffs = [np.random.default_rng(i).normal(size=split.top_blobs[0].shape).astype("float32") for i in range(2)]
        for seen in (False, True):
            net.before_backward(print) if seen else None
            for blob, diff in zip(split.top_blobs, diffs):
                blob.set_grad(torch.from_numpy(diff.copy()))
            split.layer.backward_blobs(split.top_blobs, [True], split.bottom_blobs)
            (bottom,) = split.bottom_blobs
            assert torch.equal(bottom.grad, torch.from_numpy(diffs[0] + diffs[1]))
            assert torch.equal(split.top_blobs[1].grad, torch.from_numpy(diffs[1]))
            assert (bottom.grad.data_ptr() == split.top_blobs[0].grad.data_ptr()) is not seen
        net._callbacks.clear()


def test_split_keeps_a_diff_that_a_program_holds():
    _, _, trainer = train(NETS["residual blocks with BatchNorm"], Solver.free_blobs, steps=1)
    split = next(node for node in trainer.net.nodes if getattr(node.layer, "overwritable", None) == 0)
    for blob in split.top_blobs:
        blob.set_grad(torch.ones(blob.shape))
    held = split.top_blobs[0].diff
    split.layer.backward_blobs(split.top_blobs, [True], split.bottom_blobs)
    assert (held == 1).all() and (split.bottom_blobs[0].diff == 2).all()


def test_callbacks_see_every_layer_once_with_its_blobs():
    seen = []

    def free(trainer):
        trainer.free_blobs(checkpointing=True)
        trainer.net.after_forward(seen.append)

    _, _, trainer = train(NETS["dropout"], free, steps=1)
    assert seen == list(range(len(trainer.net.nodes)))
    assert trainer.net.blobs["c1"].data.any()


@pytest.mark.parametrize("name", ["dropout", "BatchNorm with a top of its own"])
def test_test_nets_give_the_same_results_and_are_freed(name):
    results = []
    for free in (plain, checkpointing):
        trainer = train(NETS[name], free, steps=2, test_iter=[2], test_interval=10)[2]
        results.append(trainer.test())
    assert results[0] == results[1]
    with pytest.raises(CaffeError, match="freed to save memory"):
        trainer.test_nets[0].blobs["c1"].data  # noqa: B018


TWICE = """
import caffe

class Twice(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
"""


def test_blobs_of_python_layers_are_kept(tmp_path, monkeypatch):
    (tmp_path / "twice_layer.py").write_text(TWICE)
    monkeypatch.syspath_prepend(tmp_path)
    layer = 'layer { name: "p" type: "Python" bottom: "c2" top: "p" python_param { module: "twice_layer" layer: "Twice" } }\n'
    body = conv("c0", "data") + conv("c1", "c0") + conv("c2", "c1") + layer + conv("c3", "p") + head("c3")
    losses, _, trainer = train(body, checkpointing)
    assert losses == train(body, plain)[0]
    net = trainer.net
    assert net.blobs["p"].data.any() and net.blobs["c2"].diff.any()
    with pytest.raises(CaffeError, match="freed to save memory"):
        net.blobs["c1"].data  # noqa: B018


def test_several_passes_per_iteration():
    runs = [train(NETS["dropout"], free, iter_size=2)[:2] for free in (plain, checkpointing)]
    assert runs[0][0] == runs[1][0]
    for one, other in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_bf16_is_equal_too():
    def precise(free):
        def start(trainer):
            trainer.net.set_precision("bf16")
            free(trainer)

        return start

    runs = [train(NETS["residual blocks with BatchNorm"], precise(free))[0] for free in (plain, checkpointing)]
    assert runs[0] == runs[1]
