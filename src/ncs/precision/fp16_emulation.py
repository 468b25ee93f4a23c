"""Emulates FP16 inference: weights and activations are rounded to FP16 layer by layer, sums are float32.

The emulation does not reproduce the device exactly: the order of its sums and the shortcuts of its hardware units are
unknown. Rounding, overflow to infinity above 65504 and denormals down to 2^-24 follow IEEE half precision. A
convolution followed by BatchNorm and Scale is one layer, as the device's compiler fuses it
(ncs.precision.conv_bn_fusion).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ncs.precision import conv_bn_fusion

if TYPE_CHECKING:
    from caffe.net.net import Net

LARGEST = 65504.0
SMALLEST_NORMAL = 2.0**-14


@dataclasses.dataclass(frozen=True)
class Layer:
    """Statistics of one layer.

    `largest` and `smallest` are the largest finite and the smallest nonzero |value| in float32. `overflow` counts
    values that are finite in float32 but not in FP16, `lost` those that become 0, `denormal` those below 2^-14 in FP16;
    `weights_overflow` and `weights_lost` count the layer's weights in the same way. `error` is the largest difference
    and `l2` the root mean square difference, both divided by the largest expected value; inf or nan if values are not
    finite. `own` is the `error` of the layer with exact inputs. `formed` is False for a layer that the device fuses
    with the next, so that its values are never rounded to FP16.
    """

    name: str
    type: str
    largest: float
    smallest: float
    overflow: int
    lost: int
    denormal: int
    weights_overflow: int
    weights_lost: int
    error: float
    l2: float
    own: float
    formed: bool = True


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    """Round a tensor to half precision; the result is float32."""
    return tensor.detach().half().float()


def round_weights(net: Net) -> dict[str, tuple[int, int]]:
    """Round all weights of `net` in place; return layer name -> (overflow count, lost count)."""
    counts, fused = {}, set()
    for fusion in conv_bn_fusion.find_fusions(net):
        names = [net.nodes[number].layer.name for number in (fusion.first, *fusion.followers)]
        counts[names[0]] = conv_bn_fusion.round_fused_weights(net, fusion)
        fused.update(names)
    for name, blobs in net.params.items():
        if name in fused:
            continue
        overflow = lost = 0
        for blob in blobs:
            half = blob.data.astype(np.float16, copy=True) if _fits(blob.data) else _half_with_overflow(blob.data)
            overflow += int(np.isinf(half).sum())
            lost += int(((half == 0) & (blob.data != 0)).sum())
            blob.data[...] = half
        counts[name] = (overflow, lost)
    return counts


def _fits(array):
    return np.abs(array).max(initial=0) < LARGEST


def _half_with_overflow(array):
    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def run_float32(net: Net, batch: np.ndarray) -> list[list[torch.Tensor]]:
    """Run `net` (one input) in float32; return the tops of every layer, in order."""
    return list(_run(net, batch, lambda tensor: tensor.detach().clone()))


def run_emulated(net: Net, batch: np.ndarray) -> list[list[torch.Tensor]]:
    """Run `net` with every top rounded to FP16; its weights must already be rounded."""
    return list(_run(net, rounded(torch.as_tensor(batch)), rounded, _unformed_nodes(net)))


def _unformed_nodes(net: Net) -> set[int]:
    return conv_bn_fusion.inner_nodes(conv_bn_fusion.find_fusions(net))


def _run(
    net: Net,
    batch: np.ndarray | torch.Tensor,
    transform: Callable[[torch.Tensor], torch.Tensor],
    unformed: Collection[int] = (),
) -> Iterator[list[torch.Tensor]]:
    """Yield the tops of every node after `transform`, which is not applied to the nodes `unformed`."""
    source = net.blobs[net.inputs[0]]
    source.reshape(*batch.shape)
    source.data[...] = np.asarray(batch)
    for number, node in enumerate(net.nodes):
        if node.layer.type != "Input":
            net.forward_range(number, number, record=False)
        convert = torch.Tensor.detach if number in unformed else transform
        tops = [convert(blob.tensor) for blob in node.top_blobs]
        for blob, top in zip(node.top_blobs, tops):
            blob.set(top)
        yield [top.clone() for top in tops] if number in unformed else tops


def predict(net: Net, batch: np.ndarray, half: bool = False) -> np.ndarray:
    """Run a batch in float32, or in the FP16 emulation.

    Parameters
    ----------
    net : Net
        One input, one output; for the emulation its weights must be rounded (`round_weights`).
    batch : numpy.ndarray
        Input (N, C, H, W), float32.
    half : bool
        Emulate FP16.

    Returns
    -------
    numpy.ndarray
        Output (N, K), float32.
    """
    data: Any = rounded(torch.as_tensor(batch)) if half else batch
    unformed = _unformed_nodes(net) if half else ()
    collections.deque(_run(net, data, rounded if half else torch.Tensor.detach, unformed), maxlen=0)
    return np.array(net.blobs[net.outputs[0]].data).reshape(len(batch), -1)


def analyze(net: Net, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Layer]]:
    """Run one batch in float32 and in the emulation; return (expected (N, K), emulated (N, K), layer statistics).

    Rounds the weights of `net` in place.
    """
    expected = run_float32(net, batch)
    weight_counts = round_weights(net)
    emulated = run_emulated(net, batch)
    unformed = _unformed_nodes(net)
    own = _run_with_exact_inputs(net, batch, expected, unformed)
    layers = []
    for number, (node, exact, approximate, alone) in enumerate(zip(net.nodes, expected, emulated, own)):
        if node.layer.type != "Split" and exact:
            counts = weight_counts.get(node.layer.name, (0, 0))
            layers.append(_statistics(node, exact, approximate, alone, counts, number not in unformed))
    last = {name: number for number, node in enumerate(net.nodes) for name in node.tops}
    number = last[net.outputs[0]]
    top = net.nodes[number].tops.index(net.outputs[0])
    pair = [tops[number][top].numpy().reshape(len(batch), -1) for tops in (expected, emulated)]
    return pair[0], pair[1], layers


def _run_with_exact_inputs(net, batch, expected, unformed):
    """Return the tops of every layer in FP16, computed from the rounded exact bottoms."""
    outputs = []
    source = net.blobs[net.inputs[0]]
    source.data[...] = np.asarray(rounded(torch.as_tensor(batch)))
    for number, node in enumerate(net.nodes):
        if node.layer.type != "Input":
            net.forward_range(number, number, record=False)
        convert = torch.Tensor.clone if number in unformed else rounded
        outputs.append([convert(blob.tensor.detach()) for blob in node.top_blobs])
        for blob, top in zip(node.top_blobs, outputs[-1] if number in unformed else map(rounded, expected[number])):
            blob.set(top)
    return outputs


def _statistics(node, exact, approximate, alone, weight_counts, formed):
    """Return the Layer of a node; values that are never rounded to FP16 (`formed` False) cannot overflow."""
    exact, approximate, alone = (
        np.concatenate([np.asarray(top).ravel() for top in tops]) for tops in (exact, approximate, alone)
    )
    finite = np.abs(exact[np.isfinite(exact)])
    nonzero = finite[finite > 0]
    with np.errstate(over="ignore"):
        half = exact.astype(np.float16) if formed else exact
    magnitude = np.abs(half[np.isfinite(half)]).astype(np.float32) if formed else np.ones(1, np.float32)
    error, l2 = relative_errors(exact, approximate)
    return Layer(
        node.layer.name,
        node.layer.type,
        float(finite.max(initial=0)),
        float(nonzero.min()) if nonzero.size else 0.0,
        int((np.isfinite(exact) & ~np.isfinite(half)).sum()),
        int(((half == 0) & (exact != 0)).sum()),
        int(((magnitude > 0) & (magnitude < SMALLEST_NORMAL)).sum()),
        weight_counts[0],
        weight_counts[1],
        error,
        l2,
        relative_errors(exact, alone)[0],
        formed,
    )


def relative_errors(expected: np.ndarray, result: np.ndarray) -> tuple[float, float]:
    """Return (largest, root mean square) difference divided by max|expected|; inf if a value is not finite."""
    if not np.isfinite(result).all() or not np.isfinite(expected).all():
        return float("inf"), float("inf")
    difference = np.abs(expected.astype(np.float64) - result)
    largest = float(np.abs(expected).max(initial=0))
    if not largest:
        return (0.0, 0.0) if not difference.any() else (float("inf"), float("inf"))
    return float(difference.max()) / largest, float(np.sqrt(np.mean(difference**2))) / largest
