"""Train a list of recipes on the same split and print one table; finished runs are not repeated.

Without names the list is zealerww's experiments. Each run is in models/RECIPE/seedN, as `agegender train --recipe`
makes it; an interrupted list resumes with the same command.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from agegender.cli.train import add_run_arguments, make_run

if TYPE_CHECKING:
    from agegender.recipes.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipes",
        nargs="*",
        metavar="RECIPE[:N]",
        help="recipes (`agegender train --list`), optionally with N iterations (default: zealerww's)",
    )
    add_run_arguments(parser)
    parser.add_argument("--minutes", type=float, metavar="M", help="per run (default: the recipe's)")
    parser.add_argument("--iterations", type=int, metavar="N", help="per run, instead of minutes")
    parser.add_argument(
        "--seed", type=int, action="append", help="of split and training; may be repeated (default: 230)"
    )
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32", help="of matrix products")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--ensemble", action="store_true", help="add a row: the ensemble of all these nets")
    parser.add_argument("--out", metavar="FILE", help="write the table (Markdown) to a file as well")


def run(args: argparse.Namespace) -> None:
    from agegender.evaluate import ensemble, summary
    from caffe.utils.atomic_io import write_bytes

    chosen = [parse_recipe(text) for text in args.recipes or default_recipes()]  # before the first one is trained
    seeds = args.seed or [230]
    summaries: dict[str, list[dict]] = {}
    runs: dict[int, list] = {}
    for recipe, iterations in chosen:
        for seed in seeds:
            print(f"== {recipe.name}, seed {seed}", flush=True)
            run = make_run(args, recipe.name, seed, iterations)
            summaries.setdefault(recipe.name, []).append(run.run())
            runs.setdefault(seed, []).append(run)
    if args.ensemble:
        summaries["ensemble"] = [ensemble.summary(runs[seed]) for seed in seeds]
    table = summary.table(summaries)
    print("\n" + table)
    if args.out:
        write_bytes(args.out, table + "\n")


def parse_recipe(text: str) -> tuple[Recipe, int | None]:
    """Return (recipe, iterations or None) of "RECIPE" or "RECIPE:N"."""
    from agegender import recipes
    from agegender.errors import AgeGenderError

    name, colon, number = text.partition(":")
    if colon and not (number.isdecimal() and int(number)):
        raise AgeGenderError(f"expected RECIPE or RECIPE:N with a positive number of iterations, received '{text}'")
    return recipes.resolve(name), int(number) if colon else None


def default_recipes() -> list[str]:
    """Return zealerww's experiments, except the one that needs weights of the user's."""
    from agegender import recipes

    return [name for name in recipes.recipes() if name.startswith("zealerww-") and not name.endswith("-vggface")]
