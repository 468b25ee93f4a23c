"""BoxAnnotatorOHEM compared with sorting the losses of each image."""

import numpy as np
from support.reference import build_error, one_layer_net, run


def test_keeps_the_largest_losses_of_each_image():
    items = np.array([0, 1, 0, 1, 1, 0])
    rois = np.concatenate([items[:, None], np.zeros((6, 4))], axis=1)
    loss = np.array([0.5, 3, 2, 0.1, 1, 0.7])[:, None]
    labels, weights = np.arange(1.0, 7)[:, None], np.ones((6, 8))
    text = "box_annotator_ohem_param { roi_per_img: 2 ignore_label: -1 }"
    arrays = [rois, loss, labels, weights]
    net = one_layer_net("BoxAnnotatorOHEM", text, [a.shape for a in arrays], tops=2, force=False)
    kept, spread = run(net, arrays).tops
    assert kept.ravel().tolist() == [-1, 2, 3, -1, 5, 6]
    assert spread.tolist() == [[float(label > 0)] * 8 for label in kept.ravel()]


def test_roi_per_img_is_required():
    assert "roi_per_img" in build_error("BoxAnnotatorOHEM", "", [(2, 5), (2, 1), (2, 1), (2, 8)], tops=2)
