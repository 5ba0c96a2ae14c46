"""Where output goes, when it is coloured, and what a guest's text may do to a terminal."""

from __future__ import annotations

import io

import pytest

from echelon.cli.terminal import Terminal, clean, has_colour, is_terminal, one_column, table


class Screen(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


class Pipe(Screen):
    """A stream that is none."""

    def isatty(self) -> bool:
        return False


def test_colours_only_on_a_terminal() -> None:
    """A pipe, NO_COLOR and a dumb terminal get plain text."""
    assert has_colour(Screen(), {})
    assert not has_colour(Pipe(), {})
    assert not has_colour(Screen(), {"NO_COLOR": "1"})
    assert has_colour(Screen(), {"NO_COLOR": ""})
    assert not has_colour(Screen(), {"TERM": "dumb"})


def test_paint() -> None:
    """Each stream is coloured for itself."""
    terminal = Terminal(Pipe(), Screen(), out_colour=False, err_colour=True)
    assert terminal.paint("x", "red") == "\x1b[31mx\x1b[0m"
    assert terminal.paint("x", "red", out=True) == "x"


def test_a_closed_stream_is_no_terminal() -> None:
    """Asking a closed or missing stream is not an error."""
    stream = io.StringIO()
    stream.close()
    assert not is_terminal(stream)
    assert not is_terminal(None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext é 漢", "plain\n\ttext é 漢"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb\x07\x9b", "a\\rb\\x07\\x9b"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    """Escape sequences and reversed text become visible instead of working."""
    assert clean(text) == shown


def test_one_column() -> None:
    """In an excerpt of source every character keeps its column."""
    assert one_column("\ta\x1bb") == " a\ufffdb"


def test_a_guest_cannot_steer_the_terminal() -> None:
    """Output and results of a guest are harmless on a terminal and untouched in a pipe."""
    screen, pipe = Screen(), Pipe()
    Terminal(screen, screen).raw(b"\x1b[31mred\xff\n")
    Terminal(screen, screen).result("\x1b]0;title\x07")
    assert screen.text() == "\\x1b[31mred\ufffd\n\\x1b]0;title\\x07\n"
    Terminal(pipe, pipe).raw(b"\x1b[31mred\n")
    Terminal(pipe, pipe).result("\x1b[0m")
    assert pipe.text() == "\x1b[31mred\n\x1b[0m\n"


def test_raw_bytes_keep_their_order() -> None:
    """Bytes and text on one stream come out in the order they were written."""
    pipe = Pipe()
    terminal = Terminal(pipe, pipe)
    terminal.raw(b"one ")
    terminal.note("two")
    terminal.raw(b"three", error=True)
    assert pipe.text() == "one two\nthree"


def test_a_stream_without_bytes() -> None:
    """A replaced stream that takes text only gets text."""
    stream = io.StringIO()
    Terminal(stream, stream).raw(b"ok\xff")
    assert stream.getvalue() == "ok\ufffd"


def test_what_an_encoding_cannot_hold() -> None:
    """A terminal of another encoding gets escapes, not an error."""
    pipe = Pipe("ascii")
    Terminal(pipe, pipe).result("é \ud800")
    assert pipe.text() == "\\xe9 \\ud800\n"


def test_an_error_is_one_line() -> None:
    """Line feeds and control characters in an error's text do not break the line."""
    pipe = Pipe()
    Terminal(pipe, pipe).error("first\nsecond \x1b[2J")
    assert pipe.text() == "echelon: first second \\x1b[2J\n"


def test_table() -> None:
    """Columns line up, the last is as long as it is."""
    assert table([("a", "bb", "c"), ("aaa", "b", "ccc")]) == ["a    bb  c", "aaa  b   ccc"]
    assert table([]) == []
