"""Comparison of a GPU with the CPU, as a Markdown table.

    python -m scripts.gpu_check [--device cuda] [--out FILE]

Encoders, every aggregator forward and backward, training, deterministic mode and resumption are
computed on both, and the largest difference stands beside its tolerance. ``--device cpu`` compares
the CPU with itself, which tries the script where there is no GPU. The exit code is 0 where all is
within its tolerance, 1 otherwise, 2 where there is no such device.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import Tensor

from napari_mil.aggregators import create_aggregator, list_aggregators
from napari_mil.bags import tile_grid
from napari_mil.encoders import BackboneEncoder, Encoder, create_encoder
from napari_mil.encoders.cards import ENCODERS
from napari_mil.errors import CancelledError
from napari_mil.events import CancellationToken, EpochEnded, Event
from napari_mil.inference.pipeline import classify
from napari_mil.networks import BACKBONES, create_backbone
from napari_mil.settings import Settings
from napari_mil.slides import open_slide
from napari_mil.training.cohorts.scanning import scan_annotated_folder
from napari_mil.training.config import make_config
from napari_mil.training.run import train

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data" / "CMU-1-Small-Region.svs"
CPU = torch.device("cpu")
INSTANCES = 300
FEATURES = 64
CLASSES = 3
EPOCHS = 3
ENCODER_TOLERANCE = 2e-3
"""Of an encoder in float32, relative; convolutions of a GPU may round to TF32."""
AGGREGATOR_TOLERANCE = 1e-3
"""Of logits, losses and gradients, relative: sums of float32 in another order."""
TRAINING_TOLERANCE = 2e-2
"""Of the weights after training in float32, relative: small gradients may change sign."""
ANSWER_TOLERANCE = 1e-3
"""Of probabilities and attention of a slide, relative."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one check found."""

    what: str
    compared: str
    difference: float
    tolerance: float
    seconds_cpu: float = 0.0
    seconds_device: float = 0.0
    error: str = ""
    """Why the check could not be made, or an empty string."""

    @property
    def is_within(self) -> bool:
        """Whether the difference is a number within the tolerance."""
        return not self.error and self.difference <= self.tolerance


Check = Callable[[torch.device], Comparison]
Values = list[np.ndarray]


def relative_difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """Return the largest difference of two lists of arrays.

    Each array counts relative to its own largest value in `a`, at least a thousandth of the largest
    of all: what is nothing but rounding is not taken for a value. A NaN is infinitely different.
    """
    if [part.shape for part in a] != [part.shape for part in b]:
        return float("inf")
    largest = [float(np.abs(part).max(initial=0)) for part in a]
    least = max(max(largest, default=0.0) / 1000, 1e-12)
    differences = [
        float(np.abs(one.astype(np.float64) - other).max(initial=0)) / max(scale, least)
        for one, other, scale in zip(a, b, largest, strict=True)
    ]
    return max(differences) if np.isfinite(differences).all() else float("inf")


def deviation(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """Return the largest RMS deviation of a column, in standard deviations of it in `a`."""
    (exact,) = a
    (other,) = b
    rms = np.sqrt(((exact.astype(np.float64) - other) ** 2).mean(0))
    return float((rms / np.maximum(exact.std(0), 1e-6)).max())


def timed(work: Callable[[], Values], device: torch.device) -> tuple[Values, float]:
    """Return a result, and the seconds of its second computation: the first one compiles."""
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - began


def checks(folder: Path) -> Iterator[tuple[str, Check]]:
    """Yield every check by its name.

    Parameters
    ----------
    folder
        Empty folder for cohorts and runs.
    """
    for name, card in ENCODERS.items():
        yield f"encoder {name}", lambda device, name=name: check_encoder(name, device, "float32")
        if card.tolerance:
            yield (
                f"encoder {name} in bfloat16",
                lambda device, name=name: check_encoder(name, device, "bfloat16"),
            )
    for name in BACKBONES:
        yield f"encoder {name}", lambda device, name=name: check_backbone(name, device)
    for name in list_aggregators():
        yield f"aggregator {name}", lambda device, name=name: check_aggregator(name, device)
    yield "classify the sample slide", check_slide
    yield "training, an epoch of features", lambda device: check_epoch(device, folder / "f", "auto")
    yield (
        "training, an epoch of lenet5 on images",
        lambda device: check_epoch(device, folder / "i", "lenet5"),
    )
    yield "deterministic mode", lambda device: check_deterministic(device, folder / "d")
    yield "resumption", lambda device: check_resumption(device, folder / "r")
    yield "resumption of a run of the CPU", lambda device: check_moved_run(device, folder / "m")


def sample_tiles(px: int, mpp: float, count: int = 24) -> np.ndarray:
    """Read tiles of the sample slide: uint8 (count, px, px, 3)."""
    with open_slide(SAMPLE) as slide:
        grid = tile_grid(slide, px, mpp)
        chosen = np.linspace(0, len(grid) - 1, count).round().astype(int)
        return np.stack([grid.read(slide, int(i)) for i in chosen])


def check_encoder(name: str, device: torch.device, precision: str) -> Comparison:
    """Compare the features of an embedded encoder with those of the CPU in float32."""
    card = ENCODERS[name]
    numbers = precision if card.tolerance else "auto"
    exact = create_encoder(name, device=CPU, precision="float32" if card.tolerance else "auto")
    other = create_encoder(name, device=device, precision=numbers)
    if precision == "bfloat16":
        compared = _compare_encoders(name, exact, other, deviation, card.tolerance)
        return replace(compared, compared="bfloat16 with float32 of the CPU, RMS in sd")
    return _compare_encoders(name, exact, other, relative_difference, ENCODER_TOLERANCE)


def check_backbone(name: str, device: torch.device) -> Comparison:
    """Compare the features of a network that is trained with an aggregator."""
    torch.manual_seed(0)
    card = BACKBONES[name]
    network = create_backbone(name, card.tile_px, False).eval()
    exact = BackboneEncoder(name, network, card.tile_px, 0.5, CPU)
    other = BackboneEncoder(name, network, card.tile_px, 0.5, device)
    return _compare_encoders(name, exact, other, relative_difference, ENCODER_TOLERANCE)


def _compare_encoders(
    name: str,
    exact: Encoder,
    other: Encoder,
    difference: Callable[[Values, Values], float],
    tolerance: float,
) -> Comparison:
    tiles = sample_tiles(exact.tile_px, exact.mpp or 0.5)
    on_cpu, seconds_cpu = timed(lambda: [exact.encode(tiles)], CPU)
    there, seconds = timed(lambda: [other.encode(tiles)], other.device)
    return Comparison(
        f"encoder {name}",
        f"features of {len(tiles)} tiles",
        difference(on_cpu, there),
        tolerance,
        seconds_cpu,
        seconds,
    )


def check_aggregator(name: str, device: torch.device) -> Comparison:
    """Compare logits, losses and gradients of an aggregator."""
    torch.manual_seed(0)
    aggregator = create_aggregator(name, FEATURES, CLASSES).eval()
    bag = torch.randn(INSTANCES, FEATURES)

    def forward_and_backward(on: torch.device) -> Values:
        # Seeded alike: some methods draw groups of instances.
        torch.manual_seed(1)
        there = aggregator.to(on)
        there.zero_grad()
        output = there(bag.to(on), torch.tensor(1, device=on))
        loss = torch.stack(list(output.losses.values())).sum()
        loss.backward()
        return [_on_cpu(part) for part in _parts(output.logits, loss, there)]

    on_cpu, seconds_cpu = timed(lambda: forward_and_backward(CPU), CPU)
    there, seconds = timed(lambda: forward_and_backward(device), device)
    return Comparison(
        f"aggregator {name}",
        "logits, loss, gradients",
        relative_difference(on_cpu, there),
        AGGREGATOR_TOLERANCE,
        seconds_cpu,
        seconds,
    )


def _parts(logits: Tensor, loss: Tensor, network: torch.nn.Module) -> Iterator[Tensor]:
    """Yield what is compared of an aggregator."""
    yield logits
    yield loss
    for weight in network.parameters():
        yield torch.zeros_like(weight) if weight.grad is None else weight.grad


def _on_cpu(part: Tensor) -> np.ndarray:
    """Return a copy of values as float32 on the CPU."""
    return part.detach().float().cpu().numpy().copy()


def check_slide(device: torch.device) -> Comparison:
    """Compare the answer for the sample slide, from pixels to probabilities."""
    settings = Settings(cache_gb=0)

    def answer(on: torch.device) -> Values:
        found = classify(SAMPLE, "breast-malignancy", device=str(on), settings=settings)
        assert found.attention is not None
        return [found.probabilities, found.attention]

    on_cpu, seconds_cpu = timed(lambda: answer(CPU), CPU)
    there, seconds = timed(lambda: answer(device), device)
    return Comparison(
        "classify the sample slide",
        "probabilities, attention",
        relative_difference(on_cpu, there),
        ANSWER_TOLERANCE,
        seconds_cpu,
        seconds,
    )


class Run:
    """Short trainings on a planted cohort, each in a folder of its own.

    Parameters
    ----------
    folder
        Folder of cohort and runs.
    encoder
        ``"auto"`` for bags of features, or the name of a network for bags of images.
    """

    def __init__(self, folder: Path, encoder: str = "auto") -> None:
        self._folder = folder
        self._encoder = encoder
        plant = _plant_features if encoder == "auto" else _plant_images
        plant(folder / "cohort")
        self._cohort = scan_annotated_folder(folder / "cohort")

    def weights(
        self,
        name: str,
        device: torch.device,
        *,
        epochs: int = EPOCHS,
        stop_at: int | None = None,
        resume: bool = False,
    ) -> Values:
        """Train and return all weights; none where the run was stopped."""
        own = None if self._encoder == "auto" else self._encoder
        config = make_config(
            epochs=epochs, device=str(device), precision="float32", encoder=own, threads=1, seed=3
        )
        token = CancellationToken()

        def listen(event: Event) -> None:
            if isinstance(event, EpochEnded) and event.epoch == stop_at:
                token.cancel()

        settings = Settings(cache_folder=self._folder / "cache", user_folder=self._folder / "user")
        out = self._folder / name
        try:
            result = train(
                self._cohort,
                config,
                out=out,
                on_event=listen,
                cancel=token,
                resume=resume,
                settings=settings,
            )
        except CancelledError:
            return []
        tensors = load_file(result.classifier / "weights.safetensors")
        return [tensors[key] for key in sorted(tensors)]


def check_epoch(device: torch.device, folder: Path, encoder: str) -> Comparison:
    """Compare the weights after an epoch."""
    run = Run(folder, encoder)
    began = time.perf_counter()
    on_cpu = run.weights("cpu", CPU, epochs=1)
    between = time.perf_counter()
    there = run.weights("device", device, epochs=1)
    ended = time.perf_counter()
    kind = "features" if encoder == "auto" else f"{encoder} on images"
    return Comparison(
        f"training, an epoch of {kind}",
        "weights, float32",
        relative_difference(on_cpu, there),
        TRAINING_TOLERANCE,
        between - began,
        ended - between,
    )


def check_deterministic(device: torch.device, folder: Path) -> Comparison:
    """Compare two trainings on the device to the bit."""
    run = Run(folder)
    first = run.weights("first", device)
    second = run.weights("second", device)
    return Comparison(
        "deterministic mode", "weights of two runs", relative_difference(first, second), 0.0
    )


def check_resumption(device: torch.device, folder: Path) -> Comparison:
    """Compare a training that was stopped and resumed with one in a piece, to the bit."""
    run = Run(folder)
    whole = run.weights("whole", device)
    stopped = run.weights("stopped", device, stop_at=1)
    assert not stopped, "the run was not stopped"
    resumed = run.weights("stopped", device, resume=True)
    return Comparison(
        "resumption", "weights, stopped after an epoch", relative_difference(whole, resumed), 0.0
    )


def check_moved_run(device: torch.device, folder: Path) -> Comparison:
    """Compare a training that began on the CPU and ended on the device with one of the CPU."""
    run = Run(folder)
    whole = run.weights("whole", CPU)
    run.weights("moved", CPU, stop_at=1)
    moved = run.weights("moved", device, resume=True)
    return Comparison(
        "resumption of a run of the CPU",
        "weights, float32",
        relative_difference(whole, moved),
        TRAINING_TOLERANCE,
    )


def _plant_features(root: Path) -> None:
    """Write bags of features of two classes; a third of one class is shifted."""
    random = np.random.default_rng(0)
    for label in ("benign", "malignant"):
        (root / label).mkdir(parents=True)
        for k in range(8):
            bag = random.normal(size=(40, FEATURES)).astype(np.float32)
            if label == "malignant":
                bag[:13, 0] += 3
            np.save(root / label / f"{label}{k}.npy", bag)


def _plant_images(root: Path) -> None:
    """Write folders of small images of two classes; the images of one are darker."""
    random = np.random.default_rng(0)
    for label, brightest in (("benign", 256), ("malignant", 160)):
        for k in range(6):
            bag = root / label / f"{label}{k}"
            bag.mkdir(parents=True)
            for i in range(4):
                pixels = random.integers(0, brightest, (28, 28, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(bag / f"{i}.png")


def run_checks(device: torch.device, wanted: Sequence[str] = ()) -> list[Comparison]:
    """Make all checks whose names begin with one of some words; a failing one stops no other."""
    found = []
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        for name, check in checks(Path(folder)):
            if wanted and not name.startswith(tuple(wanted)):
                continue
            try:
                comparison = replace(check(device), what=name)
            except Exception as error:  # reported in the table
                comparison = Comparison(name, "", float("nan"), 0.0, error=_in_a_line(error))
            found.append(comparison)
            print(f"{name}: {_verdict(comparison)}", file=sys.stderr, flush=True)
    return found


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}".replace("|", "/")


def table(found: Sequence[Comparison], device: torch.device) -> str:
    """Return the comparisons as Markdown."""
    n_within = sum(each.is_within for each in found)
    lines = [
        f"{_device_name(device)} beside the CPU, torch {torch.__version__}: "
        f"{n_within} of {len(found)} within tolerance. Differences are relative to the largest "
        "value of an array; seconds are those of one computation, once warm.",
        "",
        "| check | compared | difference | tolerance | | CPU, s | device, s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found:
        seconds = ["", ""]
        if each.seconds_cpu:
            seconds = [f"{each.seconds_cpu:.3g}", f"{each.seconds_device:.3g}"]
        difference = "" if each.error else f"{each.difference:.1e}"
        tolerance = "to the bit" if each.tolerance == 0 else f"{each.tolerance:g}"
        cells = [each.what, each.compared, difference, tolerance, _verdict(each), *seconds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _verdict(comparison: Comparison) -> str:
    if comparison.error:
        return f"**failed**: {comparison.error}"
    return "yes" if comparison.is_within else "**no**"


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "The CPU"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare a GPU with the CPU.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:<k>, or cpu (default: cuda)")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="beginnings of names")
    parser.add_argument("--out", type=Path, help="write the table here (default: print it)")
    parsed = parser.parse_args(arguments)
    if parsed.device.startswith("cuda") and not torch.cuda.is_available():
        print(
            "There is no GPU here; --device cpu tries the script on the CPU alone.", file=sys.stderr
        )
        return 2
    device = torch.device(parsed.device)
    found = run_checks(device, parsed.only)
    text = table(found, device)
    if parsed.out is None:
        print(text, end="")
    else:
        parsed.out.write_text(text, encoding="utf-8")
    return 0 if found and all(each.is_within for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
