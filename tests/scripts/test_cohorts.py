import csv

from PIL import Image

from napari_mil.annotations import read_annotations
from scripts.cohorts import breast, colon


def test_breast_pictures_are_linked_by_label_with_their_acquisition(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    rows = ["file,label,acquisition"]
    for k, label in enumerate(("benign", "malignant", "benign")):
        Image.new("RGB", (8, 8)).save(data / f"{k}.png")
        rows.append(f"{k}.png,{label},a{k}")
    (data / "images.csv").write_text("\n".join(rows))
    folder = breast(data, tmp_path / "out", some=2)
    with (folder / "labels.csv").open(newline="") as file:
        table = [tuple(row.values()) for row in csv.DictReader(file)]
    assert table == [("benign/0.png", "benign", "a0"), ("benign/2.png", "benign", "a2")]
    assert all((folder / slide).is_file() for slide, *_ in table)


def test_colon_pictures_have_squares_around_epithelial_nuclei(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("img1", "img2"):
        Image.new("RGB", (100, 100)).save(data / f"{name}.jpg")
    (data / "nuclei.csv").write_text(
        "image,x,y,class\nimg1,51,41,epithelial\nimg1,9,9,other\nimg2,51,41,other\n"
    )
    folder = colon(data, tmp_path / "out")
    (region,) = read_annotations(folder / "epithelium" / "img1.geojson").regions
    assert region.name == "epithelium"
    assert region.area.bounds == (38, 28, 62, 52)
    assert (folder / "no-epithelium" / "img2.jpg").is_file()
