"""The compact nets from nothing but the faces at hand, or with a teacher."""

import dataclasses

from agegender.recipes.recipe import Recipe, Target

AUGMENT = {
    "rotate": 10, "scale": 0.12, "shift": 0.03, "brightness": 0.1, "contrast": 0.2, "saturation": 0.2, "gray": 0.05,
    "blur": 0.1, "erase": 0.3,
}  # fmt: skip
TARGETS = {"gender": Target(smoothing=0.05), "age": Target(deviation=2.5)}

ALONE = Recipe(
    name="compact",
    title="Compact net, both answers, from random weights",
    net="compact",
    batch=64,
    minutes=20,
    targets=TARGETS,
    augment=AUGMENT,
    solver={"type": "Nesterov", "base_lr": 0.05, "lr_policy": "cosine", "momentum": 0.9, "weight_decay": 0.005},
)
WIDE = dataclasses.replace(
    ALONE,
    name="compact-wide",
    title="Compact net, half as wide again, from random weights",
    net="compact-wide",
    minutes=30,
)
RECIPES = (
    ALONE,
    dataclasses.replace(ALONE, name="compact-distilled", title="Compact net, both answers, taught by the face recognition net",
                        minutes=30, teacher="face-resnet-112"),
    WIDE,
    dataclasses.replace(WIDE, name="compact-wide-selfdistilled", title="Compact net, half as wide again, taught by itself",
                        minutes=40, teacher="compact-wide"),
)  # fmt: skip
