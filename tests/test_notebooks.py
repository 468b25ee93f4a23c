"""The notebooks of docs/notebooks run from top to bottom; what they draw is held against plain loops."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.checkout import ROOT
from support.external_data import SHARED, needs_shared

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
KEEP = """
import numpy as np
pictures = [plt.figure(n).axes[0].images[0] for n in plt.get_fignums()]
np.savez("kept.npz", picture=picture, mean=mean, ages=ages, genders=genders,
         conv1=gender_net.params["conv1"][0].data, bias1=gender_net.params["conv1"][1].data, limits=pictures[2].get_clim(),
         **{"drawn%d" % i: np.asarray(each.get_array()) for i, each in enumerate(pictures)})
"""


def code_of(path):
    """The code cells, one after the other."""
    return "\n\n".join(
        "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    for cell in book["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and re.fullmatch("[a-zA-Z0-9-_]{1,64}", cell["id"])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])


def demonstrate(folder):
    """(what the demonstration printed, what it made), with `folder` as its cache."""
    (folder / "demo.py").write_text(code_of(ROOT / "docs" / "notebooks" / "levi_demo.ipynb") + KEEP)
    settings = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "CAFFE2NCS_CACHE": str(folder),
        "TMPDIR": str(folder),
        "GLOG_minloglevel": "2",
    }
    done = subprocess.run([sys.executable, "demo.py"], cwd=folder, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout, np.load(folder / "kept.npz")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demonstration without released weights."""
    return demonstrate(tmp_path_factory.mktemp("demo"))


@needs_shared
def test_the_released_mean_and_weights_are_taken_from_the_cache(tmp_path):
    """Weights of the real shapes (seeded numbers) and the real mean image, as `agegender zoo convert levi FILE` leaves them."""
    import caffe
    from agegender import zoo

    (tmp_path / "zoo").mkdir()
    shutil.copy(SHARED / "data" / "levi" / "mean.binaryproto", tmp_path / "zoo" / "levi-mean.binaryproto")
    for name in ("levi-age", "levi-gender"):
        caffe.set_random_seed(1)
        (tmp_path / "net.prototxt").write_text(str(zoo.nets()[name].body()))
        caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "zoo" / (name + ".caffemodel")))
    said, kept = demonstrate(tmp_path)
    assert "mean (3, 256, 256) from %s" % (tmp_path / "zoo" / "levi-mean.binaryproto") in said
    assert "mean nothing" not in said
    np.testing.assert_allclose(kept["mean"].mean((1, 2)), [78.42634, 87.76892, 114.89584], atol=2e-5)


def test_the_demonstration_answers(demo):
    said, kept = demo
    assert re.search(r"^predicted age: \(\d+, \d+\)$", said, re.M) and re.search(
        "^predicted gender: (Male|Female)$", said, re.M
    )
    assert said.count("its predictions mean nothing") == 2
    for probabilities, classes in ((kept["ages"], 8), (kept["genders"], 2)):
        assert probabilities.shape == (classes,) and probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_filters_are_drawn_as_they_are(demo):
    _, kept = demo
    first, drawn = kept["conv1"][:49], kept["drawn1"]
    assert drawn.shape == (56, 56, 3)
    low, high = first.min(), first.max()
    for index in range(49):
        for channel in range(3):  # red is the net's last
            tile = (first[index, 2 - channel] - low) / (high - low)
            top, left = index // 7 * 8, index % 7 * 8
            np.testing.assert_allclose(drawn[top : top + 7, left : left + 7, channel], tile, atol=1e-6)
            assert (
                not drawn[top + 7, left : left + 8, channel].any() and not drawn[top : top + 8, left + 7, channel].any()
            )


def test_the_responses_are_those_of_the_centre_crop(demo):
    """A convolution written out at some places of some channels; pycaffe's road from the picture to the crop."""
    import caffe

    _, kept = demo
    assert kept["drawn2"].shape == (7 * 57, 7 * 57) and kept["limits"].tolist() == [0, 0.3]
    scaled = caffe.io.resize_image(kept["picture"], (256, 256))[14:241, 14:241]
    crop = (
        255 * scaled.transpose(2, 0, 1)[::-1] - kept["mean"].mean((1, 2))[:, None, None]
    )  # this mean is one value a channel
    places = [(c, y, x) for c in (0, 8, 48) for y, x in ((0, 0), (27, 30), (55, 55), (13, 41))]
    found = []
    for c, y, x in places:
        window = crop[:, 4 * y : 4 * y + 7, 4 * x : 4 * x + 7]
        found.append(max(0.0, float((window * kept["conv1"][c]).sum() + kept["bias1"][c])))
    drawn = [kept["drawn2"][c // 7 * 57 + y, c % 7 * 57 + x] for c, y, x in places]
    assert np.count_nonzero(found) >= 4
    scale = max(found) / drawn[int(np.argmax(found))]
    np.testing.assert_allclose(np.array(drawn) * scale, found, atol=2e-3 * max(found))
    gaps = [kept["drawn2"][57 * k + 56] for k in range(7)]
    assert all((gap == 1).all() for gap in gaps)
