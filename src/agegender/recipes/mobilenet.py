"""The MobileNet pretrained on larger data sets, fine-tuned."""

import dataclasses

from agegender.recipes.face_resnet import FULL

RECIPES = (
    dataclasses.replace(
        FULL,
        name="mobilenet",
        title="MobileNet pretrained on larger data sets, fine-tuned for age and gender",
        net="mobilenet",
        minutes=30,
        solver=FULL.solver | {"base_lr": 0.003},
        body=0.02,
    ),
)
