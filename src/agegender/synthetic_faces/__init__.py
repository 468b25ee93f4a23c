"""Synthetic faces drawn from a seed, so that every stage can be run and demonstrated without downloads.

Age and sex show as in people: in hair, gray hair, wrinkles, proportions, jaw, brows, lips and beard.
`draw` draws one face; `collection` writes a folder with the names and the class imbalance of UTKFace's Asian part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agegender.synthetic_faces import features, hair, head, traits


def draw(age: int, male: bool, seed: int | Sequence[int]) -> np.ndarray:
    """Draw an aligned face; equal arguments give equal pixels.

    Parameters
    ----------
    age : int
        Years.
    male : bool
    seed : int or sequence of int

    Returns
    -------
    uint8 array of shape (200, 200, 3), BGR
    """
    rng = np.random.default_rng(seed)
    person = traits.sample(age, male, rng)
    canvas = head.canvas_for(person, rng)
    hair.behind(canvas, person, rng)
    head.body(canvas, person, rng)
    head.ears(canvas, person)
    head.face(canvas, person, rng)
    features.beard(canvas, person, rng)
    features.wrinkles(canvas, person, rng)
    features.nose(canvas, person)
    features.eyes(canvas, person, rng)
    features.mouth(canvas, person, rng)
    features.brows(canvas, person, rng)
    hair.over(canvas, person, rng)
    if person.glasses:
        features.glasses(canvas, person, rng)
    return features.camera_effects(canvas.downscaled(), rng)
