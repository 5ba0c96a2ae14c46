"""Forms under limits: urlencoded, multipart, and everything a hostile client may send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from echelon.errors import HTTPError
from echelon.http.forms import FormData, FormLimits, Upload, parse_form

BOUNDARY = "multipart/form-data; boundary=XX"


def part(name: str, content: bytes, filename: str | None = None, extra: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return (
        f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{extra}\r\n'.encode()
        + content
        + b"\r\n"
    )


async def read(kind: str, body: bytes, *, step: int = 1 << 16, **limits: int) -> FormData:
    """Parse a body that arrives in pieces of `step` bytes."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    return await parse_form(kind, chunks, FormLimits(**limits))


async def test_urlencoded_fields_repeat_and_decode() -> None:
    """Order and repetition are kept."""
    with await read("application/x-www-form-urlencoded", b"a=1&a=2&b=%C3%A9+x") as form:
        assert form.pairs() == [("a", "1"), ("a", "2"), ("b", "é x")]


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
async def test_multipart_gives_fields_and_files(step: int) -> None:
    """However the bytes arrive, the content is the same."""
    body = (
        part("a", "é".encode())
        + part("f", b"\r\n--X\r\n", "n.bin", "Content-Type: text/x\r\n")
        + b"--XX--\r\n"
    )
    with await read(BOUNDARY, body, step=step) as form:
        upload = form["f"]
        assert isinstance(upload, Upload)
        assert (form["a"], upload.filename, upload.content_type, upload.size) == ("é", "n.bin", "text/x", 7)
        assert await upload.read() == b"\r\n--X\r\n"


async def test_a_large_file_moves_to_disk_and_is_saved(tmp_path: Path) -> None:
    """Above `memory` bytes it is a temporary file; save() writes all of it."""
    with await read(BOUNDARY, part("f", b"x" * 5000, "a") + b"--XX--", memory=1000) as form:
        upload = form["f"]
        assert isinstance(upload, Upload)
        assert await upload.read(3) == b"xxx"
        upload.save(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"x" * 5000
    with pytest.raises(ValueError, match="closed"):
        await upload.read()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\dir\\\\a.txt", "a.txt"),
        ("a\x01b", "ab"),
        ("", ""),
        ('q\\"x', 'q"x'),
    ],
)
async def test_a_filename_loses_folders_and_control_characters(given: str, kept: str) -> None:
    """It is the client's word, and never a path."""
    with await read(BOUNDARY, part("f", b"", given) + b"--XX--") as form:
        upload = form["f"]
        assert isinstance(upload, Upload)
        assert upload.filename == kept


@pytest.mark.parametrize(
    ("limits", "body", "status"),
    [
        ({"fields": 2}, part("a", b"") * 3, 413),
        ({"files": 1}, part("a", b"", "f") * 2, 413),
        ({"field_size": 10}, part("a", b"x" * 11), 413),
    ],
)
async def test_multipart_limits(limits: dict[str, int], body: bytes, status: int) -> None:
    """Count and size are bounded, and what was read by then is dropped."""
    with pytest.raises(HTTPError) as caught:
        await read(BOUNDARY, body + b"--XX--", **limits)
    assert caught.value.status == status


async def test_urlencoded_limits() -> None:
    """The same bounds as for multipart."""
    kind = "application/x-www-form-urlencoded"
    for body, limits, status in (
        (b"a&b&c", {"fields": 2}, 400),
        (b"a=" + b"x" * 11, {"field_size": 10}, 413),
    ):
        with pytest.raises(HTTPError) as caught:
            await read(kind, body, **limits)
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"", 415),
        ("", b"", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=" + "x" * 5000, b"", 400),
        (BOUNDARY, b"nonsense", 400),
        (BOUNDARY, part("a", b"1"), 400),
        (BOUNDARY, b"", 400),
        (BOUNDARY, b"--XX\r\n\r\nvalue\r\n--XX--", 400),
        (BOUNDARY, b"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n\r\n--XX--", 400),
        (BOUNDARY, part("a", b"\xff") + b"--XX--", 400),
        (BOUNDARY, part("f", b"data", "open file"), 400),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("application/x-www-form-urlencoded", b"\xff", 400),
    ],
)
async def test_malformed_forms_are_refused(kind: str, body: bytes, status: int) -> None:
    """Each ends in a clear status, with every temporary file closed (an open one would warn)."""
    with pytest.raises(HTTPError) as caught:
        await read(kind, body)
    assert caught.value.status == status
