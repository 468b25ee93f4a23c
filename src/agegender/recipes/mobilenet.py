"""The MobileNet of larger collections, fine-tuned."""

import dataclasses

from agegender.recipes.face_resnet import FULL

RECIPES = (
    dataclasses.replace(FULL, name="mobilenet", title="MobileNet of larger collections, both answers, fine-tuned",
                        net="mobilenet", minutes=30, solver=FULL.solver | {"base_lr": 0.003}, body=0.02),
)  # fmt: skip
