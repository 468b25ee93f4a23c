"""Go the whole road: faces, lists, databases, mean, training, judging, compiling, a prediction.

Without --archive the faces are drawn by a seeded program, so nothing is downloaded. A second run does again only what is
out of date; a run that was cut off goes on where it was.
"""


def add_arguments(parser):
    parser.add_argument("--archive", metavar="FILE", help="a UTKFace archive (.tar.gz) instead of the drawn faces")
    parser.add_argument("--race", default="asian", help="faces of the archive to take: asian (default), all, or a list")
    parser.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="training iterations of each net (default: the quick solver's)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="bf16",
        help="of the training's matrix products (default bf16 where the processor has it in hardware, else float32)",
    )
    parser.add_argument("--count", type=int, default=900, metavar="N", help="how many faces to draw (900)")
    parser.add_argument("--seed", type=int, default=230, help="of the faces, the split and the training (230)")
    parser.add_argument("--force", action="store_true", help="do every stage again")


def run(args):
    from agegender.quickstart import Quickstart

    return Quickstart(args).run()
