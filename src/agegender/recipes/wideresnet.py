"""yu4u's wide residual net: trained as by its author (a class per year, mixup, random erasing), and fine-tuned."""

from agegender.recipes.compact import AUGMENT, TARGETS
from agegender.recipes.recipe import Recipe, Target

RECIPES = (
    Recipe(
        name="wideresnet",
        title="WRN-16-8 from random weights, trained as by yu4u",
        net="wideresnet",
        batch=32,
        minutes=90,
        targets={"gender": Target(), "age": Target()},
        augment={"shift": 0.1, "erase": 0.5, "mixup": 0.2},
        solver={
            "type": "Nesterov",
            "base_lr": 0.1,
            "lr_policy": "multistep",
            "gamma": 0.2,
            "momentum": 0.9,
            "weight_decay": 0.0005,
        },
        steps=(0.25, 0.5, 0.75),
        rampup=0,
    ),
    Recipe(
        name="wideresnet-tuned",
        title="WRN-16-8 fine-tuned from yu4u's weights",
        net="wideresnet",
        batch=32,
        minutes=90,
        targets=TARGETS,
        augment=AUGMENT,
        solver={"type": "Nesterov", "base_lr": 0.01, "lr_policy": "cosine", "momentum": 0.9, "weight_decay": 0.0005},
        features=True,
    ),
)
