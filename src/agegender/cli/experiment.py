"""Train a list of recipes on the same split and print one table; what is done already is not done again.

Without names it is the list of zealerww's experiments. Each run lies in models/RECIPE/seedN as `agegender train --recipe` makes
it; a list that was cut off goes on with the same command.
"""

from __future__ import annotations

from agegender.cli.train import add_run_arguments, run_of


def add_arguments(parser):
    parser.add_argument(
        "recipes",
        nargs="*",
        metavar="RECIPE[:N]",
        help="recipes (`agegender train --list`), for N iterations where N is given; default: zealerww's",
    )
    add_run_arguments(parser)
    parser.add_argument("--minutes", type=float, metavar="M", help="for each (default: the recipe's)")
    parser.add_argument("--iterations", type=int, metavar="N", help="for each, instead of minutes")
    parser.add_argument("--seed", type=int, action="append", help="of split and training, as often as wanted (230)")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32", help="of the matrix products")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument(
        "--ensemble", action="store_true", help="a further row: the mean answer of all these nets, as one"
    )
    parser.add_argument("--out", metavar="FILE", help="write the table (Markdown) here as well")


def run(args):
    from agegender.evaluate import ensemble, summary
    from caffe.utils.atomic_io import write_bytes

    chosen = [asked(text) for text in args.recipes or listed()]  # all of them, before the first is trained
    seeds, found, runs = args.seed or [230], {}, {}
    for recipe, iterations in chosen:
        for seed in seeds:
            print("== %s, seed %d" % (recipe.name, seed), flush=True)
            one = run_of(args, recipe.name, seed, iterations)
            found.setdefault(recipe.name, []).append(one.run())
            runs.setdefault(seed, []).append(one)
    if args.ensemble:
        found["together"] = [ensemble.summary(runs[seed]) for seed in seeds]
    table = summary.table(found)
    print("\n" + table)
    if args.out:
        write_bytes(args.out, table + "\n")


def asked(text):
    """(Recipe, iterations or None) of RECIPE or RECIPE:N."""
    from agegender import recipes
    from agegender.errors import AgeGenderError

    name, colon, number = text.partition(":")
    if colon and not (number.isdecimal() and int(number)):
        raise AgeGenderError(f"'{text}': RECIPE:N is wanted, N a whole number of iterations from 1 on")
    return recipes.resolve(name), int(number) if colon else None


def listed():
    """zealerww's experiments, but for the one whose weights have to be given."""
    from agegender import recipes

    return [name for name in recipes.recipes() if name.startswith("zealerww-") and not name.endswith("-vggface")]
