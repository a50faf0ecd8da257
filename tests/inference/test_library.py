import shutil

import pytest

from napari_mil.errors import UnknownNameError
from napari_mil.inference import library
from napari_mil.inference.card import CARD_FILE, SHIPPED
from napari_mil.inference.classifier import load_classifier
from napari_mil.inference.library import find_card, install_bundle, list_classifiers
from napari_mil.settings import Settings
from napari_mil.slides import open_slide


def test_a_copy_of_a_bundle_is_called_after_its_folder(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    for name in ("first", "second"):
        classifier.save(tmp_path / "classifiers" / name, "")
    cards = list_classifiers(settings)
    assert [cards[name].name for name in ("first", "second")] == ["first", "second"]


def test_the_users_own_classifiers_stand_behind_the_shipped_ones(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    classifier.save(tmp_path / "classifiers" / "mine", "")
    names = list(list_classifiers(settings))
    assert names[-1] == "mine"
    shipped = [card.shipped for card in list_classifiers(settings).values()]
    assert shipped == [True] * (len(names) - 1) + [False]
    assert find_card("mine", settings).title == "Nothing it has learned"


def test_a_damaged_bundle_of_the_user_hides_no_other(classifier, tmp_path):
    settings = Settings(user_folder=tmp_path)
    classifier.save(tmp_path / "classifiers" / "fine", "")
    classifier.save(tmp_path / "classifiers" / "broken", "")
    (tmp_path / "classifiers" / "broken" / CARD_FILE).write_text("{")
    assert "fine" in list_classifiers(settings)
    assert "broken" not in list_classifiers(settings)


def test_installing_copies_a_bundle_once_and_hides_no_other(make_classifier, tmp_path):
    settings = Settings(user_folder=tmp_path / "user")
    for folder, classifier in (
        ("run1/liver", make_classifier()),
        ("run2/liver", make_classifier(aggregator="abmil")),
    ):
        (tmp_path / folder).parent.mkdir()
        classifier.save(tmp_path / folder, "")
    assert install_bundle(tmp_path / "run1" / "liver", settings).name == "liver"
    assert install_bundle(tmp_path / "run2" / "liver", settings).name == "liver-2", "other weights"
    assert install_bundle(tmp_path / "run1" / "liver", settings).name == "liver", "the same weights"
    shipped = next(iter(SHIPPED.iterdir())).name
    make_classifier().save(tmp_path / shipped, "")
    assert install_bundle(tmp_path / shipped, settings).name == f"{shipped}-2"
    assert {"liver", "liver-2", f"{shipped}-2"} <= set(list_classifiers(settings))
    assert sorted(path.name for path in (tmp_path / "user" / "classifiers").iterdir()) == sorted(
        ["liver", "liver-2", f"{shipped}-2"]
    )


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'lung'.*breast-malignancy"):
        find_card("lung")


RESEARCH_ONLY = ("breast-malignancy", "colon-epithelium")
FREE = ("colorectal-biopsy", "colorectal-grade", "lymph-node-metastasis")


@pytest.mark.parametrize("name", [*RESEARCH_ONLY, *FREE])
def test_a_shipped_bundle_is_small_complete_and_honest(name):
    card = list_classifiers()[name]
    assert sum(path.stat().st_size for path in (SHIPPED / name).iterdir()) < 5e6
    assert load_classifier(card).likeness is not None
    assert ("research use only" in card.licence.lower()) == (name in RESEARCH_ONLY)
    assert ("BSD-3-Clause" in card.licence) == (name in FREE)
    assert card.evaluation["protocol"].startswith("honest")
    for words in ("Research", "interval", "olour statistics", "Terms", "AUC", "blank tiles"):
        assert words in card.notes
    assert card.mpp_assumed == ("scale is assumed" in card.notes)


def test_a_shipped_bundle_names_no_file_and_no_path():
    for name in (*RESEARCH_ONLY, *FREE):
        text = (SHIPPED / name / CARD_FILE).read_text()
        for word in (".jpg", "/", "ytma"):
            assert word not in text.replace("µm/px", "").replace("napari-mil/classifier/1", ""), (
                name,
                word,
            )


def test_an_installed_bundle_is_replaced_whole_or_not_at_all(classifier, tmp_path, monkeypatch):
    settings = Settings(user_folder=tmp_path / "user")
    classifier.save(tmp_path / "liver", "first notes")
    installed = install_bundle(tmp_path / "liver", settings)
    classifier.save(tmp_path / "liver", "second notes")

    def copy_one_file(source, target, **options):
        shutil.copy(source / CARD_FILE, target)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(library.shutil, "copytree", copy_one_file)
        with pytest.raises(OSError, match="No space"):
            install_bundle(tmp_path / "liver", settings)
    kept = load_classifier(installed.folder)
    assert kept.fingerprint == classifier.fingerprint
    assert kept.card.notes == "first notes"
    assert install_bundle(tmp_path / "liver", settings).notes == "second notes"
    assert [path.name for path in installed.folder.parent.iterdir()] == ["liver"]


def test_shipped_classifiers_know_the_pictures_they_were_trained_on(shared):
    """By which a fine-tune on them is remarked."""
    folders = {"breast-malignancy": "breast/benign", "colon-epithelium": "colon"}
    cards = list_classifiers()
    for name, folder in folders.items():
        facts = cards[name].training
        assert len(facts.bag_fingerprints) == facts.bags
        picture = next(
            path
            for path in sorted((shared / "data" / folder).iterdir())
            if path.suffix.lower() in (".jpg", ".png", ".tif", ".tiff")
        )
        with open_slide(picture) as slide:
            assert slide.fingerprint in facts.bag_fingerprints
