import shutil

from napari_mil.slides import open_slide
from napari_mil.slides.fingerprint import fingerprint_file


def test_the_fingerprint_follows_the_content_not_the_name(slide, slide_path, tmp_path):
    copy = shutil.copy(slide_path, tmp_path / "another name.svs")
    changed = bytearray(slide_path.read_bytes())
    changed[len(changed) // 63 + 10] ^= 1
    (tmp_path / "changed.svs").write_bytes(changed)
    with open_slide(copy) as same, open_slide(tmp_path / "changed.svs") as other:
        assert same.fingerprint == slide.fingerprint
        assert other.fingerprint != slide.fingerprint


def test_the_hash_of_the_format_stands_for_the_other_files_of_a_slide(tmp_path):
    first, second = tmp_path / "1.dcm", tmp_path / "2.dcm"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    assert fingerprint_file(first, "a") != fingerprint_file(first, "b")
    assert fingerprint_file(first, "a", in_several_files=True) == fingerprint_file(
        second, "a", in_several_files=True
    )
