"""A store that keeps the keys of processes that have ended: the new processes still meet only each other."""

import threading

import pytest
import torch.distributed as dist

from caffe.errors import CaffeError
from caffe.solver.distributed import rendezvous


def _meet(store, size, order=None):
    """Run `fresh` for every rank in threads, started in `order`; return the stores by rank."""
    stores = {}
    threads = {
        rank: threading.Thread(target=lambda rank=rank: stores.update({rank: rendezvous.fresh(store, rank, size, 20)}))
        for rank in range(size)
    }
    for rank in order or range(size):
        threads[rank].start()
    for thread in threads.values():
        thread.join()
    return stores


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_restart_meets_in_a_part_of_its_own(order):
    """Each start writes the same key; none reads that of an earlier start."""
    store = dist.HashStore()
    for start in range(3):
        stores = _meet(store, 3, order)
        assert not stores[1].check(["address"])
        stores[0].set("address", str(start))
        assert {stores[rank].get("address") for rank in range(3)} == {str(start).encode()}


def test_processes_that_ended_during_the_start_are_not_met():
    """Before the restart, one process 0 announced a session and one process 1 answered it; then both were killed."""
    store = dist.HashStore()
    store.set("caffe/session", "old")
    store.set("caffe/old/answer/1", "killed")
    store.set("caffe/old/agreed", '["killed"]')
    stores = _meet(store, 2, (1, 0))
    stores[0].set("key", "new")
    assert stores[1].get("key") == b"new" and not store.check(["caffe/old/key"])


@pytest.mark.parametrize("rank, message", [(0, "process 1 of 2 did not start"), (1, "process 0 did not start")])
def test_a_process_that_stays_away_is_an_error(rank, message):
    with pytest.raises(CaffeError, match=message):
        rendezvous.fresh(dist.HashStore(), rank, 2, patience=0.2)
