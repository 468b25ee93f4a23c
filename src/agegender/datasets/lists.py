"""Lists of images and classes, the printed block of class counts, and the manifest of a data set."""

from __future__ import annotations

import collections
import hashlib
import io
import json
import os
import re
from typing import TYPE_CHECKING

from agegender.datasets.sample import RACES
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST
from caffe.utils import atomic_io
from caffe.utils.cli.commands import version
from caffe.utils.input_file import read_text

if TYPE_CHECKING:
    from agegender.datasets.build import DatasetSummary, Settings

MADE_BY = "agegender build-dataset"  # recorded in the output folders; only these are replaced


def list_path(path: str | os.PathLike) -> str:
    """A path as lists spell it: ./data/... within the current folder, absolute elsewhere."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith(os.pardir) else "./" + relative.replace(os.sep, "/")


def read_list(path: str | os.PathLike) -> list[tuple[str, int]]:
    """Read [(path, class), ...] from a list file; lines are split at the last space, as in convert_imageset."""
    lines = []
    for number, line in enumerate(io.StringIO(read_text(path)), 1):
        name, _, label = line.rstrip("\n").rpartition(" ")
        if not name or not re.fullmatch("[0-9]{1,9}", label):
            raise AgeGenderError(f"{path}:{number}: expected a path and a class, received {line!r}")
        lines.append((name, int(label)))
    return lines


def class_counts(lines: list[tuple[str, int]], classes: int) -> list[int]:
    """Number of lines (path, class) per class."""
    counter = collections.Counter(label for _, label in lines)
    return [counter[index] for index in range(classes)]


def count_block(before: dict[str, list[int]], after: dict[str, list[int]]) -> str:
    """The block that AgeGenderPrediction's build_dataset.py prints; counts are {"age": [...], "gender": [...]}."""
    return _counts(before) + "\nAFTER OVERSAMPLING:\n" + _counts(after)


def _counts(counts):
    rows = [
        "Number of image per age class:",
        "\t".join(AGE_TRINGN.names),
        "-" * 62,
        "\t".join(map(str, counts["age"])),
        "Number of image per gender class:",
        "\t".join(MALE_FIRST.names),
        "-" * 14,
        "\t".join(map(str, counts["gender"])),
    ]
    return "\n".join(rows) + "\n"


def write_lists(
    folder: str, summary: DatasetSummary, settings: Settings, digest_of: dict[str, str], copies_folder: str
) -> None:
    """Write {age,gender}_{train,test}.txt and manifest.json into `folder`, atomically."""
    texts = {}
    for name, lines in summary.lists.items():
        texts[name + ".txt"] = "".join(f"{path} {label}\n" for path, label in lines).encode()
    manifest = {
        "made_by": f"agegender build-dataset {version()}",
        "settings": _settings(settings),
        "faces": _faces(summary, digest_of),
        "duplicates": _duplicates(summary.duplicates, digest_of),
        "near_duplicates": _near_duplicates(summary.near_duplicates),
        "train": {"before": summary.before, "after": summary.after},
        "copies": _copies(copies_folder),
        "lists": {
            name: {"lines": text.count(b"\n"), "sha256": hashlib.sha256(text).hexdigest()}
            for name, text in texts.items()
        },
    }
    texts["manifest.json"] = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
    with atomic_io.atomic_folder(folder, MADE_BY) as temporary:
        for name, text in texts.items():
            atomic_io.write_bytes(os.path.join(temporary, name), text)


def _settings(settings):
    return {
        "faces": list_path(settings.faces),
        "races": [RACES[race] for race in settings.races],
        "train_fraction": settings.train_fraction,
        "seed": settings.seed,
        "compat": settings.compat,
        "exclude_near_duplicates": settings.exclude_near_duplicates,
        "near_duplicates": settings.near_duplicates,
    }


def _faces(summary, digest_of):
    total = hashlib.sha256()
    for digest, name in sorted((digest, os.path.basename(path)) for path, digest in digest_of.items()):
        total.update(f"{digest} {name}\n".encode())
    return {
        "images": len(digest_of),
        "sha256": total.hexdigest(),
        "accepted_irregular_names": summary.folder.irregular,
        "skipped_names": summary.folder.skipped,
    }


def _duplicates(dups, digest_of):
    if dups is None:
        return None
    return {
        "distinct_images": len(set(digest_of.values())),
        "groups": len(dups.groups),
        "groups_contradicting_in_class": dups.class_groups,
        "groups_contradicting_in_age": dups.age_groups,
        "excluded_repeats": [os.path.basename(sample.path) for sample in dups.repeats],
        "excluded_contradicting": [os.path.basename(sample.path) for sample in dups.contradicting],
    }


def _near_duplicates(near):
    """{test image: its near-duplicate in training}, as file names."""
    return near and {os.path.basename(path): os.path.basename(other) for path, other in near.items()}


def _copies(folder):
    """{subfolder of overSampling: number and hash of its files}."""
    summaries = {}
    for subfolder, _, names in sorted(os.walk(folder)):
        if names:
            digest = _hash_of(subfolder, sorted(names))
            summaries[os.path.relpath(subfolder, folder)] = {"files": len(names), "sha256": digest}
    return summaries


def _hash_of(folder, names):
    digest = hashlib.sha256()
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            digest.update((f"{hashlib.sha256(stream.read()).hexdigest()} {name}\n").encode())
    return digest.hexdigest()
