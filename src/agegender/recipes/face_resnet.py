"""dlib's face recognition net, fine-tuned."""

import dataclasses

from agegender.recipes.compact import ALL, AUGMENT, TARGETS
from agegender.recipes.recipe import Recipe

FULL = Recipe(
    name="face-resnet",
    title="Face recognition net, fine-tuned for age and gender",
    net="face-resnet",
    batch=64,
    minutes=20,
    targets=TARGETS,
    augment=AUGMENT,
    solver={
        "type": "Adam",
        "base_lr": 0.006,
        "lr_policy": "cosine",
        "momentum": 0.9,
        "momentum2": 0.999,
        "weight_decay": 0.0005,
        "clip_gradients": 5,
    },
    features=True,
    body=0.005,
)
SMALL = dataclasses.replace(
    FULL,
    name="face-resnet-112",
    title="Face recognition net at 112 pixels, teacher of compact-distilled",
    side=112,
    augment=AUGMENT | {"mixup": 0.2},  # as for the teacher of the weights in the package
)
EVERYONE = dataclasses.replace(
    FULL,
    name="face-resnet-all",
    title="Face recognition net on all of UTKFace, balanced, distilled from published nets",
    minutes=45,
    **{
        field: getattr(ALL, field)
        for field in (
            "targets",
            "augment",
            "balance",
            "teachers",
            "distillation_weight",
            "races",
            "validation",
            "average",
        )
    },
)
RECIPES = (FULL, SMALL, EVERYONE)
