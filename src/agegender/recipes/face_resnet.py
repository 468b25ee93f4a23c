"""dlib's face recognition net, fine-tuned."""

import dataclasses

from agegender.recipes.compact import AUGMENT, TARGETS
from agegender.recipes.recipe import Recipe

FULL = Recipe(
    name="face-resnet",
    title="Face recognition net, both answers, fine-tuned",
    net="face-resnet",
    batch=64,
    minutes=20,
    targets=TARGETS,
    augment=AUGMENT,
    solver={"type": "Adam", "base_lr": 0.006, "lr_policy": "cosine", "momentum": 0.9, "momentum2": 0.999,
            "weight_decay": 0.0005, "clip_gradients": 5},
    features=True,
    body=0.005,
)  # fmt: skip
SMALL = dataclasses.replace(
    FULL, name="face-resnet-112", title="Face recognition net at 112 pixels, which teaches compact-distilled", side=112,
    augment=AUGMENT | {"mixup": 0.2},  # as when it taught the net that the package has
)  # fmt: skip
RECIPES = (FULL, SMALL)
