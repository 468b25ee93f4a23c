"""The manifest: a JSON file next to the model files with everything needed to run them on the target device."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from dataclasses import dataclass, field
from typing import Callable, Mapping  # noqa: UP035 - the device side supports Python 3.7

from caffe.device.transform import Transform
from caffe.errors import CaffeError, did_you_mean
from caffe.utils.atomic_io import write_bytes
from caffe.utils.file_set import atomic_file_set
from caffe.utils.hashing import sha256_or_none
from ncs.errors import NcsError
from ncs.runtime.manifest_parts import File, Head, Input, check_digest, complete_set, file_of

SCHEMA = 1
KINDS = (
    *("onnx", "xml", "bin", "xml_v10", "bin_v10", "blob", "superblob", "nn_archive", "graph"),
    *("caffemodel", "prototxt"),
)
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
_OPTIONAL = ("measured", "temperature", "heads", "inputs")


@dataclass
class Manifest:
    """Description of a compiled net.

    `shape` is the input's (N, C, H, W). `labels` are the class names in order, `label_set` the name of the whole set.
    `decoder` defines how probabilities become a prediction. `artefacts` maps a kind (onnx, xml, bin, blob, graph …) to
    its file, `parents` the files it was compiled from, `tools` a tool to its version. `measured` is a record of
    measurements, such as the change in accuracy due to INT8. `temperature` divides the logits of a prediction, so that
    its probabilities hold; 1 changes nothing.

    A net with several outputs lists all of them in `heads`, one with several inputs all of them in `inputs`; the fields
    of a single output and input are then those of the first one. `all_heads` and `all_inputs` return the lists of any
    net.
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
    temperature: float = 1.0
    heads: list[Head] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)

    def __post_init__(self) -> None:
        faults = [fault for head in self.all_heads() for fault in head.faults()]
        for port in self.all_inputs():
            if len(port.shape) != 4 or any(not isinstance(n, int) or n < 1 for n in port.shape):
                faults.append(f"expected an input shape (N, C, H, W) of positive integers, received {list(port.shape)}")
        faults += self._inconsistencies()
        for kind in self.artefacts:
            if kind not in KINDS:
                faults.append(f"expected artefacts {', '.join(KINDS)}, received '{kind}'{did_you_mean(kind, KINDS)}")
        if faults:
            raise NcsError("manifest of '{}': {}".format(self.name, "; ".join(faults)))

    def _inconsistencies(self) -> list[str]:
        """Return the faults of `heads` and `inputs`: the first must be the fields of a single one, names unique."""
        faults = []
        if self.heads and self.heads[0].output != self.output:
            faults.append(f"expected the first of 'heads' to be output '{self.output}', it is '{self.heads[0].output}'")
        if self.inputs and self.inputs[0].name != self.input:
            faults.append(f"expected the first of 'inputs' to be '{self.input}', received '{self.inputs[0].name}'")
        lists = {
            "heads": [head.name for head in self.heads],
            "outputs": [head.output for head in self.heads],
            "inputs": [port.name for port in self.inputs],
        }
        faults += [
            f"two {kind} have one name: {names}" for kind, names in lists.items() if len(set(names)) < len(names)
        ]
        if len({port.shape[0] for port in self.inputs if port.shape}) > 1:
            faults.append("expected one batch size for all inputs")
        return faults

    def all_heads(self) -> list[Head]:
        """Return every output of the net; a single output has the net's name."""
        return self.heads or [Head(self.name, self.output, self.labels, self.label_set, self.decoder, self.temperature)]

    def all_inputs(self) -> list[Input]:
        """Return every input of the net."""
        return self.inputs or [Input(self.input, tuple(self.shape), self.transform)]

    def map_transforms(self, change: Callable[[Transform], Transform]) -> None:
        """Replace the Transform of every input."""
        self.transform = change(self.transform)
        rest = [dataclasses.replace(port, transform=change(port.transform)) for port in self.inputs[1:]]
        if self.inputs:
            self.inputs = [dataclasses.replace(self.inputs[0], transform=self.transform), *rest]

    def columns(self) -> dict[str, slice]:
        """Return the columns of every output in a runner's result (N, K), which has them next to each other."""
        columns, start = {}, 0
        for head in self.all_heads():
            columns[head.output] = slice(start, start + len(head.labels))
            start += len(head.labels)
        return columns

    def add(self, kind: str, path: str | os.PathLike) -> None:
        """Add an artefact in the manifest's folder, with its hash."""
        self.artefacts[kind] = file_of(path, self.folder)

    def path(self, kind: str) -> str:
        """Return the absolute path of an artefact. Raises NcsError if it is missing or has changed."""
        if kind not in self.artefacts:
            raise NcsError(
                "'{}' has no {} file; it has {}".format(self.name, kind, ", ".join(sorted(self.artefacts)) or "none")
            )
        path = os.path.join(os.path.abspath(self.folder), self.artefacts[kind].file)
        if not os.path.isfile(path):
            raise NcsError(f"{path}: no such file, but the manifest of '{self.name}' lists it; compile again")
        check_digest(path, self.artefacts[kind].sha256)
        return path

    def verify(self) -> list[str]:
        """Return the kinds of the artefacts that are missing or whose hash has changed."""
        return [
            kind
            for kind, entry in sorted(self.artefacts.items())
            if sha256_or_none(os.path.join(self.folder, entry.file)) != entry.sha256
        ]

    def write(self, path: str | os.PathLike) -> None:
        """Write the JSON file, and a mean array next to it as NAME_mean.npy; both replace old ones together."""
        stem, suffix = os.path.splitext(os.fspath(path))
        with atomic_file_set(stem) as staged:
            facts = self._facts(*os.path.split(staged))
            write_bytes(staged + suffix, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")

    def _facts(self, folder: str, stem: str) -> dict:
        """Return the JSON values; mean arrays are written to `folder`."""
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
        if self.temperature != 1:
            facts["temperature"] = self.temperature
        if self.heads:
            facts["heads"] = [_plain_head(head) for head in self.heads]
        if self.inputs:
            facts["inputs"] = [
                {"name": port.name, "shape": list(port.shape), "transform": port.transform.to_dict(folder, prefix)}
                for port, prefix in zip(self.inputs, (f"{stem}_mean{number or ''}" for number in itertools.count()))
            ]
        return facts

    @classmethod
    def read(cls, path: str | os.PathLike) -> Manifest:
        """Read a manifest. Raises NcsError that lists every fault of the file."""
        name = os.fspath(path)
        complete_set(name)
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


def _plain(files: dict[str, File]) -> dict[str, dict[str, str]]:
    return {kind: {"file": entry.file, "sha256": entry.sha256} for kind, entry in sorted(files.items())}


def _from_facts(facts: object, folder: str) -> Manifest:
    if not isinstance(facts, dict) or "schema" not in facts:
        raise NcsError("not a manifest: expected a JSON object with 'schema', 'name', 'input' …")
    if facts["schema"] != SCHEMA:
        raise NcsError(
            f"expected a manifest of schema {SCHEMA}, received schema {facts['schema']!r}: compile again, or use the "
            "version of caffe2ncs that wrote it"
        )
    unknown = [key for key in facts if key not in (*_FIELDS, *_OPTIONAL)]
    faults = [f"unknown field '{key}'{did_you_mean(key, _FIELDS)}" for key in unknown]
    faults += [f"field '{key}' is missing" for key in _FIELDS if key not in facts]
    faults += [fault for fault in map(_type_error, _TYPES.items(), [facts] * len(_TYPES)) if fault]
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
        facts.get("temperature", 1.0),
        [_head(row) for row in facts.get("heads", [])],
        [_input(row, folder) for row in facts.get("inputs", [])],
    )


def _plain_head(head: Head) -> dict:
    facts = dataclasses.asdict(head)
    if head.temperature == 1:
        del facts["temperature"]
    return facts


def _head(row: object) -> Head:
    types: dict[str, type | tuple[type, ...]] = {
        "name": str,
        "output": str,
        "labels": list,
        "label_set": str,
        "decoder": str,
    }
    if isinstance(row, dict) and "temperature" in row:
        types["temperature"] = (int, float)
    return Head(**_checked("heads", row, types))


def _input(row: object, folder: str) -> Input:
    facts = _checked("inputs", row, {"name": str, "shape": list, "transform": dict})
    return Input(facts["name"], tuple(facts["shape"]), Transform.from_dict(facts["transform"], folder))


def _checked(field_name: str, row: object, types: Mapping[str, type | tuple[type, ...]]) -> dict:
    """Return `row` if it has exactly these fields of these types."""
    if (
        not isinstance(row, dict)
        or set(row) != set(types)
        or any(not isinstance(row[key], types[key]) for key in types)
    ):
        raise NcsError(f"field '{field_name}': expected entries with {', '.join(types)}, received {row!r}")
    return row


_TYPES: dict[str, type | tuple[type, ...]] = {
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
    "temperature": (int, float),
    "heads": list,
    "inputs": list,
}


def _type_error(pair: tuple[str, type | tuple[type, ...]], facts: dict) -> str | None:
    key, expected = pair
    if key in facts and not isinstance(facts[key], expected):
        name = "number" if isinstance(expected, tuple) else expected.__name__
        return f"field '{key}': expected a {name}, received {facts[key]!r}"
    return None


def _file(key: str, kind: str, entry: object) -> File:
    """Return the File of an entry; an artefact must be inside the manifest's folder, a parent is only a record."""
    valid = isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("file", "sha256"))
    if not valid:
        raise NcsError(f"{key}.{kind}: expected 'file' and 'sha256', received {entry!r}")
    name = entry["file"]  # type: ignore[index]
    if key == "artefacts" and (os.path.isabs(name) or os.path.normpath(name).startswith("..")):
        raise NcsError(f"artefacts.{kind}: '{name}' is outside the manifest's folder")
    return File(name, entry["sha256"])  # type: ignore[index]
