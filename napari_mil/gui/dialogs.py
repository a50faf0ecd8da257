"""File dialogs of the window; each begins where it ended last."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_mil.annotations.finding import ENDINGS as ANNOTATION_ENDINGS
from napari_mil.bags.images import IMAGE_ENDINGS
from napari_mil.bags.readers import FEATURE_ENDINGS
from napari_mil.exports.cards import FormatCard
from napari_mil.gui.last_used import LastUsed
from napari_mil.gui.model.recognition import CHECKPOINT_ENDINGS
from napari_mil.slides import SLIDE_EXTENSIONS


def _patterns(endings: tuple[str, ...]) -> str:
    return " ".join(f"*{ending}" for ending in dict.fromkeys(endings))


FILE_FILTER = ";;".join(
    (
        "All files (*)",
        f"Slides and pictures ({_patterns((*SLIDE_EXTENSIONS, *IMAGE_ENDINGS))})",
        f"Features and checkpoints ({_patterns((*FEATURE_ENDINGS, *CHECKPOINT_ENDINGS))})",
        f"Annotations ({_patterns(ANNOTATION_ENDINGS)})",
    )
)


class Dialogs:
    """Asks for files and folders over a window."""

    def __init__(self, parent: QWidget, last_used: LastUsed) -> None:
        self._parent = parent
        self._last_used = last_used

    def ask_for_files(self) -> list[Path]:
        """Ask for files to open."""
        names, _ = QFileDialog.getOpenFileNames(
            self._parent, "Open", self._last_used.folder("slides"), FILE_FILTER
        )
        if names:
            self._last_used.remember_folder("slides", Path(names[0]).parent)
        return [Path(name) for name in names]

    def ask_for_images(self) -> list[Path]:
        """Ask for a folder to open."""
        folder = self._ask_for_folder("images", "Open a folder")
        return [] if folder is None else [folder]

    def ask_for_cohort(self) -> Path | None:
        """Ask for annotated bags."""
        return self._ask_for_folder("annotated", "Annotated folder: one folder per class")

    def ask_for_table(self) -> Path | None:
        """Ask for a table of labelled bags."""
        name, _ = QFileDialog.getOpenFileName(
            self._parent,
            "Table with the columns slide, label[, patient]",
            self._last_used.folder("annotated"),
            "Tables (*.csv *.tsv)",
        )
        if not name:
            return None
        self._last_used.remember_folder("annotated", Path(name).parent)
        return Path(name)

    def ask_for_run(self) -> Path | None:
        """Ask for an earlier run."""
        return self._ask_for_folder("run", "Folder of an earlier run")

    def ask_for_out(self) -> Path | None:
        """Ask for the folder of a run."""
        return self._ask_for_folder("run", "Folder for the run")

    def ask_for_worklist_folder(self) -> Path | None:
        """Ask for slides and bags to list, or for their results."""
        return self._ask_for_folder("worklist", "Folder of slides, bags or results")

    def ask_for_slide_table(self) -> Path | None:
        """Ask for a table that lists slides and bags."""
        name, _ = QFileDialog.getOpenFileName(
            self._parent,
            "Table with the column slide",
            self._last_used.folder("worklist"),
            "Tables (*.csv *.tsv)",
        )
        if not name:
            return None
        self._last_used.remember_folder("worklist", Path(name).parent)
        return Path(name)

    def ask_for_results(self) -> Path | None:
        """Ask for the folder of a worklist's results."""
        return self._ask_for_folder("results", "Folder for results")

    def ask_for_slides_folder(self) -> Path | None:
        """Ask for the folder in which slides of results lie."""
        return self._ask_for_folder("slides", "Folder in which the slides lie")

    def ask_for_export(self, path: Path, card: FormatCard) -> Path | None:
        """Ask for the file of an export, beginning with a path."""
        pattern = f"{card.title} ({_patterns(card.suffixes)})"
        name, _ = QFileDialog.getSaveFileName(self._parent, "Export", str(path), pattern)
        return Path(name) if name else None

    def ask_for_gallery(self, name: str) -> Path | None:
        """Ask where the gallery is written as a picture, beginning with a name."""
        start = Path(self._last_used.folder("gallery")) / name
        chosen, _ = QFileDialog.getSaveFileName(
            self._parent, "Save the gallery", str(start), "Picture (*.png)"
        )
        if not chosen:
            return None
        path = Path(chosen)
        self._last_used.remember_folder("gallery", path.parent)
        return path if path.suffix else path.with_suffix(".png")

    def _ask_for_folder(self, dialog: str, title: str) -> Path | None:
        name = QFileDialog.getExistingDirectory(self._parent, title, self._last_used.folder(dialog))
        if not name:
            return None
        self._last_used.remember_folder(dialog, Path(name))
        return Path(name)
