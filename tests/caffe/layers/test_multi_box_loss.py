"""MultiBoxLoss compared with a reference of dictionaries and loops, and its gradients with finite differences."""

import functools

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net

CENTERS = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
PRIORS = np.array([[x - s, y - s, x + s, y + s] for x, y in CENTERS for s in (0.15, 0.3)])
VARIANCES = np.tile([0.1, 0.1, 0.2, 0.2], (len(PRIORS), 1))
BOTTOM = np.stack([PRIORS.ravel(), VARIANCES.ravel()])[None]
TRUTH = np.array(
    [
        [0, 1, 0, 0.1, 0.12, 0.42, 0.4, 0],
        [0, 2, 0, 0.5, 0.55, 0.97, 0.99, 0],
        [1, 2, 0, 0.05, 0.5, 0.5, 0.95, 1],
        [1, 1, 0, 0.6, 0.1, 0.9, 0.4, 0],
    ]
)[None, None]


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height)


@functools.cache
def matched(truth, least, bipartite):
    pairs = {(p, t): iou(prior, row[3:7]) for p, prior in enumerate(PRIORS) for t, row in enumerate(truth)}
    found = {}
    for (p, t), overlap in sorted(pairs.items(), key=lambda entry: -entry[1]):
        if overlap > 0 and p not in found and t not in found.values():
            found[p] = t
    for p in range(len(PRIORS)):
        t = max(range(len(truth)), key=lambda t: pairs[p, t])
        if not bipartite and p not in found and pairs[p, t] >= least:
            found[p] = t
    return found, [max(pairs[p, t] for t in range(len(truth))) for p in range(len(PRIORS))]


def code(box, prior, kind):
    pw, ph = prior[2] - prior[0], prior[3] - prior[1]
    if kind == "CORNER":
        raw = [a - b for a, b in zip(box, prior)]
    elif kind == "CORNER_SIZE":
        raw = [(a - b) / size for a, b, size in zip(box, prior, (pw, ph, pw, ph))]
    else:
        raw = [
            ((box[0] + box[2]) - (prior[0] + prior[2])) / 2 / pw,
            ((box[1] + box[3]) - (prior[1] + prior[3])) / 2 / ph,
            np.log((box[2] - box[0]) / pw),
            np.log((box[3] - box[1]) / ph),
        ]
    return [r / v for r, v in zip(raw, VARIANCES[0])]


def score_loss(row, label, logistic):
    if logistic:
        chances = 1 / (1 + np.exp(-row))
        return -sum(np.log(p if c == label else 1 - p) for c, p in enumerate(chances))
    return -np.log(np.exp(row[label]) / np.exp(row).sum())


def place_loss(moves, target, l2):
    return sum(d * d / 2 if l2 or abs(d) < 1 else abs(d) - 0.5 for d in np.subtract(moves, target))


def loss(
    offsets,
    scores,
    kind="CENTER_SIZE",
    ratio=3,
    bipartite=False,
    logistic=False,
    l2=False,
    difficult=True,
    weight=1.0,
    mining="MAX_NEGATIVE",
    sample=64,
):
    total, matches = 0.0, 0
    for item in range(len(offsets)):
        truth = [row for row in TRUTH[0, 0] if row[0] == item and (difficult or not row[7])]
        moves, values = offsets[item].reshape(-1, 4), scores[item].reshape(len(PRIORS), -1)
        found, most = matched(tuple(map(tuple, truth)), 0.5, bipartite)
        labels = [int(truth[found[p]][1]) if p in found else 0 for p in range(len(PRIORS))]
        each = [score_loss(values[p], labels[p], logistic) for p in range(len(PRIORS))]
        places = {p: place_loss(moves[p], code(truth[t][3:7], PRIORS[p], kind), l2) for p, t in found.items()}
        if mining == "NONE":
            kept, negatives = set(found), [p for p in range(len(PRIORS)) if p not in found]
        elif mining == "HARD_EXAMPLE":
            hard = sorted(range(len(PRIORS)), key=lambda p: -(each[p] + places.get(p, 0)))[:sample]
            kept, negatives = set(found) & set(hard), [p for p in hard if p not in found]
        else:
            candidates = [p for p in range(len(PRIORS)) if p not in found and most[p] < 0.5]
            kept = set(found)
            negatives = sorted(candidates, key=lambda p: -each[p])[: int(ratio * len(found))]
        matches += len(kept)
        total += weight * sum(places[p] for p in kept) + sum(each[p] for p in (*kept, *negatives))
    return [np.array(total / max(matches, 1))]


CASES = {
    "": {},
    "code_type: CORNER loc_weight: 2": {"kind": "CORNER", "weight": 2},
    "code_type: CORNER_SIZE neg_pos_ratio: 0.6": {"kind": "CORNER_SIZE", "ratio": 0.6},
    "match_type: BIPARTITE conf_loss_type: LOGISTIC loc_loss_type: L2": {
        "bipartite": True,
        "logistic": True,
        "l2": True,
    },
    "use_difficult_gt: false mining_type: NONE": {"difficult": False, "mining": "NONE"},
    "mining_type: HARD_EXAMPLE sample_size: 3": {"mining": "HARD_EXAMPLE", "sample": 3},
}


@pytest.mark.parametrize("fields", CASES)
def test_matches_loops_over_the_boxes(fields):
    options = {"kind": "CENTER_SIZE", **CASES[fields]}
    rng = np.random.default_rng(8)
    offsets, scores = rng.standard_normal((2, 4 * len(PRIORS))), rng.standard_normal((2, 3 * len(PRIORS)))
    code_type = "" if "code_type" in fields else "code_type: CENTER_SIZE"
    check_layer(
        "MultiBoxLoss",
        f"multibox_loss_param {{ num_classes: 3 {code_type} {fields} }}",
        [offsets, scores, BOTTOM, TRUTH],
        lambda o, s, p, t: loss(o, s, **options),
        fixed=(2, 3),
    )


def test_without_a_true_box_the_loss_is_zero():
    net = one_layer_net(
        "MultiBoxLoss", "multibox_loss_param { num_classes: 3 }", [(1, 32), (1, 24), (1, 2, 32), (1, 1, 1, 8)]
    )
    net.blobs["x0"].data[...] = 1
    net.blobs["x2"].data[...] = BOTTOM
    net.blobs["x3"].data[...] = -1
    assert net.forward()["y0"] == 0
    net.backward()
    assert not net.blobs["x1"].diff.any()


def test_the_arms_offsets_move_the_priors():
    """RefineDet: with the ARM's offsets, the loss is that of an SSD whose priors have been moved by them."""
    rng = np.random.default_rng(3)
    offsets, scores = rng.standard_normal((2, 32)), rng.standard_normal((2, 24))
    moved = BOTTOM.copy()
    moved[0, 0] += 0.02
    text = "multibox_loss_param { num_classes: 3 code_type: CORNER }"
    plain = one_layer_net("MultiBoxLoss", text, [(2, 32), (2, 24), (1, 2, 32), (1, 1, 4, 8)])
    arm = one_layer_net("MultiBoxLoss", text, [(2, 32), (2, 24), (1, 2, 32), (1, 1, 4, 8), (2, 16), (2, 32)])
    for net, priors in ((plain, moved), (arm, BOTTOM)):
        for name, value in zip(("x0", "x1", "x2", "x3"), (offsets, scores, priors, TRUTH)):
            net.blobs[name].data[...] = value
    arm.blobs["x4"].data[...] = 1
    arm.blobs["x5"].data[...] = (0.02 / VARIANCES).ravel()
    assert arm.forward()["y0"] == pytest.approx(float(plain.forward()["y0"]), rel=1e-5)


def test_faults_in_the_bottoms_and_labels():
    text = "multibox_loss_param { num_classes: 3 }"
    assert "need 32 offsets" in build_error("MultiBoxLoss", text, [(1, 30), (1, 24), (1, 2, 32), (1, 1, 1, 8)])
    net = one_layer_net("MultiBoxLoss", text, [(1, 32), (1, 24), (1, 2, 32), (1, 1, 1, 8)])
    net.blobs["x2"].data[...] = BOTTOM
    net.blobs["x3"].data[...] = [0, 3, 0, 0.1, 0.1, 0.4, 0.4, 0]
    with pytest.raises(Exception, match="label 3 of a true box"):
        net.forward()
