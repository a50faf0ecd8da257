"""From images: a network and an aggregator learn together."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mil import classify, load_classifier
from napari_mil.aggregators.end_to_end import EndToEnd
from napari_mil.bags import open_image_bag
from napari_mil.encoders.backbone import resized
from napari_mil.errors import ClassifierError
from napari_mil.networks import as_input
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.run import train
from tests.conftest import write_pyramid


def weights(result):
    return (result.classifier / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("encoder", "aggregator", "options"),
    [
        ("lenet5", "gated-abmil", {"hidden": 32}),
        ("nucleus-net", "dsmil", {}),
        ("resnet18", "hamil", {"frozen_norm": True}),
        ("resnet18", "spoc", {}),
        (None, "abmil", {"hidden": 16}),
    ],
)
def test_folders_of_images_are_learnt_and_classified(
    image_cohort, quick, settings, tmp_path, encoder, aggregator, options
):
    epochs = 12 if encoder != "resnet18" else 2
    config = quick(
        encoder=encoder,
        aggregator=aggregator,
        aggregator_options=options,
        epochs=epochs,
        learning_rate=1e-3,
        tile_px=32 if encoder else None,
        bags_per_step=2,
    )
    result = train(image_cohort, config, out=tmp_path / "run", settings=settings)
    classifier = load_classifier(result.classifier)
    assert classifier.card.instances == "images"
    assert classifier.likeness is not None
    prediction = classify(image_cohort.bags[0].path, classifier, device="cpu")
    assert prediction.names == tuple(f"{i}.png" for i in range(image_cohort.bags[0].n))
    assert prediction.coords is None
    if encoder != "resnet18":
        assert (
            np.mean(
                [
                    classify(bag.path, classifier, device="cpu").label == bag.label
                    for bag in image_cohort.bags
                ]
            )
            > 0.8
        )


def test_what_was_trained_is_what_answers(image_cohort, quick, settings, tmp_path):
    """Encoder and aggregator of the bundle give what the whole network gives."""
    result = train(
        image_cohort, quick(encoder="lenet5", epochs=1), out=tmp_path / "run", settings=settings
    )
    classifier = load_classifier(result.classifier)
    bag = image_cohort.bags[3]
    images = open_image_bag(bag.path)
    stacked = np.concatenate([resized(images.read(i)[None], 28) for i in range(len(images))])
    whole = EndToEnd(classifier.backbone, classifier.aggregator, channels=1).eval()
    with torch.no_grad():
        expected = whole(as_input(stacked, 1)).logits.numpy()
    assert np.allclose(classify(bag.path, classifier, device="cpu").logits, expected, atol=1e-5)


@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-4), ("mixed", 2e-3)])
def test_chunks_come_to_the_same_weights_as_the_whole_bag(
    image_cohort, quick, settings, tmp_path, precision, atol
):
    config = quick(
        encoder="resnet18",
        tile_px=32,
        epochs=1,
        learning_rate=1e-3,
        precision=precision,
        aggregator="embedding-mean",
        aggregator_options={},
    )
    joint = load_classifier(
        train(
            image_cohort,
            config.changed(backbone="joint"),
            out=tmp_path / "joint",
            settings=settings,
        ).classifier
    )
    chunks = load_classifier(
        train(
            image_cohort,
            config.changed(backbone="chunks", memory_gb=0.003),
            out=tmp_path / "chunks",
            settings=settings,
        ).classifier
    )
    for key, tensor in joint.tensors().items():
        assert torch.allclose(tensor, chunks.tensors()[key], atol=atol), key
    assert chunks.card.training.embedding == "chunks"


def test_slides_are_learnt_from_pixels(slide, quick, settings, tmp_path):
    for k in range(6):
        folder = tmp_path / "slides" / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write_pyramid(
            folder / f"{k}.tiff",
            slide.read_region((400 + 700 * (k % 2), 300 + 260 * (k // 2)), 0, (160, 160)),
        )
    cohort = scan_annotated_folder(tmp_path / "slides")
    result = train(
        cohort,
        quick(encoder="nucleus-net", tile_px=32, mpp=0.5, mask="none", epochs=2),
        out=tmp_path / "run",
        settings=settings,
    )
    prediction = classify(cohort.bags[0].path, result.classifier, device="cpu", mask=None)
    assert len(prediction.coords) == 25
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "pictures" / "a.png")
    with pytest.raises(ClassifierError, match="not folders of images"):
        classify(tmp_path / "pictures", result.classifier)


def test_grey_and_colour_reach_the_network_in_range():
    tiles = np.zeros((2, 4, 4, 3), np.uint8)
    tiles[1] = 255
    assert as_input(tiles, 3).shape == (2, 3, 4, 4)
    assert as_input(tiles, 1).flatten(1).mean(1).tolist() == [-1.0, 1.0]


@pytest.mark.slow
def test_drosophila_embryos_train_hamil_from_images(shared, quick, settings, tmp_path):
    """Bags with several labels, as in the papers; too few to score, enough to fit."""
    source = shared / "data/bags_labelled/drosophila_ish"
    images = next(path.parent for path in source.rglob("insitu67044.jpg"))
    with (source / "bags.csv").open() as file:
        bags = {row["bag"]: row["terms"] for row in csv.DictReader(file) if row["terms"]}
    root = tmp_path / "embryos"
    with (source / "images.csv").open() as file:
        for row in csv.DictReader(file):
            if row["bag"] in bags:
                (root / row["bag"]).mkdir(parents=True, exist_ok=True)
                (root / row["bag"] / row["file"].split("/")[-1]).symlink_to(
                    images / row["file"].split("/")[-1]
                )
    common = ["ubiquitous", "maternal", "embryonic midgut"]
    (root / "labels.csv").write_text(
        "slide,label,patient\n"
        + "".join(
            f"{bag},{';'.join(t for t in terms.split('|') if t in common)},{bag.split('_')[0]}\n"
            for bag, terms in bags.items()
        )
    )
    cohort = scan_annotated_folder(root)
    assert cohort.multi_label
    assert len(cohort) == 33
    config = quick(
        encoder="resnet18",
        tile_px=64,
        aggregator="hamil",
        aggregator_options={"frozen_norm": True},
        epochs=2,
        learning_rate=1e-4,
        validation=0.0,
    )
    result = train(cohort, config, out=tmp_path / "run", settings=settings)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert classify(root / "Dl_4-6", result.classifier, device="cpu").tree is not None
