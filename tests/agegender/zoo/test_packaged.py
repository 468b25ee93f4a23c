"""Weights that ship with the package: they fit, they are those of their card, and they tell drawn faces apart a little."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from agegender import zoo
from agegender.inference.labels import in_decades
from agegender.synthetic_faces import draw
from agegender.zoo import assemble, download
from caffe.weights.snapshot import read_weights

FOLDER = Path(download.__file__).parent / "weights"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.caffemodel")), ids=lambda path: path.stem)
def test_weights_are_those_of_their_card(path):
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    (digest,) = re.findall(r"SHA-256 ([0-9a-f]{64})", card)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    for net in zoo.resolve(path.stem):
        assemble.check(net, read_weights(str(path)))


def test_the_compact_net_answers_without_any_training(tmp_path, monkeypatch):
    """Infants and grown faces as the program draws them: a world it never saw, so it only has to tell the youngest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))
    net = zoo.nets()["compact-age"]
    built = assemble.deploy_net(net, read_weights(download.weights_of(net)))
    pictures = [draw(age, True, (1, number)) for number in range(8) for age in (1, 40)]
    blob = np.stack([net.transform().image(picture) for picture in pictures])
    built.blobs["data"].reshape(*blob.shape)
    built.blobs["data"].data[...] = blob
    built.forward()
    told = np.array(built.blobs["prob"].data)
    assert np.allclose(told.sum(1), 1, atol=1e-5)
    assert in_decades(told).shape == (16, 9)
    years = told @ np.arange(101)
    assert np.isfinite(years).all() and years.std() > 1
