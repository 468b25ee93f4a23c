"""Split faces into training and test lists and balance the training side by mirrored and noisy copies.

Reads a folder of pictures named as UTKFace names them; writes data/DEF/{age,gender}_{train,test}.txt with
manifest.json, and the copies in data/overSampling. Prints the number of pictures a class, before and after.
"""

import os
import sys


def add_arguments(parser):
    parser.add_argument("--faces", metavar="DIR", help="folder of pictures (default: data/UTKFace_AsianOnly)")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, all")
    parser.add_argument("--data", metavar="DIR", default="data", help="where DEF and overSampling go (data)")
    parser.add_argument("--train", type=float, default=0.8, metavar="SHARE", help="share to learn from (0.8)")
    parser.add_argument("--seed", type=int, default=230, help="of the split and the noise (230)")
    parser.add_argument("--jobs", type=int, help="threads (all cores); no byte depends on it")
    parser.add_argument(
        "--exclude-near-duplicates", action="store_true", help="leave test pictures out whose near-twin is learned from"
    )
    parser.add_argument(
        "--compat",
        action="store_true",
        help="the original's algorithm on sorted names: repeated pictures stay in, the split is not "
        "stratified, age is balanced to the nearest pair and gender is not",
    )


def run(args):
    from agegender.datasets import build, utkface
    from agegender.datasets.lists import count_block
    from agegender.errors import AgeGenderError

    if not 0 < args.train < 1:
        raise AgeGenderError(f"--train {args.train:g}: a share between 0 and 1 is due")
    races = utkface.parse_races(args.race)
    faces = args.faces or os.path.join(args.data, utkface.folder_name(races))
    settings = build.Settings(faces, races, args.train, args.seed, args.compat, args.exclude_near_duplicates)
    outcome = build.build(settings, args.data, args.jobs)
    for line in remarks(outcome, args.exclude_near_duplicates):
        print(line, file=sys.stderr)
    print(count_block(outcome.before, outcome.after), end="", flush=True)
    print("Next: ./create_lmdb.sh", file=sys.stderr)


def remarks(outcome, exclude_near_duplicates):
    """What was left out or odd, a line each."""
    folder, found = outcome.folder, outcome.duplicates
    lines = ["%d pictures" % len(folder.samples)]
    lines += ["left out, its name says too little: " + text for text in folder.skipped]
    lines += ["taken all the same: " + text for text in folder.irregular]
    if found is not None and found.groups:
        lines.append(
            "%d groups of byte-identical pictures: %d contradict themselves in age class or gender and are "
            "dropped, %d in age; of the rest one each is kept; %d pictures remain"
            % (len(found.groups), found.class_groups, found.age_groups, len(found.kept))
        )
    if outcome.near_duplicates:
        left = len(outcome.lists["age_test"])
        lines.append(
            "%d test pictures show the very photograph of a training picture (manifest.json names them under near_duplicates): %s"
            % (
                len(outcome.near_duplicates),
                "left out, %d remain" % left
                if exclude_near_duplicates
                else "--exclude-near-duplicates leaves them out",
            )
        )
    return lines
