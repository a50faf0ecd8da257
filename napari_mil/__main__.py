"""Entry point that composes the command line and the window.

No other module imports both.
"""

import argparse
import sys

from napari_mil.cli.main import run


def add_view(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb that opens the window."""
    parser = verbs.add_parser(
        "view",
        help="open slides, bags, features, classifiers or runs in the window",
        description="Open the window, with whatever is given.",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="X",
        help="slide, picture, folder of images, feature file, classifier, checkpoint, "
        "annotations or run folder",
    )
    parser.add_argument(
        "--slide-mpp",
        type=float,
        metavar="MPP",
        help="µm per level-0 pixel, where the file says none or a wrong one",
    )
    parser.set_defaults(run=_view)


def _view(arguments: argparse.Namespace) -> int:
    # Qt and napari load for this verb alone.
    from napari_mil.gui.app import view

    return view(arguments.paths, arguments.slide_mpp)


def main() -> int:
    """Run the command line; return the exit code."""
    return run(sys.argv[1:], further_verbs=(add_view,))


if __name__ == "__main__":
    sys.exit(main())
