"""The notebooks in docs/notebooks run from top to bottom; their figures agree with plain loops."""

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
SAVE = """
import numpy as np
figures = [plt.figure(n).axes[0].images[0] for n in plt.get_fignums()]
conv1, bias1 = (blob.data for blob in gender_net.params["conv1"])
np.savez("saved.npz", picture=picture, mean=mean, ages=ages, genders=genders, conv1=conv1, bias1=bias1,
         limits=figures[2].get_clim(),
         **{"figure%d" % i: np.asarray(figure.get_array()) for i, figure in enumerate(figures)})
"""


def code_of(path):
    """The concatenated code cells of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and re.fullmatch("[a-zA-Z0-9-_]{1,64}", cell["id"])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def run_demo(folder):
    """Run levi_demo.ipynb with `folder` as its cache; returns its output and the saved arrays."""
    (folder / "demo.py").write_text(code_of(ROOT / "docs" / "notebooks" / "levi_demo.ipynb") + SAVE)
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "CAFFE2NCS_CACHE": str(folder),
        "TMPDIR": str(folder),
        "GLOG_minloglevel": "2",
    }
    result = subprocess.run([sys.executable, "demo.py"], cwd=folder, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout, np.load(folder / "saved.npz")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Output and arrays of the demo without released weights."""
    return run_demo(tmp_path_factory.mktemp("demo"))


@needs_shared
def test_released_mean_and_weights_are_read_from_the_cache(tmp_path):
    """Random weights of the real shapes and the real mean image, as written by `agegender zoo convert levi FILE`."""
    import caffe
    from agegender import zoo

    (tmp_path / "zoo").mkdir()
    shutil.copy(SHARED / "data" / "levi" / "mean.binaryproto", tmp_path / "zoo" / "levi-mean.binaryproto")
    for name in ("levi-age", "levi-gender"):
        caffe.set_random_seed(1)
        (tmp_path / "net.prototxt").write_text(str(zoo.nets()[name].body()))
        caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "zoo" / (name + ".caffemodel")))
    output, arrays = run_demo(tmp_path)
    assert f"mean (3, 256, 256) from {tmp_path / 'zoo' / 'levi-mean.binaryproto'}" in output
    assert "mean nothing" not in output
    np.testing.assert_allclose(arrays["mean"].mean((1, 2)), [78.42634, 87.76892, 114.89584], atol=2e-5)


def test_demo_prints_predictions(demo):
    output, arrays = demo
    assert re.search(r"^predicted age: \(\d+, \d+\)$", output, re.M)
    assert re.search("^predicted gender: (Male|Female)$", output, re.M)
    assert output.count("its predictions mean nothing") == 2
    for probabilities, classes in ((arrays["ages"], 8), (arrays["genders"], 2)):
        assert probabilities.shape == (classes,) and probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_figure_of_filters_shows_the_weights(demo):
    _, arrays = demo
    filters, figure = arrays["conv1"][:49], arrays["figure1"]
    assert figure.shape == (56, 56, 3)
    low, high = filters.min(), filters.max()
    for index in range(49):
        for channel in range(3):  # the net's channels are BGR
            tile = (filters[index, 2 - channel] - low) / (high - low)
            top, left = index // 7 * 8, index % 7 * 8
            np.testing.assert_allclose(figure[top : top + 7, left : left + 7, channel], tile, atol=1e-6)
            assert not figure[top + 7, left : left + 8, channel].any()
            assert not figure[top : top + 8, left + 7, channel].any()


def test_figure_of_responses_shows_the_center_crop(demo):
    """The reference is a plain convolution at some positions of some channels, on pycaffe's preprocessing."""
    import caffe

    _, arrays = demo
    figure = arrays["figure2"]
    assert figure.shape == (7 * 57, 7 * 57) and arrays["limits"].tolist() == [0, 0.3]
    scaled = caffe.io.resize_image(arrays["picture"], (256, 256))[14:241, 14:241]
    mean = arrays["mean"].mean((1, 2))[:, None, None]  # constant in each channel without the released mean
    crop = 255 * scaled.transpose(2, 0, 1)[::-1] - mean
    positions = [(c, y, x) for c in (0, 8, 48) for y, x in ((0, 0), (27, 30), (55, 55), (13, 41))]
    expected = []
    for c, y, x in positions:
        window = crop[:, 4 * y : 4 * y + 7, 4 * x : 4 * x + 7]
        expected.append(max(0.0, float((window * arrays["conv1"][c]).sum() + arrays["bias1"][c])))
    received = [figure[c // 7 * 57 + y, c % 7 * 57 + x] for c, y, x in positions]
    assert np.count_nonzero(expected) >= 4
    scale = max(expected) / received[int(np.argmax(expected))]
    np.testing.assert_allclose(np.array(received) * scale, expected, atol=2e-3 * max(expected))
    gaps = [figure[57 * k + 56] for k in range(7)]
    assert all((gap == 1).all() for gap in gaps)
