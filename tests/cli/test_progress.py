from napari_mil.cli.progress import ProgressPrinter
from napari_mil.events import Advanced, Fallback, Finished, Started


def test_plain_lines_name_the_job_its_units_and_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr("napari_mil.cli.progress.PLAIN_LINE_EVERY", 0.0)
    printer = ProgressPrinter("a.svs")
    for event in (Started(12), Advanced(5, 2.0, 3.5), Advanced(6, 2.0, None), Finished(None)):
        printer(event)
    assert capsys.readouterr().err.splitlines() == [
        "a.svs: 12 tiles",
        "a.svs: 5 of 12, 2/s, 4 s left",
        "a.svs: 6 of 12, 2/s",
    ]


def test_one_unit_is_in_the_singular(capsys):
    ProgressPrinter("folder")(Started(1, "images"))
    assert capsys.readouterr().err == "folder: 1 image\n"


def test_a_quiet_printer_prints_fallbacks_alone(capsys):
    printer = ProgressPrinter("a.svs", quiet=True)
    for event in (Started(12), Advanced(5, 2.0, 3.5), Fallback("The CPU is used.")):
        printer(event)
    assert capsys.readouterr().err == "a.svs: The CPU is used.\n"
