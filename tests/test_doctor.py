"""What the machine has and lacks, as data and as text."""

from __future__ import annotations

import jax
import pytest

from engine import devices, kernel
from explorer import doctor
from explorer.errors import LayoutError


@pytest.fixture(scope="module")
def found():
    return doctor.examined()


def test_all_is_well_where_the_tests_run(found):
    assert found["ok"]
    assert found["graphviz"]["bundled"]
    assert found["devices"][0]["platform"] == devices.kinds()[0].platform


def test_versions_are_those_that_are_installed(found):
    assert set(doctor.NEEDED) < set(found["versions"])
    assert f"jax                {found['versions']['jax']}" in doctor.report(found)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(doctor, "EXTRAS", {"no_such_library": ("flax", "a model written in Flax")})
    found = doctor.examined()
    assert found["extras"] == {"no_such_library": False}
    assert found["missing"] == ["For a model written in Flax: pip install 'backprop-explorer[flax]'."]
    assert found["ok"]


def test_a_graphviz_that_does_not_work_is_what_fails(monkeypatch):
    class Broken:
        def lay_out(self, text):
            raise LayoutError("It is broken.")

        def close(self):
            pass

    monkeypatch.setattr(doctor, "open_engine", lambda name: Broken())
    found = doctor.examined()
    assert not found["ok"]
    assert found["missing"][0].startswith("It is broken. pip install")
    assert "DOES NOT WORK" in doctor.report(found)


def test_a_library_that_pygraphviz_lacks_is_named(monkeypatch, tmp_path):
    (tmp_path / "pygraphviz.py").write_text("raise ImportError('libexpat.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    found = doctor.examined()
    assert not found["ok"]
    assert "can't be imported: ImportError: libexpat.so.1: cannot open shared object file. pip" in found["missing"][0]


def test_an_idle_gpu_is_missing_its_build_of_jax(monkeypatch):
    monkeypatch.setattr(devices, "idle_accelerator", lambda: "cuda")
    assert devices.advice("cuda") in doctor.examined()["missing"]


def test_a_missing_kernel_is_told_with_what_builds_it(monkeypatch):
    monkeypatch.setattr(kernel, "loaded", lambda: False)
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    found = doctor.examined()
    assert found["statistics"] == "by XLA"
    assert any("engine.build_kernel" in sentence for sentence in found["missing"])
