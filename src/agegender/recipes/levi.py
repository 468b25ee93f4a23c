"""AgeNet and GenderNet of Levi and Hassner, with online augmentation instead of stored copies."""

from agegender.recipes.compact import AUGMENT
from agegender.recipes.recipe import Recipe, Target

_SOLVER = {
    "type": "Adam",
    "base_lr": 0.0002,
    "lr_policy": "cosine",
    "momentum": 0.9,
    "momentum2": 0.999,
    "weight_decay": 0.0005,
}

RECIPES = tuple(
    Recipe(name=name, title=title, net=net, batch=50, minutes=60, targets=targets, augment=AUGMENT, solver=_SOLVER)
    for name, title, net, targets in (
        ("agenet", "AgeNet with online augmentation", "AgeNet", {"age": Target(smoothing=0.1, deviation=0.5)}),
        ("gendernet", "GenderNet with online augmentation", "GenderNet", {"gender": Target(smoothing=0.05)}),
    )
)
