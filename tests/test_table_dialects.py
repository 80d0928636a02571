"""Tables as spreadsheets, R and pandas write them: the right value where only one can be meant, else the cause."""

from __future__ import annotations

import gzip
import io
import unicodedata
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.semantics import task_from_csv, task_from_csv_text, task_from_dataframe
from workbench.semantics.tables import encoding, rows, task_from_csv_bytes

NBSP, MINUS = "\u00a0", "\u2212"


def read(content: str | bytes):
    """A table from text or bytes."""
    raw = content if isinstance(content, bytes) else content.encode()
    return task_from_csv_bytes(raw, name="t", where="t.csv")


def fault_of(content: str | bytes) -> str:
    with pytest.raises(WorkbenchError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("t.csv")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("content", "items", "properties", "rows"),
    [
        (
            "animal;lays eggs, or not;swims, flies, or walks;legs\nrobin;1;2;2\ndog;0;3;4\n",
            ["robin", "dog"],
            ["lays eggs, or not", "swims, flies, or walks", "legs"],
            [[1, 2, 2], [0, 3, 4]],
        ),
        ("sep=;\nitem;a;b\nx;1;2\ny;3;4\n", ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ('\ufeff"sep=;"\r\nitem;a,b\r\nx;1\r\ny;2\r\n', ["x", "y"], ["a,b"], [[1], [2]]),
        (",animal,wings\n0,robin,1\n1,dog,0\n", ["robin", "dog"], ["wings"], [[1], [0]]),
        (",a\n0,1\n1,3\n", ["0", "1"], ["a"], [[1], [3]]),
        ("a\tb\nx\t1\t2\ny\t3\t4\n", ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ('"a" "b"\n'.replace(" ", ",") + '"x",1,2\n"y",3,4\n', ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ("item;a;b\nx;0,5;1\ny;-1,25;17,441\n", ["x", "y"], ["a", "b"], [[0.5, 1], [-1.25, 17.441]]),
        ("item;a\nx;1.234,5\ny;2.000,25\n", ["x", "y"], ["a"], [[1234.5], [2000.25]]),
        ('item,a,b\nx,"17,441",.5\ny,3,1\n', ["x", "y"], ["a", "b"], [[17441, 0.5], [3, 1]]),
        ('item,a\nx,"1,234,567"\ny,"17,441"\n', ["x", "y"], ["a"], [[1234567], [17441]]),
        ("item,a,b\nx,50%,1\ny,12.5 %,0\n", ["x", "y"], ["a", "b"], [[0.5, 1], [0.125, 0]]),
        ("item;a\nx;50,5%\ny;0\n", ["x", "y"], ["a"], [[0.505], [0]]),
        (f"item,a\nx,{MINUS}1.5\ny,2\n", ["x", "y"], ["a"], [[-1.5], [2]]),
        (f"item,a\nx,{NBSP}1{NBSP}\ny,17{NBSP}441\n", ["x", "y"], ["a"], [[1], [17441]]),
        ("item,a,b\nx,True,yes\ny,FALSE,No\n", ["x", "y"], ["a", "b"], [[1, 1], [0, 0]]),
        ("item,a,b,,\nx,1,2,,\ny,3,4,,\n", ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ("item,a,b\nx,1,2,,\ny,3,4,,\n", ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ("# one, two, three\n#\nitem,a\nx,1\n# a remark, with commas, three\ny,2\n", ["x", "y"], ["a"], [[1], [2]]),
        ("# made, by, hand\n#OTU,a,b\nx,1,2\ny,3,4\n", ["x", "y"], ["a", "b"], [[1, 2], [3, 4]]),
        ("item,a\n#1,1\n#2,0\n", ["#1", "#2"], ["a"], [[1], [0]]),
        ("year,1,2\n2001,3,4\n2002,5,6\n", ["2001", "2002"], ["1", "2"], [[3, 4], [5, 6]]),
        ("item,a\n0.5,1\n0.7,2\n", ["0.5", "0.7"], ["a"], [[1], [2]]),
    ],
)
def test_a_dialect_with_one_meaning_is_read_as_that(content, items, properties, rows):
    made = read(content)
    assert made.items == tuple(items)
    assert made.properties == tuple(properties)
    np.testing.assert_array_equal(made.Y.T, rows)


@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        ('item,a\nx,"17,441"\ny,3\n', "'17,441' may be 17441 or 17.441", "with a decimal point"),
        ("item;a;b\nx;0,5;1\ny;1;1.500\n", "'1.500' may be 1500 or 1.500", "with a decimal point"),
        ("item;a;b\nx;0,5;1.5\ny;1;2\n", "where other cells use commas or points in another way", "point"),
        ("item,a\nx,50%\ny,0.5\n", "'50%' stands among numbers without a percent sign", "alike"),
        ("item,a\nx,yes\ny,1\n", "'yes' is not a number", "such as 0 and 1"),
        ("item,a\nx,T\ny,F\n", "'T' is not a number", "such as 0 and 1"),
        ("item,a\nx,NA\ny,1\n", "'NA' marks a missing value", "leave the item or the property out"),
        ('item,a\n"x,1\ny,2\n', 'line 2: a quote (") is opened and never closed', "close it"),
        ("item;a,b\nx;1,5\ny;2,5\n", "both ',' and ';' cut every row into 2 cells", "sep=;"),
        ("item,a\nx,1,0\ny,0,1\n", "3 cells where the header has 2", "as long as the header"),
        ("item,caf\u00e9,cafe\u0301\nx,1,0\ny,0,1\n", "property 'caf\u00e9' is already in column 2", "rename"),
        ("item,a\ncaf\u00e9,1\ncafe\u0301,1\n", "item 'caf\u00e9' is already on line 2", "rename"),
        ("item,a\nx\ufffe,1\ny,0\n", "'x\\ufffe' holds a character that cannot be shown", "leave it out"),
        ("x,1,0,1\ny,0,1,1\nz,1,1,0\n", "line 1: 1, 0, 1 stand where the properties are named", "line of names above"),
        ("1,0,1\n0,1,1\n1,1,0\n", "line 1: 0, 1 stand where the properties are named", "a line of names above"),
        ("a,b\n1,0\n0,1\n1,1\n", "column 1: 1, 0, 1 stand where the items are named", "a column of names in front"),
        ("mm,g\n5.1,3\n4.9,2\n", "column 1: 5.1, 4.9 stand where the items are named", "'item' in place of 'mm'"),
        ("item|a\nx|1\n", "the header names no property", "commas, semicolons or tabs"),
        ("#NEXUS\nbegin trees;\n", "this is a NEXUS file", ".nwk"),
        ("((a,b),c);\n", "a tree in Newick text", ".nwk"),
        ("item,a\nx\x1b[2J,1\ny,0\n", "holds a character that cannot be shown", "leave it out"),
    ],
)  # fmt: skip
def test_a_dialect_with_two_meanings_is_refused_with_cause_and_remedy(content, cause, remedy):
    if "cannot be shown" in cause:
        with pytest.raises(WorkbenchError) as caught:
            read(content)
        message = str(caught.value)
    else:
        message = fault_of(content)
    assert cause in message
    assert remedy in message


PLAIN = "item,größe,b\nrobin,1,2\nŠkoda,0,0.5\n"


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_with_and_without_a_mark_is_the_same_task(name):
    assert read(PLAIN.encode(name)).digest == task_from_csv_text(PLAIN, name="t").digest


def test_a_gzipped_table_is_read_and_named_without_its_endings(tmp_path):
    (tmp_path / "birds.csv.gz").write_bytes(gzip.compress(PLAIN.encode()))
    made = task_from_csv(tmp_path / "birds.csv.gz")
    assert (made.name, made.digest) == ("birds", read(PLAIN).digest)


def test_a_file_of_another_kind_is_named_by_its_kind():
    workbook = io.BytesIO()
    with zipfile.ZipFile(workbook, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    assert "Excel" in fault_of(workbook.getvalue())
    assert "this is compressed (bzip2), no text; decompress it first" in fault_of(b"BZh91AY&SY")
    assert "compressed with gzip, and damaged" in fault_of(gzip.compress(PLAIN.encode())[:-9])
    assert "byte 5 is not UTF-8 text; save the table as CSV in UTF-8" in fault_of("item,ä\nx,1\n".encode("latin-1"))


def test_bytes_and_cells_beyond_the_limits_are_refused_with_that_reason(monkeypatch):
    monkeypatch.setattr(encoding, "MOST_BYTES", 1000)
    assert "more than 1 kB of text, the limit for a table" in fault_of(b"item,a\n" + b"x,1\n" * 1000)
    bomb = gzip.compress(b"\0" * 10**5)
    assert len(bomb) < 1000
    assert "more than 1 kB of text" in fault_of(bomb)
    monkeypatch.setattr(rows, "MOST_CELLS", 100)
    assert "51 rows of 2 cells, more than the 100 cells" in fault_of(
        "item,a\n" + "".join(f"{k},1\n" for k in range(50))
    )


# --- the two doors ----------------------------------------------------------------------------------------------

LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=",;\t\r\n\x85\u2028\u2029")
NAMES = st.text(LETTERS, min_size=1, max_size=6).filter(lambda name: name.strip() and not name.lstrip().startswith("#"))
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-(10**6), 10**6) | st.booleans()


@st.composite
def frames(draw) -> pd.DataFrame:
    names = st.lists(NAMES, min_size=1, max_size=4, unique_by=lambda name: unicodedata.normalize("NFC", name.strip()))
    items, properties = draw(names.filter(lambda x: len(x) > 1)), draw(names)
    kinds = [draw(st.sampled_from([st.floats(-1e6, 1e6), st.integers(-99, 99), st.booleans()])) for _ in properties]
    columns = {
        name: draw(st.lists(kind, min_size=len(items), max_size=len(items)))
        for name, kind in zip(properties, kinds, strict=True)
    }
    frame = pd.DataFrame(columns, index=items)
    return draw(
        st.sampled_from([frame, frame.reset_index(), frame.rename_axis("animal"), frame.reset_index(drop=True)])
    )


def outcome(door, *args, **options):
    try:
        made = door(*args, **options)
    except WorkbenchError as error:
        assert "\n" not in str(error)
        return None
    return made.items, made.properties, made.Y.tolist()


@example(pd.DataFrame({"wings": [True, False], "legs": [2, 4]}, index=["robin", "dog"]))
@example(pd.DataFrame({"wings": ["1", "0"], "legs": ["2", "4"]}))
@settings(max_examples=40)
@given(frames())
def test_a_frame_and_what_it_writes_to_csv_are_the_same_task(frame):
    by_frame = outcome(task_from_dataframe, frame, name="t")
    assert outcome(task_from_csv_text, frame.to_csv(), name="t") == by_frame


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@example(b"sep=\n")
@example(b"sep=;")
@example(b"\x1f\x8b")
def test_whatever_the_bytes_there_is_a_task_or_one_line(content):
    outcome(task_from_csv_bytes, content, name="t")


CELLS = st.sampled_from(
    ["", "x", "y", "z", "0", "1", "-1.5", "0,5", "17,441", "1.234,5", "50%", "yes", "No", "True", "NA", "1e400", '"',
     "#", "#c", "sep=;", "a;b", '"q"', "_", "1_0", "\ufeff", " ", "1" * 400, "\u0661", NBSP, f"{MINUS}2"]
)  # fmt: skip


@settings(max_examples=50)
@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=6),
    st.sampled_from([",", ";", "\t", " ", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_whatever_the_cells_there_is_a_task_or_one_line(table, separator, newline):
    outcome(task_from_csv_text, newline.join(separator.join(row) for row in table), name="t")
