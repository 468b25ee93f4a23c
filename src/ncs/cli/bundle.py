"""Create a self-contained folder for a target device, or a repository for OpenVINO Model Server.

The folder contains the nets, manifests, means and run_inference.py.
"""

from __future__ import annotations

import argparse

# Target -> (kinds of model files, program to run).
_DEFAULTS = {
    "stick": (("blob", "graph", "onnx", "xml", "bin"), "run_inference.py IMAGE"),
    "oak": (("blob", "superblob", "nn_archive"), "oak_camera.py"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", nargs="+", help="graph/NAME.json of every net to include")
    parser.add_argument(
        "-o", dest="output", required=True, metavar="FOLDER", help="output folder (an existing bundle is replaced)"
    )
    parser.add_argument(
        "--target",
        choices=("stick", "oak", "RVC2"),
        default="stick",
        help="oak (or RVC2): for OAK cameras, with oak_camera.py, which needs depthai 3 or 2",
    )
    parser.add_argument(
        "--model-server", action="store_true", help="write a Model Server repository (models/NAME/1, config.json)"
    )
    parser.add_argument(
        "--dlstreamer", action="store_true", help="write models, model-proc files and a pipeline for Intel DL Streamer"
    )
    parser.add_argument(
        "-d",
        "--device",
        default="CPU",
        help="target device of the Model Server, such as GPU or BATCH:CPU(16) (default CPU)",
    )
    parser.add_argument(
        "--mount-path", default="/models", metavar="PATH", help="path of the folder on the server (default /models)"
    )
    parser.add_argument(
        "--kinds",
        metavar="K[,K...]",
        help="kinds of model files to include (default blob,graph,onnx,xml,bin; blob,superblob,nn_archive for oak)",
    )


def run(args: argparse.Namespace) -> int:
    from ncs.bundle import bundle, model_server

    if args.model_server:
        for config in model_server.model_server(args.manifest, args.output, args.device, args.mount_path):
            print("{}: {}/{}/1".format(config["name"], args.output, config["name"]))
        print("ovms --config_path {}/config.json --port 9000 --rest_port 8000".format(args.mount_path.rstrip("/")))
        return 0
    if args.dlstreamer:
        from ncs.bundle import dlstreamer

        print("{}: {}".format(args.output, ", ".join(dlstreamer.dlstreamer(args.manifest, args.output))))
        return 0
    target = "stick" if args.target == "stick" else "oak"
    kinds, program = _DEFAULTS[target]
    kinds = tuple(args.kinds.split(",")) if args.kinds else kinds
    paths = bundle.bundle(args.manifest, args.output, kinds, target)
    print(f"{args.output}: {len(paths)} files; on the target device run: python3 {program}")
    return 0
