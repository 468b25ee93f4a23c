"""The experiments of zealerww/gender_age_classification: gender nets trained on the same faces by Adam at 0.0005.

The original adds brightness before dividing by 255, so that it has no effect; here it has. VGG-Face's features are
frozen: load its weights with --weights.
"""

from agegender.recipes.recipe import Recipe, Target

_SOLVER = {"type": "Adam", "base_lr": 0.0005, "lr_policy": "fixed", "momentum": 0.9, "momentum2": 0.999}
_LIGHT = {"brightness": 0.5, "contrast": 0.5}
_LIGHT_AND_GEOMETRY = {**_LIGHT, "rotate": 10, "scale": 0.2}


def _recipe(name, title, net=None, augment=_LIGHT, **solver):
    return Recipe(
        name="zealerww-" + name,
        title=title,
        net="zealerww-" + (net or name),
        batch=64,
        minutes=20,
        targets={"gender": Target()},
        augment=augment,
        solver={**_SOLVER, **solver},
        rampup=0,
    )


RECIPES = (
    _recipe("paper", "net_paper; brightness, contrast, mirroring"),
    _recipe("rotation", "net_paper; also rotation and scale", "paper", _LIGHT_AND_GEOMETRY),
    _recipe("decay", "net_paper; also L2 of 0.0001", "paper", _LIGHT_AND_GEOMETRY, weight_decay=0.0001),
    _recipe("resnet", "net_resnet"),
    _recipe("selu", "net_paper with SELU"),
    _recipe("leaky", "net_paper with leaky ReLU"),
    _recipe("batchnorm", "net_paper with batch normalisation"),
    _recipe("inception", "the inception-like net"),
    _recipe("vggface", "VGG-Face's features, frozen, with new layers", base_lr=0.005),
)
