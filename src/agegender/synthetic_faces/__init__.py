"""Faces drawn by a seeded program, so that every stage can be run and shown without any download.

Age and sex are told as people tell them: by hair, grey, wrinkles, proportions, jaw, brows, lips, beard.
`draw` makes one chip, `collection` a folder named and skewed as UTKFace's Asian part is.
"""

from __future__ import annotations

import numpy as np

from agegender.synthetic_faces import features, hair, head, traits


def draw(age, male, seed):
    """A chip of 200x200x3 (uint8, BGR) of somebody of `age` years; equal arguments give equal pixels.

    `seed` is an integer or a sequence of integers.
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
    return features.film(canvas.shrunk(), rng)
