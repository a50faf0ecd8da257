"""Tables however a spreadsheet or a program wrote them."""

import pytest

from napari_mil.errors import TrainingError
from napari_mil.findings import FindingKind
from napari_mil.training.cohorts.tables.text import read_rows, read_text_table

ROWS = [{"slide": "a", "label": "x"}, {"slide": "b", "label": "no, y"}]


@pytest.fixture
def read(tmp_path):
    def read_text(text, encoding="utf-8"):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        return read_rows(tmp_path / "t.csv", [])

    return read_text


@pytest.mark.parametrize(
    "text",
    [
        'slide,label\na,x\nb,"no, y"\n',
        'slide, label\na, x\nb, "no, y"\n',
        "slide;label\na;x\nb;no, y\n",
        "slide;label\ra;x\rb;no, y\r",
        "sep=;\r\nslide;label\r\na;x\r\nb;no, y\r\n",
        "SEP=\t\nslide\tlabel\na\tx\nb\tno, y",
        "slide|label\na|x\nb|no, y\n",
        "# made by somebody, in 2020\n#\n\nslide\tlabel\n\na\tx\nb\tno, y\n",
        "\ufeff\n\nslide;label\na;x;;\nb;no, y",
    ],
)
def test_cells_are_told_whatever_stands_between_them(read, text):
    assert read(text) == (["slide", "label"], ROWS)


def test_a_comma_within_a_quoted_name_of_a_column_divides_nothing(read):
    header, rows = read('slide;label;"remark, free"\na;x;1\n')
    assert header == ["slide", "label", "remark, free"]
    assert rows == [{"slide": "a", "label": "x", "remark, free": "1"}]


def test_columns_may_be_named_behind_a_number_sign(read):
    assert read("#slide,label\na,x\n")[1] == [{"#slide": "a", "label": "x"}]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_encodings_are_told_with_and_without_a_mark(read, encoding):
    assert read('slide,label\na,x\nb,"no, y"\n', encoding)[1] == ROWS


def test_a_column_without_a_name_shifts_nothing(read):
    assert read("\tslide\tlabel\n0\ta\tx\n1\tb\tno, y\n")[1] == ROWS


def test_lines_are_counted_from_the_first_of_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('# remark\n\nslide,label\na,"x\ny"\n\nb,y,z\n')
    table = read_text_table(path, [])
    assert [row.line for row in table.rows] == [4, 7]
    assert [row.surplus for row in table.rows] == [(), ("z",)]


def test_rows_longer_than_the_header_are_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("slide,note\na,seen, twice\nb,once,,\n")
    warnings = []
    _, rows = read_rows(path, warnings)
    assert rows[0] == {"slide": "a", "note": "seen"}
    (finding,) = warnings
    assert finding.kind is FindingKind.LEFT_OUT
    assert finding.text.startswith("1 row has more cells than the first line names (line 2: a, ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'slide,label\na,"x\nb,y\n', "quotation mark in line 2"),
        (b'slide,label\na,"x\n' + b"b,y\n" * 50_000, "quotation mark in line 2"),
        (b"slide,label\n" + b"y" * 200_000, "cannot be read as a table"),
        (b'"slide,label\na,x\nb,y\n', "quotation mark in line 1"),
        (b"slide,label\n\0\0\0,x\n", "cannot be read as a table"),
        (b"slide,label\n\xff\0", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TrainingError, match=words):
        read_text_table(tmp_path / "t.csv", [])


def test_a_folder_and_a_file_that_is_not_there_are_said_to_be_so(tmp_path):
    with pytest.raises(TrainingError, match="is a folder"):
        read_text_table(tmp_path, [])
    with pytest.raises(TrainingError, match="does not exist"):
        read_text_table(tmp_path / "none.csv", [])
