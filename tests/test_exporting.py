"""A session as a file: each form is what its ending says."""

from __future__ import annotations

import base64
import io
import re

import jax.numpy as jnp
import pytest
from PIL import Image

from engine.tasks.settings import usual
from explorer import exporting
from explorer.dot_process import engine
from explorer.errors import ExplorerError
from explorer.exporting import Order, export
from explorer.session import Session

pytestmark = pytest.mark.once

MAGIC = {
    "html": b"<!DOCTYPE html>",
    "svg": b"<svg",
    "png": b"\x89PNG",
    "gif": b"GIF89a",
    "csv": b"id,",
    "parquet": b"PAR1",
}


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        own = Session(usual("product"), engine=running)
        own.advance(3)
        own.catch_up()
        yield own


@pytest.mark.parametrize("form", exporting.FORMS)
def test_a_file_is_what_its_ending_says(session, form):
    assert export(session, Order(form)).startswith(MAGIC[form])


def test_a_film_of_a_pass_shows_each_stop(session):
    film = Image.open(io.BytesIO(export(session, Order("gif"))))
    assert film.n_frames == len(session.scene.stops) + 1


def test_a_film_of_a_training_shows_its_steps(session):
    film = Image.open(io.BytesIO(export(session, Order("gif", exporting.TRAINING))))
    assert film.n_frames == session.room.step + 1


def test_a_table_of_a_training_has_its_losses(session):
    assert export(session, Order("csv", exporting.TRAINING)).startswith(b"step,loss")


def test_a_page_of_a_small_network_is_small(session):
    assert len(export(session, Order("html"))) < 1_500_000


def test_a_page_is_answered_with_the_file(session):
    told = exporting.answer(session, {"form": "csv", "of": "training"})
    assert (told["name"], told["mime"]) == (f"{session.graph.name}-training.csv", "text/csv")
    assert base64.b64decode(told["content"]) == export(session, Order("csv", exporting.TRAINING))


@pytest.mark.parametrize(("path", "form"), [("a.html", "html"), ("b.c/D.PNG", "png")])
def test_the_ending_says_what_is_written(path, form):
    assert exporting.form_of(path) == form


def test_an_ending_that_is_unknown_is_told_the_known_ones():
    wanted = "'page.pdf' doesn't say as what to export: its name must end in .html, .svg, .png, .gif, .csv or .parquet."
    with pytest.raises(ExplorerError, match=re.escape(wanted)):
        exporting.form_of("page.pdf")


def loss(w, x):
    return jnp.sum(jnp.tanh(w * x) ** 2)


def test_a_function_is_saved_as_a_page(tmp_path):
    found = exporting.save(loss, jnp.ones(3), jnp.arange(3.0), tmp_path / "loss.html")
    assert "<title>loss" in found.read_text(encoding="utf-8")


def test_a_function_without_a_file_is_told_where_it_goes():
    with pytest.raises(ExplorerError, match="The last argument names the file"):
        exporting.save(loss, jnp.ones(3), jnp.ones(3))
