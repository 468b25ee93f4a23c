"""Traits of a synthetic face by age and sex, with natural variation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SKINS = np.array([(178, 205, 238), (160, 192, 230), (142, 178, 220), (120, 158, 205), (98, 136, 184), (74, 108, 158)])
HAIRS = np.array([(24, 20, 18), (32, 28, 30), (34, 44, 60), (46, 66, 96), (70, 104, 150)])
_HAIR_PROBABILITIES = (0.38, 0.26, 0.2, 0.1, 0.06)
GREY = np.array((206, 204, 200))


@dataclass
class Traits:
    """One person. Lengths are in face coordinates, colors BGR; `child` is 1 at birth, 0 for adults; `old` is 0..1."""

    age: int
    male: bool
    child: float
    old: float
    # head
    width: float = 0.0  # half the width at the cheeks
    top: float = 0.0  # from the cheeks up to the crown
    chin: float = 0.0  # from the cheeks down
    jaw: float = 2.0  # exponent of the lower half's superellipse: 2 is an ellipse, higher is squarer
    eye_y: float = 0.0
    # colors
    skin: np.ndarray = field(default_factory=lambda: SKINS[0])
    hair: np.ndarray = field(default_factory=lambda: HAIRS[0])
    grey: float = 0.0
    iris: tuple = (40, 60, 90)
    # hair and beard
    long: float = 0.0  # y of the tips of long hair; 0 is short hair
    front: str = "back"  # back, part, middle, fringe
    recede: float = 0.0
    bald: bool = False
    volume: float = 8.0
    stubble: float = 0.0
    beard: float = 0.0
    moustache: float = 0.0
    # features
    eye_size: float = 1.0
    brow: float = 1.0
    lips: float = 1.0
    lip_red: float = 0.3
    lashes: float = 0.0
    nose: float = 1.0
    smile: float = 0.0
    wrinkles: float = 0.0
    makeup: float = 0.0
    glasses: bool = False
    earrings: bool = False
    bow: bool = False


def sample(age: int, male: bool, rng: np.random.Generator) -> Traits:
    """Sample the traits of a person of that age and sex."""
    apparent_age = max(0.0, age + rng.normal(0, 0.6 + 0.055 * age))
    child = float(np.clip(1 - apparent_age / 17, 0, 1))
    adult = 1 - child
    sex = (1 if male else -1) * (0.2 + 0.8 * adult) + rng.normal(0, 0.28)  # children differ little
    old = float(np.clip((apparent_age - 32) / 50, 0, 1.15))
    person = Traits(age, male, child, old)
    _head(person, sex, rng)
    _colors(person, apparent_age, rng)
    _features(person, sex, apparent_age, rng)
    _hair(person, apparent_age, rng)
    if male:
        _beard(person, apparent_age, rng)
    return person


def _head(p, sex, rng):
    c = p.child
    p.width = 49.5 + 5 * c + 2.3 * sex * (1 - c) + rng.normal(0, 1.5)
    p.top = 66 + 3 * c + rng.normal(0, 1.5)
    p.chin = 66 - 14 * c + 3.0 * sex * (1 - c) + rng.normal(0, 1.5)
    p.jaw = 2.1 + 0.15 * c + 0.3 * sex * (1 - c) + 0.12 * p.old + rng.normal(0, 0.07)
    p.eye_y = -7 + 14 * c + rng.normal(0, 1.0)


def _colors(p, apparent_age, rng):
    tone = rng.beta(1.6, 2.6) * (len(SKINS) - 1)
    low = min(int(tone), len(SKINS) - 2)
    p.skin = SKINS[low] + (SKINS[low + 1] - SKINS[low]) * (tone - low) + rng.normal(0, 3, 3)
    p.skin = p.skin - np.array((4.0, 6.0, 4.0)) * p.old
    p.hair = HAIRS[rng.choice(len(HAIRS), p=_HAIR_PROBABILITIES)] + rng.normal(0, 4, 3)
    p.grey = float(np.clip((apparent_age - 44 + rng.normal(0, 6)) / 26, 0, 1)) * (0.35 if rng.random() < 0.15 else 1.0)
    p.iris = ((28, 40, 58), (38, 62, 92), (70, 92, 84), (120, 104, 76))[rng.choice(4, p=(0.5, 0.34, 0.1, 0.06))]


def _features(p, sex, apparent_age, rng):
    c = p.child
    p.eye_size = 1 + 0.42 * c - 0.05 * sex - 0.16 * p.old + rng.normal(0, 0.05)
    p.brow = max(0.25, 1 + 0.38 * sex * (1 - c) - 0.55 * c - 0.2 * p.old + rng.normal(0, 0.12))
    p.lips = max(0.45, 1 - 0.2 * sex - 0.4 * p.old + rng.normal(0, 0.1))
    p.lashes = float(np.clip(0.3 - 0.45 * sex + rng.normal(0, 0.12), 0, 1)) * (1 - 0.6 * c)
    p.nose = 1 - 0.32 * c + 0.07 * sex + 0.16 * p.old + rng.normal(0, 0.06)
    p.smile = float(np.clip(rng.normal(0.35, 0.35), -0.3, 1))
    p.wrinkles = float(np.clip(p.old * rng.uniform(0.8, 1.2) - 0.04, 0, 1.1))
    p.makeup = rng.uniform(0.3, 1) if not p.male and 15 < apparent_age < 75 and rng.random() < 0.55 else 0.0
    p.lip_red = 0.25 + 0.1 * c + 0.6 * p.makeup
    p.glasses = bool(rng.random() < 0.07 + 0.25 * min(p.old, 1) - 0.06 * c)
    p.earrings = bool(not p.male and apparent_age > 8 and rng.random() < 0.3)


def _hair(p, apparent_age, rng):
    p.volume = rng.uniform(5, 11) * (1 - 0.25 * min(p.old, 1))
    if apparent_age < 2.5:  # babies have little hair, which shows no sex
        p.volume, p.recede, p.long = rng.uniform(1, 3), rng.uniform(0.1, 0.7), 0.0
        p.front = "back"
        p.bow = bool(not p.male and rng.random() < 0.35)
        return
    long_probability = (0.07 if p.male else 0.86) if apparent_age < 55 else (0.03 if p.male else 0.5)
    if rng.random() < long_probability:
        p.long = rng.uniform(48, 120)
    styles = ("back", "part", "fringe") if p.male else ("back", "part", "middle", "fringe")
    probabilities = (0.35, 0.45, 0.2) if p.male else (0.2, 0.35, 0.2, 0.25)
    p.front = styles[rng.choice(len(styles), p=probabilities)]
    if p.male and apparent_age > 28:
        p.recede = float(np.clip(rng.normal((apparent_age - 24) / 75, 0.2), 0, 1))
        p.bald = bool(rng.random() < 0.55 * p.recede)
        if p.recede > 0.35:
            p.front = "back"
    p.bow = bool(not p.male and apparent_age < 11 and rng.random() < 0.4)


def _beard(p, apparent_age, rng):
    if apparent_age < 16:
        return
    p.stubble = float(np.clip(rng.normal(0.3, 0.2), 0, 0.8))
    if apparent_age > 20 and rng.random() < 0.22:
        p.beard = rng.uniform(0.55, 1)
    if apparent_age > 20 and (p.beard or rng.random() < 0.12):
        p.moustache = rng.uniform(0.6, 1)
