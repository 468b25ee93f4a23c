"""The experiments of zealerww/gender_age_classification: one gender net after another on the same faces, Adam at 0.0005.

Its brightness was added before a division by 255 and so did nothing; here it acts. VGG-Face's features are frozen: give its
weights with --weights.
"""

from agegender.recipes.recipe import Recipe, Target

_SOLVER = {"type": "Adam", "base_lr": 0.0005, "lr_policy": "fixed", "momentum": 0.9, "momentum2": 0.999}
_LIGHT = {"brightness": 0.5, "contrast": 0.5}


def _recipe(name, title, net=None, augment=_LIGHT, **solver):
    return Recipe(
        name="zealerww-" + name, title=title, net="zealerww-" + (net or name), batch=64, minutes=20,
        targets={"gender": Target()}, augment=augment, solver={**_SOLVER, **solver}, rampup=0,
    )  # fmt: skip


RECIPES = (
    _recipe("paper", "net_paper; brightness, contrast, mirror"),
    _recipe("rotation", "net_paper; rotation and scale besides", "paper", {**_LIGHT, "rotate": 10, "scale": 0.2}),
    _recipe(
        "decay", "net_paper; L2 0.0001 besides", "paper", {**_LIGHT, "rotate": 10, "scale": 0.2}, weight_decay=0.0001
    ),
    _recipe("resnet", "net_resnet"),
    _recipe("selu", "net_paper with SELU"),
    _recipe("leaky", "net_paper with leaky ReLU"),
    _recipe("batchnorm", "net_paper with batch normalisation"),
    _recipe("inception", "the inception-like net"),
    _recipe("vggface", "VGG-Face's features, frozen, under new heads", base_lr=0.005),
)
