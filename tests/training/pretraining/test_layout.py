from napari_mil.training.pretraining.layout import is_pretrained, is_pretraining


def test_the_state_of_a_folder_follows_from_its_files(tmp_path):
    assert not is_pretraining(tmp_path)
    (tmp_path / "pretraining.json").touch()
    assert not is_pretraining(tmp_path), "nothing to go on from"
    (tmp_path / "tiles.json").touch()
    assert is_pretraining(tmp_path)
    assert not is_pretrained(tmp_path)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "encoder.json").touch()
    assert is_pretrained(tmp_path)
    assert not is_pretraining(tmp_path)
