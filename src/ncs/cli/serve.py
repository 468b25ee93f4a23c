"""Serve compiled nets over HTTP and gRPC (KServe v2), on any device: CPU, GPU, NPU, sticks, the simulator.

Clients send the net's input, or images (JPEG, PNG ...) to which the training's Transform is applied. Requests are
collected into batches. The server listens on this machine only unless --host says otherwise. Needs the extra `serve`.
"""

from __future__ import annotations

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("manifest", nargs="+", help="graph/NAME.json of every net to serve")
    parser.add_argument("-d", "--device", default="", help="device (default: a stick if there is one, else the CPU)")
    parser.add_argument(
        "--faces", action="store_true", help="add the model `faces`: photographs in, boxes and predictions per face out"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port of HTTP (default: 8000; 0: any free one)")
    parser.add_argument("--grpc", type=int, metavar="PORT", help="port of gRPC (default: no gRPC)")
    parser.add_argument("--max-batch", type=int, default=16, metavar="N", help="images per batch (default: 16)")
    parser.add_argument(
        "--batch-delay",
        type=float,
        default=0.0,
        metavar="MS",
        help="milliseconds to wait for a full batch (default: 0)",
    )
    parser.add_argument(
        "--hint",
        choices=("latency", "throughput"),
        default="throughput",
        help="OpenVINO's performance hint: throughput (default) runs batches at once, each on one core",
    )
    parser.add_argument(
        "--queue", type=int, default=256, metavar="N", help="images that may wait; more get 503 (default: 256)"
    )
    parser.add_argument(
        "--max-request", type=float, default=32.0, metavar="MB", help="size of a request (default: 32 MB)"
    )
    parser.add_argument(
        "--token-file", metavar="FILE", help="file with the token that clients send (Authorization: Bearer TOKEN)"
    )
    parser.add_argument("--certificate", default="", metavar="FILE", help="TLS certificate (PEM)")
    parser.add_argument("--key", default="", metavar="FILE", help="key of the certificate (PEM)")
    parser.add_argument(
        "--access-log", default="-", metavar="FILE", help="one line of JSON per request: a file, - or off (default: -)"
    )
    parser.add_argument("--grace", type=int, default=30, metavar="S", help="seconds to finish requests (default: 30)")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal."""
    from ncs import runtime
    from ncs.errors import NcsError

    missing = [name for name in ("starlette", "uvicorn") if not runtime.is_importable(name)]
    missing += ["grpcio"] if args.grpc is not None and not runtime.is_importable("grpc") else []
    if missing:
        raise NcsError(f"ncs serve needs {', '.join(missing)}: pip install 'caffe2ncs[serve]'")
    from ncs.serve import server
    from ncs.serve.metrics import Metrics
    from ncs.serve.models import Limits

    settings = _settings(args)
    device, reason = (args.device, "") if args.device else runtime.default_device()
    print(f"Running on {device}{f' ({reason})' if reason else ''}", file=sys.stderr)
    metrics = Metrics()
    limits = Limits(queue=args.queue, max_batch=args.max_batch, delay=args.batch_delay / 1e3, hint=args.hint)
    models = server.open_models(args.manifest, device, limits, metrics)
    if args.faces:
        models.update(_faces(models))
    if not server.is_loopback(args.host) and not settings.token:
        print(
            f"warning: anyone who reaches {args.host} may use this server; --token-file asks for a token",
            file=sys.stderr,
        )
    if args.access_log == "off":
        server.serve(models, metrics, settings)
        return 0
    stream = sys.stderr if args.access_log == "-" else open(args.access_log, "a", encoding="utf-8")  # noqa: SIM115
    try:
        server.serve(models, metrics, settings, lambda line: print(line, file=stream, flush=True))
    finally:
        if stream is not sys.stderr:
            stream.close()
    return 0


def _faces(models):
    from ncs.serve.photographs import photographs

    model = photographs(models)
    return {model.name: model}


def _settings(args):
    from ncs.errors import NcsError
    from ncs.serve.server import Settings

    for name in ("max_batch", "queue"):
        if getattr(args, name) < 1:
            raise NcsError(f"--{name.replace('_', '-')} must be at least 1, received {getattr(args, name)}")
    if bool(args.certificate) != bool(args.key):
        raise NcsError("TLS needs both --certificate and --key")
    for path in filter(None, (args.certificate, args.key, args.token_file)):
        if not os.path.isfile(path):
            raise NcsError(f"{path}: no such file")
    token = ""
    if args.token_file:
        with open(args.token_file, encoding="utf-8") as stream:
            token = stream.read().strip()
        if not token:
            raise NcsError(f"{args.token_file}: empty; expected a token")
    return Settings(
        args.host,
        args.port,
        args.grpc,
        token,
        args.certificate,
        args.key,
        int(args.max_request * 1e6),
        args.grace,
    )
