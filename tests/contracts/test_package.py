"""Contracts of the package as a whole."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        **options,
    ).stdout.strip()


def modules_loaded_by(module, names):
    """Return which of some modules an import loads, as printed."""
    return python(f"import sys, {module}; print([m for m in {names} if m in sys.modules])")


HEAVY = ("torch", "napari", "qtpy", "PyQt5", "PyQt6", "openslide", "dask", "skimage")


def test_importing_the_package_loads_nothing_heavy():
    assert modules_loaded_by("napari_mil", HEAVY) == "[]"


def test_public_names_load_when_asked_for_and_are_all_there():
    code = (
        "import napari_mil as package;"
        "missing = [name for name in package.__all__ if not hasattr(package, name)];"
        "print(missing, package.__version__)"
    )
    assert python(code).startswith("[] 0.")


@pytest.mark.parametrize(
    "module",
    [
        "napari_mil.slides",
        "napari_mil.bags",
        "napari_mil.inference.card",
        "napari_mil.exports.exporting",
        "napari_mil.cli.main",
    ],
)
def test_these_rooms_load_no_torch_and_no_window(module):
    assert modules_loaded_by(module, ("torch", "napari", "qtpy")) == "[]"


def test_the_reader_loads_no_torch():
    assert modules_loaded_by("napari_mil.gui.reader", ("torch",)) == "[]"


def test_rooms_import_downwards_only():
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_the_manifest_is_valid():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-mil")
    assert {command.id for command in manifest.contributions.commands} >= {
        "napari-mil.read",
        "napari-mil.workbench",
    }
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert re.search(
            rf"^(def|class) {name}\b",
            (ROOT / (module.replace(".", "/") + ".py")).read_text(),
            re.MULTILINE,
        )


def test_the_version_stands_in_one_place():
    (version,) = re.findall(r"^version = (.+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert python("import napari_mil; print(napari_mil.__version__)") == version


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy: setuptools writes beside its sources, which other tests read."""
    source = tmp_path_factory.mktemp("source")
    written = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("napari_mil", "sample_data"):
        shutil.copytree(ROOT / name, source / name, ignore=written)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "NOTICE.md"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
@pytest.mark.xdist_group("wheel")
def test_the_wheel_holds_what_users_need(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for required in (
        "napari_mil/napari.yaml",
        "napari_mil/sample_data/CMU-1-Small-Region.svs",
        "napari_mil/sample_data/README.md",
        "napari_mil/inference/shipped/breast-malignancy/weights.safetensors",
        "napari_mil/inference/shipped/colon-epithelium/card.md",
        "napari_mil/inference/shipped/colorectal-biopsy/weights.safetensors",
        "napari_mil/inference/shipped/colorectal-grade/weights.safetensors",
        "napari_mil/inference/shipped/lymph-node-metastasis/weights.safetensors",
        "napari_mil/sample_data/colorectal-case/README.md",
    ):
        assert required in names
    assert sum(name.startswith("napari_mil/sample_data/mixed-size/") for name in names) == 10
    assert any(name.endswith("NOTICE.md") for name in names), (
        "the weights' own terms travel with them"
    )
    assert not any(name.startswith(("tests/", "scripts/", "benchmarks/")) for name in names)
    packages = {name.rsplit("/", 1)[0] for name in names if name.endswith(".py")}
    in_tree = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "napari_mil").rglob("*.py")}
    assert in_tree <= packages, "a room is missing from setup.cfg"


@pytest.mark.slow
@pytest.mark.xdist_group("wheel")
def test_an_installed_wheel_finds_its_sample_data_and_classifiers(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    interpreter = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env").glob("lib/python3*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    dependencies = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    # Everything else comes from the environment of the tests, but not its editable napari-mil.
    (site / "others.pth").write_text(f"import sys; sys.path.append({str(dependencies)!r})")
    code = (
        "import napari_mil; from napari_mil.gui.samples import SLIDE, BAG, sample_path;"
        "from napari_mil.inference.library import list_classifiers;"
        "images = list(sample_path(BAG).glob('*.tif'));"
        "print(napari_mil.__file__);"
        "print(sample_path(SLIDE).is_file(), len(images), len(list_classifiers()))"
    )
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    # A path to this checkout would stand before the installed package.
    environment.pop("PYTHONPATH", None)
    origin, counts = subprocess.run(
        [interpreter, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    ).stdout.splitlines()[-2:]
    assert origin.startswith(str(tmp_path))
    assert counts == "True 10 5"
