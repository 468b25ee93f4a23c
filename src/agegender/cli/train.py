"""Train AgeNet or GenderNet with its solver file (`caffe train` and every flag of it)."""

from agegender.nets import NETS


def add_arguments(parser):
    from caffe.tools import train

    parser.add_argument("net", choices=list(NETS), help="which net")
    parser.add_argument("--quick", action="store_true", help="the solver for minutes (prototxt/quick) instead of the original's")
    train.add_arguments(parser)
    for action in parser._actions:
        if action.dest == "solver":
            action.required, action.help = False, "another solver prototxt than the net's own"


def run(args):
    from caffe.tools import train

    net = NETS[args.net]
    args.solver = args.solver or (net.quick_solver if args.quick else net.solver)
    status = train.run(args)
    if not status:
        print("Next: ./test_%s.sh" % net.name)
    return status
