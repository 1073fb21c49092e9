"""Arrays written beside the training, and read onto whatever devices there are."""

from __future__ import annotations

import os
import shutil

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from engine import checkpoints
from engine.checkpoints import CheckpointsError, DamageError

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((4,), ("devices",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mesh):
    """Arrays of four devices."""
    cut = NamedSharding(mesh, PartitionSpec("devices"))
    writer, found = checkpoints.Writer(), tmp_path_factory.mktemp("states") / "0"
    writer.begin(found, {"w": jax.device_put(jnp.arange(8.0), cut), "half": jnp.ones(3, jnp.bfloat16)})
    writer.wait()
    return found


def test_what_lay_on_four_devices_is_read_onto_one(folder):
    found = checkpoints.restored(folder, {"w": jnp.zeros(8)})
    assert found["w"].tolist() == list(range(8))
    assert len(found["w"].sharding.device_set) == 1


def test_and_onto_several(folder, mesh):
    wanted = NamedSharding(mesh, PartitionSpec("devices"))
    found = checkpoints.restored(folder, {"w": jax.device_put(jnp.zeros(8), wanted)})
    assert found["w"].sharding == wanted


def test_types_that_numpy_does_not_have_are_kept(folder):
    assert checkpoints.restored(folder, {"half": jnp.zeros(3, jnp.bfloat16)})["half"].dtype == jnp.bfloat16


@pytest.mark.parametrize("like", [{"other": jnp.zeros(8)}, {"w": jnp.zeros(9)}])
def test_what_is_not_there_is_one_sentence(folder, like):
    with pytest.raises(DamageError, match=r"states0?/0 can't be read$"):
        checkpoints.restored(folder, like)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: os.truncate(file, 20)])
def test_a_file_that_is_gone_or_cut_short_is_noticed(folder, tmp_path, damage):
    shutil.copytree(folder, tmp_path / "0")
    for file in (tmp_path / "0").glob("d/*"):
        damage(file)
    with pytest.raises(DamageError):
        checkpoints.restored(tmp_path / "0", {"w": jnp.zeros(8)})


def test_without_orbax_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "orbax.checkpoint", None)
    with pytest.raises(CheckpointsError, match=r"pip install 'backprop-explorer\[cluster\]'"):
        checkpoints.Writer()
