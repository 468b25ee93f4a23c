"""Make a folder that runs on a board: nets, manifests, means, run_inference.py; or one for OpenVINO Model Server."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("manifest", nargs="+", help="graph/NAME.json of every net that is to go with it")
    parser.add_argument(
        "-o", dest="output", required=True, metavar="FOLDER", help="folder to write (replaced when it is there)"
    )
    parser.add_argument(
        "--model-server", action="store_true", help="a Model Server repository (models/NAME/1, config.json)"
    )
    parser.add_argument("-d", "--device", default="CPU", help="the Model Server's target device (default CPU)")
    parser.add_argument(
        "--mount-path", default="/models", metavar="PATH", help="where the server finds the folder (default /models)"
    )
    parser.add_argument(
        "--kinds",
        default="blob,graph,onnx,xml,bin",
        metavar="K[,K...]",
        help="files to take along (default blob,graph,onnx,xml,bin)",
    )


def run(args):
    from ncs.bundle import bundle

    if args.model_server:
        for config in bundle.model_server(args.manifest, args.output, args.device, args.mount_path):
            print("{}: {}/{}/1".format(config["name"], args.output, config["name"]))
        print("ovms --config_path {}/config.json --port 9000 --rest_port 8000".format(args.mount_path.rstrip("/")))
        return 0
    paths = bundle.bundle(args.manifest, args.output, tuple(args.kinds.split(",")))
    print("%s: %d files; there: python3 run_inference.py PICTURE" % (args.output, len(paths)))
    return 0
