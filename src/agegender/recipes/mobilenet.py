"""The MobileNet of larger collections, fine-tuned."""

from agegender.recipes.compact import AUGMENT, TARGETS
from agegender.training.recipe import Recipe

RECIPES = (
    Recipe(
        name="mobilenet",
        title="MobileNet of larger collections, both answers, fine-tuned",
        net="mobilenet",
        batch=64,
        minutes=30,
        targets=TARGETS,
        augment=AUGMENT | {"mixup": 0.2},
        solver={"type": "Adam", "base_lr": 0.003, "lr_policy": "cosine", "momentum": 0.9, "momentum2": 0.999,
                "weight_decay": 0.0005, "clip_gradients": 5},
        features=True,
        body=0.02,
    ),
)  # fmt: skip
