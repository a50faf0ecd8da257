"""Demo on the sample data (`make demo`).

A biopsy case that the classifier has not seen is classified image by image; then a slide of skin,
which is unlike anything the classifier of breast tissue was trained on, and that is said.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from scripts.window_driver import WindowDriver, has_display, rerun_in_virtual_display

CASE_CLASSIFIER = "colorectal-biopsy"
SLIDE_CLASSIFIER = "breast-malignancy"
OUTPUT = Path("demo-output")
ENDS_BY_ITSELF = "--ends-by-itself"


def main() -> None:
    if not has_display():
        print(
            f"No display here: the demo runs in a virtual one and leaves its results in {OUTPUT}/.",
            flush=True,
        )
        rerun_in_virtual_display("scripts.demo", [ENDS_BY_ITSELF])
    from napari_mil.gui.samples import CASE, SLIDE, sample_path

    driver = WindowDriver()
    slide = answer(driver, sample_path(SLIDE), SLIDE_CLASSIFIER)
    driver.screenshot(OUTPUT / "slide.png")
    # The case stays on the screen.
    case = answer(driver, sample_path(CASE), CASE_CLASSIFIER)
    driver.screenshot(OUTPUT / "case.png")
    if ENDS_BY_ITSELF not in sys.argv:
        import napari

        napari.run()
        return
    for name, prediction in (("case", case), ("slide", slide)):
        prediction.save(OUTPUT / name)
        print(words(prediction))
    driver.close()
    print(f"See {', '.join(str(path) for path in sorted(OUTPUT.iterdir()))}.")


def answer(driver: WindowDriver, path: Path, classifier: str) -> Any:
    """Open something and classify it; end where that fails."""
    driver.open(path)
    driver.show_tab("Classify")
    driver.choose_classifier(classifier)
    prediction = driver.classify()
    if prediction is None:
        sys.exit(f"The demo failed: {driver.workbench.classify_tab.message.text()}")
    return prediction


def words(prediction: Any) -> str:
    """Return an answer in one line, and what makes it uncertain."""
    probabilities = ", ".join(
        f"{name} {p:.2f}"
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
    )
    line = f"{prediction.slide['name']}: {prediction.label} ({probabilities})"
    unlike = prediction.unlikeness
    if unlike is not None and unlike.is_unlike:
        line += f"; unlike what {prediction.classifier['name']} was trained on"
    return line


if __name__ == "__main__":
    main()
