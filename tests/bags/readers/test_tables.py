import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_mil.bags import read_bag
from napari_mil.bags.readers import is_features, shape_of_bag
from napari_mil.errors import BagError
from tests.bags.readers.canvas import Canvas

TABLES = {
    "columns numbered by pandas": "0,1,2\n0.5,1,2\n3,4,5\n",
    "no header": "0.5,1,2\n3,4,5\n",
    "names": "f0,f1,f2\n0.5,1,2\n3,4,5\n",
    "a column that counts rows": ",f0,f1,f2\n0,0.5,1,2\n1,3,4,5\n",
    "byte order mark": "\ufefff0,f1,f2\n0.5,1,2\n3,4,5\n",
    "decimal comma": "f0;f1;f2\n0,5;1;2\n3;4;5\n",
    "decimal point between semicolons": "f0;f1;f2\n0.5;1;2\n3;4;5\n",
    "tabulators": "f0\tf1\tf2\n0.5\t1\t2\n3\t4\t5\n",
    "quotes": '"f0","f1","f2"\n"0.5","1","2"\n"3","4","5"\n',
    "lines of Windows and an empty one": "f0,f1,f2\r\n0.5,1,2\r\n3,4,5\r\n\r\n",
    "no last line break": "f0,f1,f2\n0.5,1,2\n3,4,5",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables_of_features_are_read_in_many_forms(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert read_bag(path).features.tolist() == [[0.5, 1, 2], [3, 4, 5]]
    assert shape_of_bag(path)[0] == 2
    assert is_features(path)


@pytest.mark.parametrize(
    "columns",
    [("x", "y"), ("X", "Y"), ("tile_x", "tile_y"), ("coord_x", "coord_y"), ("loc_x", "loc_y")],
)
def test_named_columns_are_positions(tmp_path, columns):
    path = tmp_path / "a.csv"
    path.write_text(f"f0,{columns[0]},{columns[1]},f1\n1,0,9,2\n3,256,9,4\n")
    bag = read_bag(path, tile_size0=256)
    assert bag.features.tolist() == [[1, 2], [3, 4]]
    assert bag.coords.tolist() == [[0, 9], [256, 9]]
    assert bag.warnings == ()


def test_micrometres_and_sizes_are_told_by_their_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x_um,y_um,f0,f1\n0,10,1,2\n128,10,3,4\n")
    assert read_bag(path, Canvas(mpp=0.5)).coords.tolist() == [[0, 20], [256, 20]]
    path.write_text("x,y,width,height,f0,f1\n0,10,300,300,1,2\n128,10,300,300,3,4\n")
    bag = read_bag(path)
    assert (bag.tile_size0, bag.features.tolist()) == (300, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "text",
    [
        "slide,label\na,1\nb,0\n",
        "x,y,width,height,attention\n0,0,9,9,0.5\n0,9,9,9,0.5\n",
        "x,y,width,height,attention_1,score_b\n0,0,9,9,0.5,1\n0,9,9,9,0.5,1\n",
        "x,y\n1,2\n3,4\n",
        "10.5,20.5\n11.5,20.5\n",
        "1\n2\n",
        "f0,f1\n",
        "1,2\n3\n",
        "words\n",
        "\n\n",
    ],
)
def test_other_tables_are_no_features(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert not is_features(path)
    with pytest.raises(BagError, match=r"a\.csv"):
        read_bag(path)


@pytest.mark.parametrize("cell", ["", "nan", "word", "1,5"])
def test_a_cell_that_is_no_number_is_refused(tmp_path, cell):
    path = tmp_path / "a.csv"
    rows = ["1,2,3"] * 30
    path.write_text("\n".join([*rows, f"1,{cell},3"]) + "\n")
    with pytest.raises(BagError, match=r"a\.csv holds"):
        read_bag(path)


def test_rows_of_thousands_of_columns_are_recognised(tmp_path):
    path = tmp_path / "a.csv"
    features = np.random.default_rng(0).normal(size=(4, 2560))
    np.savetxt(path, features, delimiter=",", header=",".join(map(str, range(2560))), comments="")
    assert read_bag(path).features.shape == (4, 2560)


@given(
    features=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 8), st.integers(3, 6)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_numbers_read_back_to_the_bit(tmp_path_factory, features, delimiter):
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    lines = [delimiter.join(f"f{k}" for k in range(features.shape[1]))]
    lines += [delimiter.join(repr(float(value)) for value in row) for row in features]
    path.write_text("\n".join(lines))
    assert np.array_equal(read_bag(path).features, features)
