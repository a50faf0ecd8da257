"""Demo on the sample slide (`make demo`).

It opens the slide, classifies it and shows where the model looked.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.window_driver import WindowDriver, has_display, rerun_in_virtual_display

CLASSIFIER = "breast-malignancy"
OUTPUT = Path("demo-output")
ENDS_BY_ITSELF = "--ends-by-itself"


def main() -> None:
    if not has_display():
        print(
            f"No display here: the demo runs in a virtual one and leaves its results in {OUTPUT}/.",
            flush=True,
        )
        rerun_in_virtual_display("scripts.demo", [ENDS_BY_ITSELF])
    from napari_mil.gui.samples import SLIDE, sample_path

    driver = WindowDriver()
    driver.open(sample_path(SLIDE))
    driver.show_tab("Classify")
    driver.choose_classifier(CLASSIFIER)
    prediction = driver.classify()
    if prediction is None:
        sys.exit(f"The demo failed: {driver.workbench.classify_tab.message.text()}")
    if ENDS_BY_ITSELF not in sys.argv:
        import napari

        napari.run()
        return
    prediction.save(OUTPUT)
    driver.screenshot(OUTPUT / "screenshot.png")
    driver.close()
    probabilities = ", ".join(
        f"{name} {p:.2f}"
        for name, p in zip(prediction.classes, prediction.probabilities, strict=True)
    )
    print(f"{prediction.slide['name']}: {prediction.label} ({probabilities})")
    print(f"See {', '.join(str(path) for path in sorted(OUTPUT.iterdir()))}.")


if __name__ == "__main__":
    main()
