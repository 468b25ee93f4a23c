"""Byte-identical pictures under different names: found, told, and kept from both sides of a split."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from agegender.errors import AgeGenderError
from caffe.device.image_file import ImageError, decode_image, read_bytes


class Duplicates(NamedTuple):
    """What was found.

    kept: samples without repetition, sorted; repeats: samples left out since the same picture is kept;
    contradicting: samples left out since their group disagrees in age class or gender; groups: all groups of
    equal pictures (lists of samples); class_groups, age_groups: how many of them disagree in age class or
    gender, and in the age in years.
    """

    kept: list
    repeats: list
    contradicting: list
    groups: list
    class_groups: int
    age_groups: int


def digests(samples, jobs=None):
    """{path: SHA-256 of the file}, after making sure that every file is a picture; names all that are not."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        found = dict(pool.map(_digest, [sample.path for sample in samples]))
    broken = [path for path, digest in found.items() if digest is None]
    if broken:
        raise AgeGenderError(
            "%d of %d files cannot be read as pictures; fetch them again or take them away:\n  %s"
            % (len(broken), len(found), "\n  ".join(broken))
        )
    return found


def find(samples, digest_of):
    """Duplicates among samples; `digest_of` is the dict of `digests`."""
    groups = {}
    for sample in sorted(samples):
        groups.setdefault(digest_of[sample.path], []).append(sample)
    kept, repeats, contradicting = [], [], []
    for group in groups.values():
        if _differ(group):
            contradicting += group
        else:
            kept.append(group[0])
            repeats += group[1:]
    several = [group for group in groups.values() if len(group) > 1]
    class_groups = sum(_differ(group) for group in several)
    age_groups = sum(len({sample.age for sample in group}) > 1 for group in several)
    return Duplicates(sorted(kept), sorted(repeats), sorted(contradicting), several, class_groups, age_groups)


def _differ(group):
    return len({(sample.age_class, sample.gender) for sample in group}) > 1


def _digest(path):
    try:
        data = read_bytes(path)
        decode_image(data)
    except ImageError:
        return path, None
    return path, hashlib.sha256(data).hexdigest()
