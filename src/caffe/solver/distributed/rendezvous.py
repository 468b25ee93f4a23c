"""A fresh store for the processes of one start.

torchrun's agent keeps its store when it restarts the processes after a failure, with the addresses of processes that
have ended; a process that reads one of them connects to nobody. So the processes first agree on a name that is new.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

import torch.distributed as dist

from caffe.errors import CaffeError

PATIENCE = 600.0  # seconds in which all processes must have started
_PAUSE = 0.05
_SESSION, _ANSWER, _AGREED = "caffe/session", "caffe/{}/answer/{}", "caffe/{}/agreed"


def agent_store_is_kept() -> bool:
    """Return whether the processes use the store of torchrun's agent."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def fresh(store: Any, rank: int, size: int, patience: float = PATIENCE) -> Any:
    """Return a part of `store` that no earlier process has written to.

    Process 0 announces a session, the others answer it with a token of their own, and process 0 publishes all tokens. A
    process that finds its token there has met the present processes; one that has read an old session finds a token of
    the past, or none, and looks again.

    Parameters
    ----------
    store : torch.distributed.Store
    rank, size : int
    patience : float
        Seconds to wait for the others.

    Raises
    ------
    CaffeError
        If not all processes arrive in time.
    """
    token, end = uuid.uuid4().hex, time.monotonic() + patience
    session = _announce(store, size, end) if rank == 0 else _join(store, rank, token, end)
    return dist.PrefixStore(f"caffe/{session}", store)


def _announce(store, size, end):
    session = uuid.uuid4().hex
    store.set(_SESSION, session)
    keys = [_ANSWER.format(session, rank) for rank in range(1, size)]
    for key in keys:
        while not store.check([key]):
            _pause(end, f"process {key.rpartition('/')[2]} of {size} did not start")
    tokens = [store.get(key).decode() for key in keys]
    store.set(_AGREED.format(session), json.dumps(tokens))
    return session


def _join(store, rank, token, end):
    answered = ""
    while True:
        if store.check([_SESSION]):
            session = store.get(_SESSION).decode()
            if session != answered:
                store.set(_ANSWER.format(session, rank), token)
                answered = session
            agreed = _AGREED.format(session)
            if store.check([agreed]) and json.loads(store.get(agreed))[rank - 1] == token:
                return session
        _pause(end, "process 0 did not start")


def _pause(end, text):
    if time.monotonic() > end:
        raise CaffeError(f"{text} within {PATIENCE:g} seconds")
    time.sleep(_PAUSE)
