"""Train AgeNet or GenderNet with its solver file (`caffe train` and every flag of it), or any net by a recipe.

agegender train AgeNet [--quick] [caffe train's flags]: on the databases of data/lmdb.
agegender train --recipe NAME [--minutes M]: from a folder of faces to a judged net in models/NAME/seedN, on all of it: split,
databases, prototxt, training, report. A run that was cut off goes on with the same command. --list names the recipes.
"""

from __future__ import annotations

import os

from agegender.nets import NETS


def add_arguments(parser):
    from caffe.tools import train

    parser.add_argument("net", nargs="?", choices=list(NETS), help="which net")
    parser.add_argument(
        "--quick", action="store_true", help="the solver for minutes (prototxt/quick) instead of the original's"
    )
    own = parser.add_argument_group("recipes")
    own.add_argument("--recipe", metavar="NAME", help="train by a recipe, from the faces to the report")
    own.add_argument("--list", action="store_true", help="name the recipes")
    add_run_arguments(own)
    own.add_argument(
        "--minutes", type=float, metavar="M", help="how long the training may take (default: the recipe's)"
    )
    own.add_argument("--seed", type=int, default=230, help="of the split and the training (230)")
    own.add_argument("--out", metavar="DIR", help="the run's folder (default: models/NAME/seedN)")
    train.add_arguments(parser)
    for action in parser._actions:
        if action.dest == "solver":
            action.required, action.help = False, "another solver prototxt than the net's own"


def add_run_arguments(parser):
    """What runs of recipes share: the faces, and how they are judged."""
    parser.add_argument(
        "--faces", metavar="DIR", help="folder of faces named as UTKFace's (default: data/UTKFace_AsianOnly)"
    )
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, all, or a list")
    parser.add_argument("--validation", action="store_true", help="judge on a fifth of the training side: to choose by")
    parser.add_argument("--int8", action="store_true", help="judge in INT8, too (needs the extra `int8`)")


def run_of(args, name, seed, iterations=None, **more):
    """The training.run.Run of a recipe that the command line asks for, `iterations` before the command line's."""
    from agegender import recipes
    from agegender.datasets import utkface
    from agegender.training.run import Run

    races = utkface.races(args.race)
    faces = args.faces or os.path.join("data", utkface.folder_name(races))
    return Run(recipes.resolve(name), faces, races, seed, minutes=args.minutes, iterations=iterations or args.iterations or None,
               validation=args.validation, precision=args.precision, threads=args.threads, int8=args.int8, **more)  # fmt: skip


def run(args):
    from agegender.errors import AgeGenderError

    if args.list:
        return _list()
    if bool(args.net) == bool(args.recipe):
        raise AgeGenderError("give a net ({}) or --recipe NAME; --list names the recipes".format(", ".join(NETS)))
    return _recipe(args) if args.recipe else _net(args)


def _net(args):
    from caffe.tools import train

    net = NETS[args.net]
    args.solver = args.solver or (net.quick_solver if args.quick else net.solver)
    status = train.run(args)
    if not status:
        print(f"Next: ./test_{net.name}.sh")
    return status


def _list():
    from agegender.recipes import recipes

    width = max(map(len, recipes()))
    for recipe in recipes().values():
        print("%-*s %3.0f minutes  %s" % (width, recipe.name, recipe.minutes, recipe.title))


def _recipe(args):
    from agegender.evaluate.summary import lines

    run = run_of(args, args.recipe, args.seed, weights=args.weights, folder=args.out)
    print("\n".join(lines(run.run())))
    where = os.path.relpath(run.folder)
    print(f"Report, weights and curves are in {where}")
    print(f"Next: ncs compile --model {run.recipe.net} -w {os.path.join(where, run.weights)}")
