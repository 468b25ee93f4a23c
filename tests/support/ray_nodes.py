"""A Ray cluster of two nodes on this machine, for tests that lose one of them."""

import contextlib
import os
import sys

import pytest


@contextlib.contextmanager
def two_nodes(monkeypatch):
    """Yield a cluster with a head and a node of one CPU each; skip the test without Ray."""
    pytest.importorskip("ray", reason="ray is not installed (extra `ray`)")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def lose_node(cluster):
    """Kill the node that is not the head, with its workers."""
    (node,) = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)
