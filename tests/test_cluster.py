"""Several processes as one; what only a real pair of them shows is in test_launching."""

from __future__ import annotations

import hashlib
import socket

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import cluster


def test_alone_one_agrees_with_oneself():
    assert cluster.agreed(3, True) == (3, True)
    assert (cluster.first(), cluster.several()) == (True, False)


def test_all_that_give_the_same_are_alike(monkeypatch):
    texts = iter(("one", "another"))
    monkeypatch.setattr(cluster.multihost_utils, "process_allgather", lambda own: [own, digest(next(texts))])
    assert [cluster.alike("one"), cluster.alike("one")] == [True, False]


def digest(text):
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)


def test_alone_there_is_one_host():
    assert cluster.hosts() == (socket.gethostname(),)


def test_alone_nothing_is_divided():
    array = jnp.ones(4)
    assert cluster.divided(array) is array


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("UNKNOWN: Gloo all-reduce failed: Connection closed by peer [127.0.0.1]:61675", True),
        ("UNAVAILABLE: Failed to send RPC to coordination service", True),
        ("INTERNAL: NCCL operation ncclAllReduce failed: remote process exited", True),
        ("Incompatible shapes for dot: got (3, 4) and (5, 6).", False),
    ],
)
def test_errors_of_a_lost_process_are_told_from_others(said, lost):
    assert cluster.lost(RuntimeError(said)) == lost


def test_a_process_without_an_accelerator_of_its_own_says_what_to_do(monkeypatch):
    def initialized(*values):
        raise RuntimeError("Unable to initialize backend 'cuda': INTERNAL: no supported devices found")

    monkeypatch.setattr(jax.distributed, "initialize", lambda **given: None)
    monkeypatch.setattr(cluster, "agreed", initialized)
    with pytest.raises(cluster.ClusterError, match=r"Process 1 finds no accelerator .* JAX_PLATFORMS=cpu"):
        cluster.meet(cluster.Place("127.0.0.1:1", 2, 1))
