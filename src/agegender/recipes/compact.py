"""The compact nets, from random weights or distilled from a teacher."""

import dataclasses

from agegender.recipes.recipe import Recipe, Target

AUGMENT = {
    "rotate": 10,
    "scale": 0.12,
    "shift": 0.03,
    "brightness": 0.1,
    "contrast": 0.2,
    "saturation": 0.2,
    "gray": 0.05,
    "blur": 0.1,
    "erase": 0.3,
}
TARGETS = {"gender": Target(smoothing=0.05), "age": Target(deviation=2.5)}

COMPACT = Recipe(
    name="compact",
    title="Compact net for age and gender, from random weights",
    net="compact",
    batch=64,
    minutes=20,
    targets=TARGETS,
    augment=AUGMENT,
    solver={"type": "Nesterov", "base_lr": 0.05, "lr_policy": "cosine", "momentum": 0.9, "weight_decay": 0.005},
)
WIDE = dataclasses.replace(
    COMPACT,
    name="compact-wide",
    title="Compact net, 1.5 times as wide, from random weights",
    net="compact-wide",
    minutes=30,
)
STRONG = {  # for photographs by anyone: other framing, light, cameras and grey pictures
    "rotate": 15,
    "scale": 0.2,
    "shift": 0.06,
    "brightness": 0.15,
    "contrast": 0.3,
    "saturation": 0.3,
    "gray": 0.15,
    "blur": 0.2,
    "light": 0.3,
    "compress": 0.2,
    "erase": 0.2,
}
ALL = dataclasses.replace(
    COMPACT,
    name="compact-all",
    title="Compact net on all of UTKFace, balanced, distilled from published nets",
    minutes=75,
    targets={"gender": Target(smoothing=0.05), "age": Target(deviation=1.0, growth=0.04)},
    augment=STRONG,
    solver=COMPACT.solver | {"weight_decay": 0.001},
    balance=0.5,
    teachers=("face-resnet", "mobilenet", "dlib-age", "dlib-gender"),
    distillation_weight=0.6,
    races="all",
    validation=0.06,
    average=0.1,
)
WITH_DLIB = dataclasses.replace(
    ALL,
    name="compact-dlib",
    title="Compact net with dlib's gender net as a branch, on all of UTKFace, balanced, distilled from published nets",
    net="compact-dlib",
    features=True,
)
RECIPES = (
    COMPACT,
    ALL,
    WITH_DLIB,
    dataclasses.replace(
        WITH_DLIB,
        name="compact-wide-dlib",
        title=WITH_DLIB.title.replace("net with", "net, 1.5 times as wide, with"),
        net="compact-wide-dlib",
        minutes=110,
    ),
    dataclasses.replace(
        COMPACT,
        name="compact-distilled",
        title="Compact net for age and gender, distilled from the face recognition net",
        minutes=30,
        teacher="face-resnet-112",
    ),
    WIDE,
    dataclasses.replace(
        WIDE,
        name="compact-wide-selfdistilled",
        title="Compact net, 1.5 times as wide, distilled from itself",
        minutes=40,
        teacher="compact-wide",
    ),
)
