"""Pass: max pooling of a rectified blob pools first and rectifies the little that is left."""

import torch

from caffe.passes.blob_users import is_relu_in_place, nodes_using


def pool_before_relu(nodes):
    """Let `ReLU in place, then MAX Pooling` run as Pooling, then ReLU.

    Both only ever keep larger values, so forward is equal bit for bit, and so is backward: where a window's
    largest value is not positive, either order passes nothing on; elsewhere the first maximum is the same.
    """
    for i, node in enumerate(nodes):
        if not is_relu_in_place(node) or any(node.losses):
            continue
        later = [j for j in nodes_using(nodes, node.top_blobs[0]) if j > i]
        if len(later) == 1 and _is_max_pooling(nodes[later[0]]):
            pair = Pair(node.layer, nodes[later[0]].layer)
            node.fast, nodes[later[0]].fast = DeferredReLU(pair), EarlyPooling(pair)
            node.reach = nodes[later[0]].reach = (i, later[0])


def _is_max_pooling(node):
    method = node.layer.param.pooling_param
    return node.layer.type == "Pooling" and method.pool == method.MAX and len(node.tops) == 1


class Pair:
    """A ReLU and the Pooling behind it; `tape` is what a swapped forward left for backward."""

    def __init__(self, relu, pool):
        self.relu, self.pool, self.tape = relu, pool, None

    def split(self):
        """Have either layer's backward run its forward anew: nothing changes if one rectifies or pools twice."""
        self.tape = None


class DeferredReLU:
    """In the ReLU's place: the blob is rectified only if somebody looks at it before the next forward."""

    def __init__(self, pair):
        self.pair = pair
        self.fall_back = pair.split

    def forward_blobs(self, bottoms, tops, record):
        self.pair.tape = None
        self.pair.relu.release()
        if tops[0].has_live_view:
            self.pair.relu.forward_blobs(bottoms, tops, record)
        else:
            bottoms[0].tensor  # noqa: B018  (what was deferred before is done now)
            tops[0].set_pending(torch.relu)

    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.pair.tape is None:  # else Pooling's backward went through the ReLU
            self.pair.relu.backward_blobs(tops, propagate_down, bottoms)


class EarlyPooling:
    """In the Pooling's place: pools what the ReLU has not yet touched, then rectifies."""

    def __init__(self, pair):
        self.pair = pair
        self.fall_back = pair.split

    def forward_blobs(self, bottoms, tops, record):
        pool, source = self.pair.pool, bottoms[0].pending_tensor
        pool.release()
        if source is None:  # somebody looked at the ReLU's top in between
            return pool.forward_blobs(bottoms, tops, record)
        source = pool.laid_out(source.detach()).requires_grad_(bool(record))
        with torch.set_grad_enabled(bool(record)):
            top = pool.forward(source).relu_()
        self.pair.tape = (source, top) if record else None
        tops[0].set(top.detach())

    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.pair.tape is None:
            return self.pair.pool.backward_blobs(tops, propagate_down, bottoms)
        source, top = self.pair.tape
        if any(propagate_down):
            grad = tops[0].grad.to(top.dtype).reshape(top.shape)
            bottoms[0].set_grad(*torch.autograd.grad(top, source, grad, retain_graph=True))
