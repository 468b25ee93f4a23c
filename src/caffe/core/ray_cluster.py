"""A connection to a Ray cluster, for work that outgrows one machine (extra `ray`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from caffe.errors import CaffeError

RETRIES = 3  # how often work may be lost with its node or process
AHEAD = 2  # pieces of work per worker that are handed out: one runs, one waits


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield the module `ray`, connected for the duration of the context.

    The dashboard and usage statistics are off; token authentication is on unless RAY_AUTH_MODE says otherwise.

    Parameters
    ----------
    address : str
        "local" starts Ray on this machine, "auto" joins the cluster that runs here, else the cluster's address.

    Raises
    ------
    CaffeError
        If Ray is not installed or the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise CaffeError("--ray needs Ray: pip install 'caffe2ncs[ray]'") from None
    try:
        if address == "local":
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        else:
            ray.init(address, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise CaffeError(f"--ray {address}: {str(error).splitlines()[0]}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def last_line(error: BaseException) -> str:
    """Return the last line of one of Ray's errors, which names the cause."""
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]
