"""Serve the workbench: data sets, training, evaluation, models and predictions of a directory in the browser.

The address is that of this machine only; --host makes it reachable for others and then requires the token that is
printed. From another machine: ssh -L 8080:127.0.0.1:8080 HOST. Needs the extra `web`.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", default=".", help="directory to show and work in (default: this one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8080, help="port; 0 takes a free one (default: 8080)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--read-only", action="store_true", help="show everything, change and start nothing")


def run(args: argparse.Namespace) -> None:
    import secrets

    from agegender.errors import AgeGenderError
    from agegender.workbench.server.settings import Settings, is_loopback

    token = "" if is_loopback(args.host) else secrets.token_urlsafe(24)
    settings = Settings.checked(args.root, args.host, args.port, token, args.read_only)
    try:
        from agegender.workbench.server.serve import serve
    except ImportError as error:
        raise AgeGenderError(
            f"the workbench needs the package {error.name}: pip install 'caffe2ncs[web]' (in a clone: ./run.sh)"
        ) from None

    def started(port: int) -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{port}/" + (f"?token={token}" if token else "")
        print(f"Workbench of {settings.root}: {address}\nCtrl-C stops the server; jobs continue.", flush=True)
        if args.open:
            import threading
            import webbrowser

            threading.Timer(0.5, webbrowser.open, [address]).start()

    serve(settings, started)
