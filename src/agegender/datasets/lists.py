"""The lists of pictures and classes, the block that counts them, and the manifest beside them."""

from __future__ import annotations

import collections
import hashlib
import io
import json
import os
import re

from agegender.datasets.sample import RACES
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST
from caffe.utils import atomic_io
from caffe.utils.commands import version
from caffe.utils.input_file import read_text


def list_path(path):
    """A path as a list spells it: ./data/... below the working folder, absolute elsewhere."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith(os.pardir) else "./" + relative.replace(os.sep, "/")


def read_list(path):
    """[(path, class), ...] of a list file: a line is split at its last space, as convert_imageset does it."""
    lines = []
    for number, line in enumerate(io.StringIO(read_text(path)), 1):
        name, _, label = line.rstrip("\n").rpartition(" ")
        if not name or not re.fullmatch("[0-9]{1,9}", label):
            raise AgeGenderError("%s:%d: received %r, due are a path and a class" % (path, number, line))
        lines.append((name, int(label)))
    return lines


def class_counts(lines, classes):
    """Number of lines a class, for lines of (path, class)."""
    counted = collections.Counter(label for _, label in lines)
    return [counted[index] for index in range(classes)]


def count_block(before, after):
    """The text AgeGenderPrediction's build_dataset.py prints; counts are {"age": [...], "gender": [...]}."""
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


MADE_BY = "agegender build-dataset"


def write_lists(folder, outcome, settings, digest_of, copies_folder):
    """Write {age,gender}_{train,test}.txt and manifest.json of a build's Outcome into `folder`."""
    texts = {}
    for name, lines in outcome.lists.items():
        texts[name + ".txt"] = "".join("%s %d\n" % line for line in lines).encode()
    manifest = {
        "made_by": f"agegender build-dataset {version()}",
        "settings": _settings(settings),
        "faces": _faces(outcome, digest_of),
        "duplicates": _duplicates(outcome.duplicates, digest_of),
        "near_twins": _near_twins(outcome.near_twins),
        "train": {"before": outcome.before, "after": outcome.after},
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
        "strict": settings.strict,
    }


def _faces(outcome, digest_of):
    rows = sorted(f"{digest} {os.path.basename(path)}\n" for path, digest in digest_of.items())
    return {
        "pictures": len(digest_of),
        "sha256": hashlib.sha256("".join(rows).encode()).hexdigest(),
        "odd_names_taken": outcome.folder.odd,
        "names_not_understood": outcome.folder.skipped,
    }


def _duplicates(found, digest_of):
    if found is None:
        return None
    return {
        "different_pictures": len(set(digest_of.values())),
        "groups": len(found.groups),
        "groups_contradicting_in_class": found.class_groups,
        "groups_contradicting_in_age": found.age_groups,
        "left_out_as_repeats": [os.path.basename(sample.path) for sample in found.repeats],
        "left_out_as_contradicting": [os.path.basename(sample.path) for sample in found.contradicting],
    }


def _near_twins(found):
    """{test picture: training picture of the same photograph}."""
    return found and {os.path.basename(path): os.path.basename(twin) for path, twin in found.items()}


def _copies(folder):
    """{folder below overSampling: number and hash of its files}."""
    told = {}
    for where, _, names in sorted(os.walk(folder)):
        if names:
            hashed = _hash_of(where, sorted(names))
            told[os.path.relpath(where, folder)] = {"files": len(names), "sha256": hashed}
    return told


def _hash_of(folder, names):
    digest = hashlib.sha256()
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            digest.update((f"{hashlib.sha256(stream.read()).hexdigest()} {name}\n").encode())
    return digest.hexdigest()
