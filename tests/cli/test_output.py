import os

from napari_mil.cli.output import print_line


def test_a_closed_pipe_swallows_all_later_lines():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        print_line("first", stream)
        print_line("second", stream)
