"""Facts of an answer in the order that people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from napari_mil.exports.source import ExportSource


@dataclass(frozen=True)
class Fact:
    """One line: what it is, and its value."""

    name: str
    value: str


def facts_of(source: ExportSource) -> tuple[Fact, ...]:
    """Return what is known of an answer; what is unknown is left out."""
    return _known(
        _slide_facts(source), _answer_facts(source), _classifier_facts(source), _run_facts(source)
    )


def provenance_of(source: ExportSource) -> tuple[Fact, ...]:
    """Return what an answer came from and how, without the answer."""
    return _known(_slide_facts(source), _classifier_facts(source), _run_facts(source))


def _known(*parts: Sequence[Fact]) -> tuple[Fact, ...]:
    return tuple(fact for part in parts for fact in part if fact.value)


def answer_words(source: ExportSource) -> str:
    """Return the predicted class or classes with their probabilities: ``tumour (0.87)``."""
    prediction = source.prediction
    probabilities = dict(zip(prediction.classes, prediction.probabilities.tolist(), strict=True))
    words = [f"{name} ({probabilities[name]:.2f})" for name in prediction.labels]
    return ", ".join(words) or "none of the classes"


def calibration_words(source: ExportSource) -> str:
    """Say whether probabilities are calibrated."""
    temperature = float(source.prediction.classifier.get("temperature", 1.0))
    if temperature == 1:
        return "not calibrated"
    return f"calibrated (temperature {temperature:.3g})"


def remarks_of(source: ExportSource) -> tuple[str, ...]:
    """Return what makes an answer less certain than it looks, one sentence each."""
    return tuple(map(str, source.prediction.provenance.get("fallbacks", ())))


def _slide_facts(source: ExportSource) -> list[Fact]:
    slide = source.prediction.slide
    dimensions = slide.get("dimensions")
    return [
        Fact("slide" if dimensions else "bag", str(slide.get("name") or "")),
        Fact("fingerprint", str(slide.get("fingerprint") or "")),
        Fact("dimensions", f"{dimensions[0]} × {dimensions[1]} px" if dimensions else ""),
        Fact("scale", _scale_words(source)),
        Fact("format", str(slide.get("vendor") or "")),
    ]


def _scale_words(source: ExportSource) -> str:
    if source.mpp_xy is None:
        return ""
    across, down = source.mpp_xy
    words = f"{across:.4g}" if across == down else f"{across:.4g} × {down:.4g}"
    told = source.prediction.provenance.get("mpp_source")
    return f"{words} µm per pixel" + (f" ({told})" if told else "")


def _answer_facts(source: ExportSource) -> list[Fact]:
    prediction = source.prediction
    return [
        Fact("predicted", ", ".join(prediction.labels) or "none of the classes"),
        *(
            Fact(f"probability of {name}", str(p))
            for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
        ),
        Fact("calibration", calibration_words(source)),
        Fact(f"{source.noun}s", str(prediction.n_instances)),
        *(Fact("remark", remark) for remark in remarks_of(source)),
    ]


def _classifier_facts(source: ExportSource) -> list[Fact]:
    classifier = source.prediction.classifier
    encoder = classifier.get("encoder") or {}
    threshold = classifier.get("threshold")
    return [
        Fact("classifier", str(classifier.get("name") or "")),
        Fact("classifier fingerprint", str(classifier.get("fingerprint") or "")),
        Fact("aggregator", str(classifier.get("aggregator") or "")),
        Fact("encoder", str(encoder.get("name") or "")),
        Fact("encoder fingerprint", str(encoder.get("fingerprint") or "")),
        Fact("threshold", "" if threshold is None else f"{threshold:g}"),
    ]


def _run_facts(source: ExportSource) -> list[Fact]:
    provenance = source.prediction.provenance
    grid = provenance.get("grid", {})
    seconds = provenance.get("seconds")
    tissue = provenance.get("tissue")
    versions = provenance.get("versions", {})
    return [
        Fact("grid fingerprint", str(grid.get("fingerprint") or "")),
        Fact("tile side", _tile_words(source)),
        Fact("tissue", "" if tissue is None else f"{100 * tissue:.1f} % of the slide"),
        Fact("tissue found by", str(provenance.get("tissue_method") or "")),
        Fact("unreadable tiles", _count(provenance.get("unreadable_tiles"))),
        Fact("device", str(provenance.get("device") or "")),
        Fact("seconds", "" if seconds is None else f"{seconds:g}"),
        Fact("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        Fact("exported by", f"napari-mil {version('napari-mil')}"),
    ]


def _tile_words(source: ExportSource) -> str:
    size = source.prediction.tile_size0
    if size is None:
        return ""
    grid = source.prediction.provenance.get("grid", {})
    words = f"{size:.6g} px of level 0"
    if grid.get("tile_px") and grid.get("mpp"):
        words += f", {grid['tile_px']} px at {grid['mpp']:g} µm per pixel"
    return words


def _count(number: object) -> str:
    return str(number) if number else ""
