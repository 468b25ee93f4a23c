"""The manifest: what an artefact needs to be run, in one JSON file beside it. It ships to the board."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field

from caffe.device.transform import Transform
from caffe.errors import CaffeError, did_you_mean
from caffe.utils.atomic_io import write_bytes
from ncs.errors import NcsError

SCHEMA = 1
DECODERS = ("argmax", "expectation", "decades")
KINDS = ("onnx", "xml", "bin", "blob", "graph", "caffemodel", "prototxt")
_FIELDS = (
    "schema",
    "name",
    "input",
    "output",
    "transform",
    "labels",
    "label_set",
    "decoder",
    "artefacts",
    "parents",
    "tools",
)
_OPTIONAL = ("measured",)


@dataclass(frozen=True)
class File:
    """A file by name, relative to the manifest, and its SHA-256 in hex."""

    file: str
    sha256: str


@dataclass
class Manifest:
    """All that is known of a compiled net.

    `shape` is the input's (N, C, H, W); `labels` name the outputs in order (`label_set` names them all);
    `decoder` is how probabilities become an answer. `artefacts` maps a kind (onnx, xml, bin, blob, graph …)
    to its file, `parents` what it was made from, `tools` name to version. `measured` is what was found out about it (the
    accuracy that INT8 cost), for the record.
    """

    name: str
    input: str
    shape: tuple[int, ...]
    output: str
    transform: Transform
    labels: list[str]
    label_set: str = ""
    decoder: str = "argmax"
    artefacts: dict[str, File] = field(default_factory=dict)
    parents: dict[str, File] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    folder: str = "."
    measured: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = []
        if self.decoder not in DECODERS:
            faults.append("decoder must be {}, received {!r}".format(", ".join(DECODERS), self.decoder))
        if len(self.shape) != 4 or any(not isinstance(n, int) or n < 1 for n in self.shape):
            faults.append(f"the input's shape is (N, C, H, W), all positive; received {list(self.shape)}")
        if not self.labels or any(not isinstance(label, str) for label in self.labels):
            faults.append(f"labels must be a list of names, one an output; received {self.labels!r}")
        for kind in self.artefacts:
            if kind not in KINDS:
                faults.append(
                    "artefacts are {}; received '{}'{}".format(", ".join(KINDS), kind, did_you_mean(kind, KINDS))
                )
        if faults:
            raise NcsError("manifest of '{}': {}".format(self.name, "; ".join(faults)))

    def add(self, kind: str, path: str | os.PathLike) -> None:
        """Enter an artefact that lies beside the manifest, with its hash."""
        self.artefacts[kind] = file_of(path, self.folder)

    def path(self, kind: str) -> str:
        """Absolute path of an artefact that is there. Raises NcsError naming those that are."""
        if kind not in self.artefacts:
            raise NcsError(
                "'{}' has no {} file; it has {}".format(self.name, kind, ", ".join(sorted(self.artefacts)) or "none")
            )
        path = os.path.join(os.path.abspath(self.folder), self.artefacts[kind].file)
        if not os.path.isfile(path):
            raise NcsError(f"{path}: no such file, though the manifest of '{self.name}' names it; compile again")
        check_digest(path, self.artefacts[kind].sha256)
        return path

    def verify(self) -> list[str]:
        """Kinds of the artefacts that are missing or no longer have their hash (empty: all well)."""
        return [
            kind
            for kind, entry in sorted(self.artefacts.items())
            if sha256_or_none(os.path.join(self.folder, entry.file)) != entry.sha256
        ]

    def write(self, path: str | os.PathLike) -> None:
        """Write the JSON file, whole or not at all; a mean array goes beside it as NAME_mean.npy."""
        folder, name = os.path.split(os.path.abspath(os.fspath(path)))
        stem = os.path.splitext(name)[0]
        facts = {
            "schema": SCHEMA,
            "name": self.name,
            "input": {"name": self.input, "shape": list(self.shape)},
            "output": self.output,
            "transform": self.transform.to_dict(folder, stem + "_mean"),
            "labels": list(self.labels),
            "label_set": self.label_set,
            "decoder": self.decoder,
            "artefacts": _plain(self.artefacts),
            "parents": _plain(self.parents),
            "tools": self.tools,
        }
        if self.measured:
            facts["measured"] = self.measured
        write_bytes(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike) -> Manifest:
        """Read what `write` wrote; every fault of the file is told at once. Raises NcsError."""
        name = os.fspath(path)
        try:
            with open(path, encoding="utf-8") as stream:
                facts = json.load(stream)
        except OSError as error:
            raise NcsError(f"{name}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise NcsError(f"{name}: not JSON: {error}") from error
        try:
            return _from_facts(facts, os.path.dirname(os.path.abspath(name)))
        except CaffeError as error:
            raise NcsError(f"{name}: {error}") from None


def file_of(path: str | os.PathLike, folder: str | os.PathLike = ".") -> File:
    """A File for `path`, named relative to `folder`."""
    digest = sha256_or_none(path)
    if digest is None:
        raise NcsError(f"{os.fspath(path)}: no such file")
    return File(os.path.relpath(os.path.abspath(os.fspath(path)), os.path.abspath(os.fspath(folder))), digest)


def check_digest(path: str, sha256: str) -> None:
    """Raise NcsError unless the file has the SHA-256 of its manifest; files that have not changed are read once."""
    found = _digest(path)
    if found != sha256:
        raise NcsError(
            f"{path} changed since it was compiled: its SHA-256 is {found}, the manifest says {sha256}; compile again"
        )


_digests: dict[str, tuple[tuple[int, ...], str | None]] = {}


def _digest(path: str) -> str | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    state = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    known = _digests.get(path)
    if known is None or known[0] != state:
        known = _digests[path] = (state, sha256_or_none(path))
    return known[1]


def sha256_or_none(path: str | os.PathLike) -> str | None:
    """SHA-256 of a file in hex, or None when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _plain(files: dict[str, File]) -> dict[str, dict[str, str]]:
    return {kind: {"file": entry.file, "sha256": entry.sha256} for kind, entry in sorted(files.items())}


def _from_facts(facts: object, folder: str) -> Manifest:
    if not isinstance(facts, dict) or "schema" not in facts:
        raise NcsError("not a manifest: wanted is a JSON object with 'schema', 'name', 'input' …")
    if facts["schema"] != SCHEMA:
        raise NcsError(
            "manifest of schema %r; this program reads schema %d: compile again, or take the "
            "program that wrote it" % (facts["schema"], SCHEMA)
        )
    foreign = [key for key in facts if key not in (*_FIELDS, *_OPTIONAL)]
    faults = [f"unknown field '{key}'{did_you_mean(key, _FIELDS)}" for key in foreign]
    faults += [f"field '{key}' is missing" for key in _FIELDS if key not in facts]
    faults += [fault for fault in map(_fault, _TYPES.items(), [facts] * len(_TYPES)) if fault]
    if faults:
        raise NcsError("; ".join(faults))
    files = {
        key: {kind: _file(key, kind, entry) for kind, entry in facts[key].items()} for key in ("artefacts", "parents")
    }
    return Manifest(
        facts["name"],
        str(facts["input"].get("name", "")),
        tuple(facts["input"].get("shape", ())),
        facts["output"],
        Transform.from_dict(facts["transform"], folder),
        facts["labels"],
        facts["label_set"],
        facts["decoder"],
        files["artefacts"],
        files["parents"],
        facts["tools"],
        folder,
        facts.get("measured", {}),
    )


_TYPES = {
    "name": str,
    "input": dict,
    "output": str,
    "transform": dict,
    "labels": list,
    "label_set": str,
    "decoder": str,
    "artefacts": dict,
    "parents": dict,
    "tools": dict,
    "measured": dict,
}


def _fault(pair: tuple[str, type], facts: dict) -> str | None:
    key, kind = pair
    if key in facts and not isinstance(facts[key], kind):
        return f"field '{key}' must be a {kind.__name__}, received {facts[key]!r}"
    return None


def _file(key: str, kind: str, entry: object) -> File:
    """A File whose path stays below the manifest's folder; that of a parent is for the record only."""
    good = isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("file", "sha256"))
    if not good:
        raise NcsError(f"{key}.{kind} must have 'file' and 'sha256', received {entry!r}")
    name = entry["file"]  # type: ignore[index]
    if key == "artefacts" and (os.path.isabs(name) or os.path.normpath(name).startswith("..")):
        raise NcsError(f"artefacts.{kind}: '{name}' leads out of the manifest's folder")
    return File(name, entry["sha256"])  # type: ignore[index]
