"""Draw faces by a seeded program, named as UTKFace names its own: everything runs with no download."""


def add_arguments(parser):
    parser.add_argument(
        "--out", metavar="DIR", default="data/synthetic_faces", help="folder to make (data/synthetic_faces)"
    )
    parser.add_argument("--count", type=int, default=900, help="number of files (900)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal bytes (1)")
    parser.add_argument("--jobs", type=int, help="processes (all cores); no byte depends on it")
    parser.add_argument("--contact-sheet", metavar="FILE", help="also make a contact sheet: a column an age class")


def run(args):
    import sys

    from agegender.synthetic_faces import collection

    faces = collection.make(args.out, args.count, args.seed, args.jobs)
    if args.contact_sheet:
        from agegender.synthetic_faces.contact_sheet import write_sheet

        write_sheet(args.contact_sheet, args.out)
    print("%d faces in %s" % (len(faces), args.out))
    print(f"Next: ./build_dataset.py --faces {args.out}", file=sys.stderr)
