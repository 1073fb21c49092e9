"""A table of one's own: what is made of it, and a sentence for what can't be learned from."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from engine.tasks import table as module
from engine.tasks.settings import SettingsError
from engine.tasks.table import table

pytestmark = pytest.mark.once

ROWS = [f"{i},{10 * i},{'yes' if i % 2 else 'no'}" for i in (*range(1, 10), 0)]


@pytest.fixture
def write(tmp_path):
    def written(text, encoding="utf-8"):
        path = tmp_path / f"table-{time.monotonic_ns()}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return str(path)

    return written


def lines(*rows):
    return "\n".join(rows) + "\n"


def features(data):
    """The columns as they were before they were standardised: here each feature is a whole number times the first."""
    order = np.random.default_rng(0).permutation(len(data))
    back = np.empty_like(data.x)
    back[order] = data.x
    labels = np.empty(len(data), int)
    labels[order] = data.y.argmax(1)
    return back, labels


def test_features_are_standardised_and_texts_are_classes(write):
    data = table(write(lines("a,b,answer", *ROWS)))
    assert (data.x.shape, data.y.shape, data.classes, data.tested) == ((10, 2), (10, 2), ("no", "yes"), 2)
    np.testing.assert_allclose(data.training[0].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.training[0].std(0), 1, rtol=1e-6)
    back, labels = features(data)
    assert labels.tolist() == [1, 0] * 5
    assert np.argsort(back[:, 0]).tolist() == [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(back[:, 0], back[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["label", "target", "Label", " TARGET "])
def test_a_column_of_that_name_is_the_answer(name, write):
    swapped = [",".join(row.split(",")[::-1]) for row in ROWS]
    assert table(write(lines(f"{name},a,b", *swapped))).classes == ("no", "yes")


def test_a_first_row_with_a_number_is_an_example(write):
    data = table(write(lines(*ROWS)))
    assert (len(data), data.classes) == (10, ("no", "yes"))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_semicolons_and_tabs_part_cells_too(mark, write):
    assert table(write(lines("a,b,label", *ROWS).replace(",", mark))).x.shape == (10, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("yes", '" yes"'),
        lambda text: text.rstrip("\n"),
    ],
    ids=["byte order mark", "Windows", "empty lines", "quotes and blanks", "no last newline"],
)
def test_forms_of_the_same_table(change, write):
    data, plain = (table(write(text)) for text in (change(lines("a,b,label", *ROWS)), lines("a,b,label", *ROWS)))
    np.testing.assert_array_equal(data.x, plain.x)
    np.testing.assert_array_equal(data.y, plain.y)
    assert data.classes == plain.classes


def test_few_whole_numbers_are_classes(write):
    data = table(write(lines("a,label", *(f"{i},{(i * 7) % 3}" for i in range(30)))))
    assert data.classes == ("0", "1", "2")
    assert data.y.sum(0).tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    "answer",
    [lambda i: i, lambda i: i % 3 + 0.5, lambda i: 1000 * (i % 25)],
    ids=["one for each row", "not whole", "many"],
)
def test_other_numbers_are_values_standardised(answer, write):
    data = table(write(lines("a,label", *(f"{i},{answer(i)}" for i in range(100)))))
    assert (data.classes, data.y.shape) == ((), (100, 1))
    order = np.random.default_rng(0).permutation(100)
    values = np.array([answer(i) for i in order], float)
    wanted = (values - values[:80].mean()) / values[:80].std()
    np.testing.assert_allclose(data.y[:, 0], wanted, rtol=1e-4, atol=1e-5)


def test_the_parts_of_a_long_table_belong_together(write):
    rows = [f"{i},{'even' if i % 2 == 0 else 'odd'}" for i in range(1203)]
    back, labels = features(table(write(lines("a,label", *rows))))
    assert np.argsort(back[:, 0]).tolist() == list(range(1203))
    assert labels.tolist() == [i % 2 for i in range(1203)]


def test_a_feature_that_never_changes_is_zero(write):
    data = table(write(lines("a,b,label", *(f"{i},5,{i % 2}" for i in range(20)))))
    assert not data.x[:, 1].any()
    assert np.isfinite(data.x).all()


def test_a_file_is_read_again_once_it_has_changed(write):
    path = write(lines("a,b,label", *ROWS))
    assert table(path) is table(path)
    Path(path).write_text(lines("a,b,label", *ROWS, "7,7,maybe"))
    assert table(path).classes == ("maybe", "no", "yes")


TOLD = {
    "": "{path} is empty; it needs a row for each example.",
    "\n\n": "{path} is empty; it needs a row for each example.",
    "a,b,label\n": "{path} has 0 examples; it needs at least 5.",
    "a,b,label\n1,2,yes\n2,3,no\n": "{path} has 2 examples; it needs at least 5.",
    "label\n1\n2\n": "{path} has a single column; it needs features and, in a column of its own, the answer.",
    "a,a,label\n1,2,3\n": "Two columns of {path} are called 'a'; give each a name of its own.",
    lines("a,b,label", *ROWS, "1,red,yes"): "Row 12 has the text 'red' in column 'b'; features must be numbers. "
    "What is to be learnt from them is the last column, or the one named label or target.",
    lines("a,b,label", "1,,yes", *ROWS): "Row 2 has a gap in column 'b'; fill it in, or leave the row out.",
    lines("a,b,label", *ROWS, "1,NA,yes"): "Row 12 has a gap in column 'b'; fill it in, or leave the row out.",
    lines("a,b,label", *ROWS, "1,nan,yes"): "Row 12 has a gap in column 'b'; fill it in, or leave the row out.",
    lines("a,b,label", *ROWS, "1,2,"): "Row 12 has a gap in column 'label'; fill it in, or leave the row out.",
    lines(*ROWS, "1,2"): "Row 11 has 2 cells, and the first row has 3.",
    lines(*ROWS, "1,2,yes,4"): "Row 11 has 4 cells, and the first row has 3.",
    lines(*ROWS, ",1,yes"): "Row 11 has a gap in column 'column 1'; fill it in, or leave the row out.",
    lines(*ROWS, "inf,1,yes"): "Row 11 has 'inf' in column 'column 1', which is no number to learn from "
    "(they go to ±1e+30).",
    lines(*ROWS, "1e200,1,yes"): "Row 11 has '1e200' in column 'column 1', which is no number to learn from "
    "(they go to ±1e+30).",
    lines("a,label", *["1,yes"] * 6): "Column 'label' says 'yes' in every row; there is nothing to tell apart.",
    lines("a,label", *["1,3.0"] * 6): "Column 'label' says '3' in every row; there is nothing to tell apart.",
    lines("a,label", *(f"1,{i}e99" for i in range(9))): "Column 'label' has numbers beyond ±1e+30.",
    lines("a,name", *(f"1,n{i}" for i in range(101))): "Column 'name' has 101 different texts, and at most 100 can be "
    "classes.",
    b"\xff\xfe1\x00,\x002\x00": "{path} is no UTF-8 text; save it as a CSV file in UTF-8.",
    'a,b,label\n1,2,"' + "x" * 200_000: "{path} is no CSV file: field larger than field limit (131072).",
}


def test_all_that_has_to_be_mended_is_told_at_once(write):
    rows = [
        f"{i},{'' if i % 3 else i},{'red' if i == 7 else i},{'no' if i % 2 else '?'}" for i in range(3 * module.CHUNK)
    ]
    with pytest.raises(SettingsError) as caught:
        table(write(lines("a,b,c,label", *rows)))
    whole = 3 * module.CHUNK
    assert str(caught.value) == (
        "Row 2 has a gap in column 'label'; fill it in, or leave the row out. "
        f"Altogether {whole * 2 // 3 + whole // 2 + 1:,} cells are like that: "
        f"'b' ({whole * 2 // 3:,}), 'label' ({whole // 2}), 'c' (1)."
    )


def test_of_many_columns_those_with_the_most_are_named(write):
    names = [f"c{i}" for i in range(9)]
    rows = [",".join([*("" if place >= row else "1" for place in range(9)), "x"]) for row in range(9)]
    with pytest.raises(SettingsError, match=re.escape("'c8' (9), 'c7' (8), 'c6' (7), 'c5' (6), ….")):
        table(write(lines(",".join([*names, "label"]), *rows)))


@pytest.mark.parametrize("text", TOLD, ids=lambda text: repr(text[-20:]))
def test_what_cannot_be_learned_from_is_told_in_a_sentence(text, write):
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        table(path)
    assert str(caught.value) == TOLD[text].format(path=path)


def test_the_row_is_right_beyond_the_first_chunk(write):
    rows = ["1,2,yes", "2,3,no"] * module.CHUNK
    with pytest.raises(SettingsError, match=f"Row {len(rows) + 2} has the text 'x' in column 'b'"):
        table(write(lines("a,b,label", *rows, "1,x,no")))
    with pytest.raises(SettingsError, match=f"Row {len(rows) + 2} has 1 cells"):
        table(write(lines("a,b,label", *rows, "1")))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.csv", "{path} can't be read: no such file or directory."),
        ("", "{path} can't be read: is a directory."),
    ],
)
def test_a_file_that_cannot_be_read(name, told, tmp_path):
    path = str(tmp_path / name)
    with pytest.raises(SettingsError) as caught:
        table(path)
    assert str(caught.value) == told.format(path=path)


def test_no_name_of_a_file():
    with pytest.raises(SettingsError, match="The task 'csv' needs a file: set csv to its path"):
        table("")


@pytest.mark.slow
@pytest.mark.once
def test_a_million_rows_take_seconds(write):
    columns = np.random.default_rng(0).normal(size=(1000, 4)).round(4).astype(str)
    block = lines(*(",".join([*row, "yes" if float(row[0]) > 0 else "no"]) for row in columns))
    path = write("a,b,c,d,label\n" + block * 1000)
    start = time.process_time()
    data = table(path)
    assert time.process_time() - start < 20  # on a machine like CI's 2 to 4
    assert (data.x.shape, data.classes) == ((1_000_000, 4), ("no", "yes"))
    np.testing.assert_allclose(data.training[0].std(0, dtype=float), 1, rtol=1e-4)
