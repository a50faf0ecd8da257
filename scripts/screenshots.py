"""Every tab in every state, on real data, to be looked at (`make screenshots`).

Both themes at 1366 x 768, and the dark one at 200 %. Nothing is hidden that a person would see.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from scripts.window_driver import WindowDriver, rerun_in_virtual_display

RUNS = {
    "1366x768-dark": (("1366", "768", "dark"), {}),
    "1366x768-light": (("1366", "768", "light"), {}),
    "3840x2160-dark": (("1920", "1080", "dark"), {"QT_SCALE_FACTOR": "2"}),
}
"""Folder to (width, height, theme) and environment."""
LONG_NAME = "a picture with a name that is much too long for the narrow column it is shown in.png"


def main() -> None:
    """Take the pictures of every run, or of the one that is named, into a folder."""
    folder = sys.argv[1]
    if len(sys.argv) == 2:
        for name in RUNS:
            subprocess.run([sys.executable, "-m", "scripts.screenshots", folder, name], check=True)
        return
    name = sys.argv[2]
    (width, height, theme), environment = RUNS[name]
    if len(sys.argv) == 3:
        rerun_in_virtual_display(
            "scripts.screenshots", [folder, name, "inside"], screen="3840x2160x24", **environment
        )
    started = time.monotonic()
    take(Path(folder) / name, (int(width), int(height)), theme)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


def take(folder: Path, size: tuple[int, int], theme: str) -> None:
    """Take the pictures of one size and theme, in one window as a person would use it."""
    driver = WindowDriver(size, theme)
    driver.screenshot(folder / "01-start.png")
    with tempfile.TemporaryDirectory() as temporary:
        take_slide(driver, folder)
        take_maps(driver, folder)
        take_tree(driver, folder)
        take_bag_and_second_subject(driver, folder)
        driver.close_subjects()
        take_story(driver, folder)
        take_refusals(driver, folder, Path(temporary))
        driver.close_subjects()
        driver.screenshot(folder / "19-all-closed.png")
        driver.close_notices()
        train(driver, folder, Path(temporary))
        take_worklist(driver, folder, Path(temporary))
        driver.close()


def take_slide(driver: WindowDriver, folder: Path) -> None:
    """Open a slide, find its tissue, classify it, choose another classifier."""
    from napari_mil.gui.samples import SLIDE, sample_path

    workbench = driver.workbench
    tab = workbench.classify_tab
    driver.open(sample_path(SLIDE))
    driver.show_tab("Slide")
    driver.screenshot(folder / "02-slide.png")
    workbench.slide_tab.tissue_button.click()
    driver.wait_until_idle()
    driver.screenshot(folder / "03-tissue.png")
    driver.show_tab("Classify")
    driver.screenshot(folder / "04-ready.png")
    tab.button.click()
    driver.wait_until(lambda: tab.bar.value() > 0, "the first tiles")
    driver.screenshot(folder / "05-running.png", after=0.1)
    driver.wait_until_idle()
    driver.screenshot(folder / "06-answer.png")
    driver.choose_classifier("colon-epithelium")
    driver.screenshot(folder / "07-stale.png")
    driver.classify()
    driver.screenshot(folder / "08-second-answer.png")


def take_maps(driver: WindowDriver, folder: Path) -> None:
    """Choose each map of an answer, then an instance."""
    driver.show_tab("Inspect")
    driver.screenshot(folder / "09-attention.png")
    for number, kind in enumerate(("clusters", "masks", "critical"), 10):
        driver.choose_map(kind)
        driver.screenshot(folder / f"{number}-{kind}.png")
    driver.choose_map("attention")
    take_comparison(driver, folder)
    take_embedding(driver, folder)
    driver.workbench.inspection.step(1)
    driver.wait_until_idle()
    driver.screenshot(folder / "13-instance.png")
    take_export(driver, folder)
    take_evidence(driver, folder)


def take_tree(driver: WindowDriver, folder: Path) -> None:
    """Cut the tree, look at all of it, replay half of its merges."""
    from napari_mil.gui.model.panels import Panel

    driver.workbench.inspect_tab.panel_buttons[Panel.TREE].click()
    driver.wait_until_idle()
    view = driver.workbench.tree.view
    view.colour_box.click()
    driver.wait_until_idle()
    driver.screenshot(folder / "13e-tree.png")
    view.collapse_box.click()
    view.merge_slider.setValue(view.merge_slider.maximum() // 2)
    driver.wait_until_idle()
    driver.screenshot(folder / "13f-replay.png")
    view.parent().close()
    driver.choose_map("attention")


def take_comparison(driver: WindowDriver, folder: Path) -> None:
    """Compare both answers: their difference, then a curtain; close the panel."""
    from napari_mil.gui.model.comparing import CompareView
    from napari_mil.gui.model.panels import Panel

    workbench = driver.workbench
    workbench.inspect_tab.panel_buttons[Panel.COMPARE].click()
    driver.wait_until_idle()
    view = workbench.compare.view
    for letter, shown in zip("ab", (CompareView.DIFFERENCE, CompareView.CURTAIN), strict=True):
        view.choices.view_box.choose(shown)
        driver.wait_until_idle()
        driver.screenshot(folder / f"12{letter}-{shown}.png")
    view.parent().close()
    driver.wait_until_idle()


def take_evidence(driver: WindowDriver, folder: Path) -> None:
    """Ask what counts, select what suffices, drop it."""
    card = driver.workbench.inspect_tab.evidence
    card.ask_button.click()
    driver.wait_until_idle()
    driver.screenshot(folder / "13c-contribution.png")
    card.select_button.click()
    driver.wait_until_idle()
    card.drop_button.click()
    driver.wait_until_idle()
    driver.scroll_to_end()
    driver.screenshot(folder / "13d-what-if.png")
    card.undo_button.click()
    driver.choose_map("attention")


def take_embedding(driver: WindowDriver, folder: Path) -> None:
    """Lay the instances out, select a fifth of them; close the panel."""
    from napari_mil.gui.model.panels import Panel

    workbench = driver.workbench
    workbench.inspect_tab.panel_buttons[Panel.EMBEDDING].click()
    driver.wait_until_idle()
    places = workbench.embedding.view.canvas.places()
    right = (places[:, 0] > np.quantile(places[:, 0], 0.8)).nonzero()[0]
    workbench.embedding.select_inside(right, False)
    driver.wait_until_idle()
    driver.screenshot(folder / "12c-embedding.png")
    workbench.embedding.view.parent().close()
    driver.wait_until_idle()


def take_export(driver: WindowDriver, folder: Path) -> None:
    """Ask for an export, write it, and read where it is."""
    workbench = driver.workbench
    workbench.inspect_tab.export_line.button.click()
    driver.spin(0.3)
    dialog = workbench.exporting.dialog
    dialog.format_box.choose("html")
    driver.spin(0.3)
    dialog.grab().save(str(folder / "13a-export-dialog.png"))
    with tempfile.TemporaryDirectory() as temporary:
        dialog.path.setText(str(Path(temporary) / "report.html"))
        dialog.export_button.click()
        driver.wait_until_idle()
        driver.screenshot(folder / "13b-exported.png")


def take_bag_and_second_subject(driver: WindowDriver, folder: Path) -> None:
    """Open a bag of images beside the slide, then come back to the slide."""
    from napari_mil.gui.samples import BAG, SLIDE, sample_path

    driver.open(sample_path(BAG))
    driver.show_tab("Slide")
    driver.screenshot(folder / "14-bag.png")
    driver.show_tab("Classify")
    driver.screenshot(folder / "15-bag-classify.png")
    driver.choose_subject(Path(SLIDE).stem)
    driver.screenshot(folder / "16-two-subjects.png")


def take_story(driver: WindowDriver, folder: Path) -> None:
    """Take the pictures of the tour: open, classify, ask why, doubt, drop, compare, export."""
    from napari_mil.gui.model.panels import Panel
    from napari_mil.gui.samples import CASE, sample_path

    workbench = driver.workbench
    inspect = workbench.inspect_tab
    driver.open(sample_path(CASE))
    driver.show_tab("Slide")
    driver.screenshot(folder / "story-1-open.png")
    driver.show_tab("Classify")
    driver.choose_classifier("colorectal-biopsy")
    driver.classify()
    driver.screenshot(folder / "story-2-classified.png")
    driver.show_tab("Inspect")
    inspect.evidence.ask_button.click()
    driver.wait_until_idle()
    workbench.inspection.step(1)
    driver.wait_until_idle()
    driver.scroll_to_end()
    driver.screenshot(folder / "story-3-why.png")
    inspect.evidence.drop_button.click()
    driver.wait_until_idle()
    driver.scroll_to_end()
    driver.screenshot(folder / "story-4-dropped.png")
    inspect.evidence.undo_button.click()
    driver.show_tab("Classify")
    driver.choose_classifier("colorectal-grade")
    driver.classify()
    driver.show_tab("Inspect")
    workbench.panels.show(Panel.COMPARE)
    driver.wait_until_idle()
    driver.screenshot(folder / "story-5-compare.png")
    workbench.panels.close()


def take_refusals(driver: WindowDriver, folder: Path, temporary: Path) -> None:
    """Open what cannot be opened, then classify a picture that does not say its scale."""
    broken = temporary / "broken.svs"
    broken.write_bytes(b"this is no slide")
    driver.open(broken, temporary / "not-there.svs")
    driver.screenshot(folder / "17-refusals.png")
    driver.close_notices()
    driver.open(cut_picture_without_scale(temporary))
    driver.show_tab("Slide")
    driver.screenshot(folder / "18a-without-scale.png")
    driver.show_tab("Classify")
    driver.classify()
    driver.screenshot(folder / "18b-without-scale-classified.png")


def train(driver: WindowDriver, folder: Path, temporary: Path) -> None:
    """Set up, start, watch, pause, cancel and finish a run, then use its classifier."""
    from scripts.cohorts import sample_regions

    workbench = driver.workbench
    tab = workbench.train_tab
    workbench.show_training()
    driver.screenshot(folder / "train-a-empty.png")
    cohort = sample_regions(temporary / "cohort")
    for name, path in (("b-one-class", cohort / "left"), ("c-found", cohort)):
        workbench.setup.look_at(path)
        driver.wait_until_idle()
        driver.screenshot(folder / f"train-{name}.png")
    workbench.setup.choose_out(temporary / "run")
    tab.setup.strategy_box.choose("lr-ham")
    for name, value in {"tile_px": "32", "mpp": "0.5", "mask": "none"}.items():
        tab.setup.advanced[name].value = value
    tab.setup.fold.expand(animate=False)
    driver.scroll_to_end()
    driver.screenshot(folder / "train-d-advanced.png")
    tab.setup.fold.collapse(animate=False)
    tab.setup.epochs_box.setValue(40)
    tab.watch.bag_box.choose(str(cohort / "right" / "region09.tiff"))
    driver.wait_until_idle()
    driver.scroll_to_end()
    driver.screenshot(folder / "train-e-set-up.png")
    take_run(driver, folder)


def take_run(driver: WindowDriver, folder: Path) -> None:
    """Take a run from its start to the use of its classifier."""
    tab = driver.workbench.train_tab
    tab.run.button.click()
    driver.wait_until(lambda: len(driver.state.training.rows) >= 8, "epochs")
    driver.spin(0.6)
    driver.screenshot(folder / "train-f-watching.png")
    driver.scroll_to_end()
    driver.screenshot(folder / "train-f-watching-end.png")
    tab.run.button.click()
    driver.screenshot(folder / "train-g-paused.png")
    tab.run.cancel_button.click()
    driver.wait_until_idle()
    driver.screenshot(folder / "train-h-cancelled.png")
    tab.run.button.click()
    driver.wait_until_idle()
    driver.spin(0.6)
    driver.screenshot(folder / "train-i-result.png")
    tab.watch.epoch_slider.setValue(1)
    driver.spin(0.6)
    driver.screenshot(folder / "train-j-first-epoch.png")
    tab.result.use_button.click()
    driver.wait_until_idle()
    driver.classify()
    driver.screenshot(folder / "train-k-used.png")


def take_worklist(driver: WindowDriver, folder: Path, temporary: Path) -> None:
    """List slides, run them, open an answer, choose another classifier."""
    from napari_mil.gui.samples import CASE, SLIDE, sample_path
    from scripts.cohorts import sample_regions

    workbench = driver.workbench
    tab = workbench.worklist_tab
    workbench.show_worklist()
    driver.screenshot(folder / "worklist-a-empty.png")
    slides = sample_regions(temporary / "slides")
    for name in (SLIDE, CASE):
        (slides / name).symlink_to(sample_path(name).absolute())
    (slides / "broken-at-transfer.svs").write_bytes(b"this is no slide")
    workbench.worklist.open(slides)
    driver.wait_until_idle()
    workbench.worklist.choose_classifier("breast-malignancy")
    driver.wait_until_idle()
    driver.screenshot(folder / "worklist-b-listed.png")
    tab.button.click()
    driver.wait_until(lambda: any(row.done for row in driver.state.listing.rows), "a row")
    driver.screenshot(folder / "worklist-c-running.png", after=0.05)
    driver.wait_until_idle()
    workbench.worklist.write_note(0, "skin, not breast")
    tab.table.choose(0)
    tab.table.row_opened.emit(0)
    driver.wait_until_idle()
    driver.screenshot(folder / "worklist-d-opened.png")
    workbench.worklist.choose_classifier("colon-epithelium")
    driver.wait_until_idle()
    tab.table.choose(2)
    driver.screenshot(folder / "worklist-e-stale.png")


def cut_picture_without_scale(folder: Path) -> Path:
    """Cut a picture out of the sample slide; it has a long name and says no scale."""
    from PIL import Image

    from napari_mil.gui.samples import SLIDE, sample_path
    from napari_mil.slides import open_slide

    path = folder / LONG_NAME
    with open_slide(sample_path(SLIDE)) as slide:
        Image.fromarray(slide.read_region((600, 600), 0, (1000, 1200))).save(path)
    return path


if __name__ == "__main__":
    main()
