"""Tables in: every way a spreadsheet writes them, and every mistake named by its line and column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.semantics import task_from_csv, task_from_csv_text, task_from_dataframe

PLAIN = "item,wings,legs\nrobin,1,2\nsalmon,0,0\n"
EXPECTED = [[1, 0], [2, 0]]


@pytest.fixture
def read(tmp_path):
    """Read a table from a file with the given content."""

    def from_bytes(content: str | bytes):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return task_from_csv(path)

    return from_bytes


def line_of(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    assert "\r" not in message
    return message


# --- what is read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n  \n,,\n",
        "\n\n" + PLAIN,
        PLAIN.replace("\nsalmon", "\n\n\nsalmon"),
        "\ufeff" + PLAIN,
        "\ufeff" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        'item,"wings","legs"\n"robin","1","2"\nsalmon,0,0\n',
        "item,wings,legs\n robin , 1 , 2.0 \nsalmon,-0,+0e5\n",
    ],
)
def test_every_dialect_of_the_same_table_is_the_same_task(read, content):
    made = read(content)
    assert made.items == ("robin", "salmon")
    assert made.properties == ("wings", "legs")
    np.testing.assert_array_equal(made.Y, EXPECTED)


def test_names_may_hold_separators_quotes_line_breaks_and_any_script(read):
    made = read('item,"has a, b; c; d","6"" long","two\nlines"\n"oak, old",1,0,0\n日本/語 <b>&,0,1,0\n')
    assert made.properties == ("has a, b; c; d", '6" long', "two lines")
    assert made.items == ("oak, old", "日本/語 <b>&")


def test_a_quoted_name_full_of_semicolons_does_not_change_the_separator(read):
    made = read('item,"a;b;c;d;e",p\nx,1,0\ny,0,1\n')
    assert made.properties == ("a;b;c;d;e", "p")


def test_negative_decimal_and_scientific_numbers_are_read_exactly(read):
    made = read("item,a,b,c\nx,-1.5,2e-3,+.25\ny,1E2,-0,3.\n")
    np.testing.assert_array_equal(made.Y.T, [[-1.5, 2e-3, 0.25], [100.0, 0.0, 3.0]])


def test_a_task_is_named_after_its_file_and_says_where_it_came_from(tmp_path):
    path = tmp_path / "my animals.csv"
    path.write_text(PLAIN)
    assert task_from_csv(path).name == "my animals"
    assert task_from_csv(path).source == str(path)
    assert task_from_csv(str(path), name="other").name == "other"


# --- what is refused, and where it is in the file ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "place", "fault"),
    [
        ("item,a,b\nx,1,\ny,0,1\n", "line 2, column 3 ('b')", "empty"),
        ("item,a,b\nx,1,0\ny,  ,1\n", "line 3, column 2 ('a')", "empty"),
        ("item,a,b\nx,1,yes\ny,0,1\n", "line 2, column 3 ('b')", "'yes' is not a number"),
        ("item,a,b\nx,1,1_000\ny,0,1\n", "line 2, column 3 ('b')", "'1_000' is not a number"),
        ("item,a\nx,1\ny,inf\n", "line 3, column 2 ('a')", "'inf' is not finite"),
        ("item,a\nx,-Infinity\ny,1\n", "line 2, column 2 ('a')", "'-Infinity' is not finite"),
        ("item,a\nx,NaN\ny,1\n", "line 2, column 2 ('a')", "'NaN' is not finite"),
        ("item,a\nx,1e999\ny,1\n", "line 2, column 2 ('a')", "'1e999' is not finite"),
        ("item,a\nx,1\ny,0\nx,1\n", "line 4, column 1", "item 'x' is already on line 2"),
        ("item,a\nx,1\ny,0\n x ,1\n", "line 4, column 1", "item 'x' is already on line 2"),
        ("item,a\nx,1\n,0\n", "line 3, column 1", "the item has no name"),
        ("item,a,b,a\nx,1,0,1\ny,0,1,1\n", "line 1, column 4", "property 'a' is already in column 2"),
        ("item,a,,b\nx,1,0,1\ny,0,1,1\n", "line 1, column 3", "the property has no name"),
        ("item,a,b,\nx,1,0,\ny,0,1,1\n", "line 1, column 4", "the property has no name"),
        ("item,a,b\nx,1\ny,0,1\n", "line 2, column 3", "2 cells where the header has 3"),
        ("item,a,b\nx,1,0\ny,0,1,1,1\n", "line 3, column 4", "5 cells where the header has 3"),
        # Lines are counted as in an editor: blank ones and those inside quotes count.
        ("\n\nitem,a,a\nx,1,0\ny,0,1\n", "line 3, column 3", "already in column 2"),
        ("item,a\n\n\nx,1\n\ny,no\n", "line 6, column 2 ('a')", "'no' is not a number"),
        ('item,"a\nlong"\nx,1\ny,no\n', "line 4, column 2 ('a long')", "'no' is not a number"),
        ('item,a\n"x\nlong",1\n"y\nlong",no\n', "line 4, column 2 ('a')", "'no' is not a number"),
        ("item,a\r\nx,1\r\ny,no\r\n", "line 3, column 2 ('a')", "'no' is not a number"),
        ("item,a\rx,1\ry,no\r", "line 3, column 2 ('a')", "'no' is not a number"),
        ('item,a\nx,"two\nlines"\ny,1\n', "line 2, column 2 ('a')", "not a number"),
    ],
)
def test_a_mistake_is_named_by_the_line_and_column_that_a_person_counts(read, content, place, fault):
    with pytest.raises(WorkbenchError) as caught:
        read(content)
    message = line_of(caught)
    assert f"table.csv, {place}: " in message
    assert fault in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "the file is empty"),
        ("\n \n,,,\n", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("item\nx\ny\n", "the header names no property"),
        ("item,a\n", "0 items below the header"),
        ("item,a\nx,1\n", "1 item below the header; influence needs at least 2"),
        ("item,a,b\nx,0,0\ny,0,-0.0\n", "every value is 0; there is nothing to learn"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "byte 0 is not UTF-8 text"),
        (
            "item,größe\nx,1\ny,0\n".encode("latin-1"),
            r"byte 7 is not UTF-8 text; save the table as CSV in UTF-8",
        ),
        (b"\x00" * 200, "names no property"),
        ("item,a\n" + "x" * 200_000 + ",1\ny,0\n", "line 2: not a CSV file"),
        ("item,a\nx\0,1\ny,0\n", "cannot be shown|not a CSV file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(read, content, fault):
    with pytest.raises(WorkbenchError, match=fault) as caught:
        read(content)
    line_of(caught)


@pytest.mark.parametrize(
    ("name", "fault"), [("absent.csv", "No such file"), (".", "Is a directory"), ("x" * 300, "name too long")]
)
def test_a_path_that_cannot_be_read_is_refused_with_the_reason(tmp_path, name, fault):
    with pytest.raises(WorkbenchError, match=fault) as caught:
        task_from_csv(tmp_path / name)
    assert line_of(caught).startswith("cannot read ")


def test_text_that_is_not_a_file_is_named_as_the_caller_says():
    with pytest.raises(WorkbenchError, match=r"upload, line 2, column 2 \('a'\)"):
        task_from_csv_text("item,a\nx,q\ny,1\n", name="n", where="upload")


# --- DataFrames -------------------------------------------------------------------------------------------------

VALUES = {"wings": [1, 0], "legs": [2, 0]}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(VALUES, index=["robin", "salmon"]),
        pd.DataFrame(VALUES, index=pd.Index(["robin", "salmon"], name="animal")),
        pd.DataFrame({"animal": ["robin", "salmon"]} | VALUES),
        pd.DataFrame({"animal": pd.Categorical(["robin", "salmon"])} | VALUES),
        pd.DataFrame({"animal": pd.array(["robin", "salmon"], dtype="string")} | VALUES),
        pd.DataFrame(VALUES, index=["robin", "salmon"], dtype="Int64"),
        pd.DataFrame(VALUES, index=["robin", "salmon"], dtype="float32"),
        pd.DataFrame(VALUES, index=["robin", "salmon"], dtype=object),
        pd.DataFrame({"wings": [True, False], "legs": [2, 0]}, index=["robin", "salmon"]),
        pd.DataFrame(
            {"wings": pd.array([True, False], dtype="boolean"), "legs": pd.array([2, 0], dtype="UInt8")},
            index=["robin", "salmon"],
        ),
        pd.DataFrame({"wings": ["1", "0"], "legs": ["2.0", "0"]}, index=["robin", "salmon"]),
        pd.DataFrame({"wings": pd.arrays.SparseArray([1, 0]), "legs": [2, 0]}, index=["robin", "salmon"]),
        pd.DataFrame(VALUES, index=[" robin", "sal\nmon "]).rename(index={"sal\nmon ": "salmon"}),
    ],
)
def test_every_kind_of_frame_that_holds_the_numbers_is_the_same_task(frame):
    made = task_from_dataframe(frame)
    assert made.items == ("robin", "salmon")
    assert made.properties == ("wings", "legs")
    np.testing.assert_array_equal(made.Y, EXPECTED)


def test_a_frame_keeps_every_digit():
    value = 0.1 + 0.2
    made = task_from_dataframe(pd.DataFrame({"a": [value, 1 / 3]}, index=["x", "y"]))
    np.testing.assert_array_equal(made.Y, [[value, 1 / 3]])


def test_integer_labels_become_names():
    made = task_from_dataframe(pd.DataFrame(np.eye(2), index=[7, 8], columns=[2020, 2021]))
    assert made.items == ("7", "8")
    assert made.properties == ("2020", "2021")


def test_a_numeric_frame_without_names_counts_its_items():
    assert task_from_dataframe(pd.DataFrame(np.eye(3))).items == ("0", "1", "2")


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (
            pd.DataFrame({"a": [1, np.nan], "b": [1, 2]}, index=["x", "y"]),
            "item 'y', property 'a': the cell is empty",
        ),
        (
            pd.DataFrame({"a": pd.array([None, 1], dtype="Int64")}, index=["x", "y"]),
            "item 'x', property 'a'.*empty",
        ),
        (pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}, index=["x", "y"]), "item 'y'.*empty"),
        (pd.DataFrame({"a": [1, None]}, index=["x", "y"], dtype=object), "item 'y'.*empty"),
        (pd.DataFrame({"a": [1, np.inf]}, index=["x", "y"]), "item 'y', property 'a': inf is not finite"),
        (
            pd.DataFrame({"a": [1, "many"]}, index=["x", "y"]),
            "item 'y', property 'a': 'many' is not a number",
        ),
        (pd.DataFrame({"a": [1j, 1]}, index=["x", "y"]), "item 'x', property 'a'.*not a number"),
        (pd.DataFrame({"a": pd.to_datetime(["2020", "2021"])}, index=["x", "y"]), "item 'x'.*not a number"),
        (pd.DataFrame({"a": [[1], 1]}, index=["x", "y"]), "item 'x'.*not a number"),
        (pd.DataFrame({"a": [1, 2]}, index=["x", "x"]), "item name 'x' occurs twice"),
        (
            pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"], index=["x", "y"]),
            "property name 'a' occurs twice",
        ),
        (
            pd.DataFrame([[1, 2], [3, 4]], columns=[1, "1"], index=["x", "y"]),
            "property name '1' occurs twice",
        ),
        (pd.DataFrame({"a": [1, 2]}, index=["x", None]), "item 2 has an empty name"),
        (pd.DataFrame({"n": ["x", None], "a": [1, 2]}), "item 2 has an empty name"),
        (pd.DataFrame({"a": [1, 2], "": [1, 2]}, index=["x", "y"]), "property 2 has an empty name"),
        (pd.DataFrame({"a": [1]}, index=["x"]), "the task has 1 item"),
        (pd.DataFrame(), "the task has 0 item"),
        (pd.DataFrame(index=["x", "y"]), "no property"),
        (pd.DataFrame({"n": ["x", "y"]}), "no property"),
        (pd.DataFrame({"a": [0, 0]}, index=["x", "y"]), "nothing to learn"),
    ],
)
def test_a_frame_that_makes_no_sense_is_refused_in_one_line(frame, fault):
    with pytest.raises(WorkbenchError, match=fault) as caught:
        task_from_dataframe(frame)
    line_of(caught)


def test_a_frame_written_to_csv_is_the_same_task(tmp_path):
    frame = pd.DataFrame({"a, b": [0.1, -2.5e-7], "c": [1.0, 3.0]}, index=["x", 'y "z"'])
    frame.to_csv(tmp_path / "t.csv")
    assert task_from_csv(tmp_path / "t.csv").digest == task_from_dataframe(frame).digest
