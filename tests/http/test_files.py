"""Files: conditions, ranges, and paths that try to leave."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from echelon.errors import ConfigError, HTTPError
from echelon.http import Directory, File, Request
from echelon.http.service import Service
from echelon.http.testing import TestClient
from echelon.routing import Router

CONTENT = b"0123456789" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(CONTENT)
    (root / "sub" / "index.html").write_text("<p>index</p>")
    (root / ".secret").write_text("secret")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "inner.txt").symlink_to(root / "a.txt")
    os.mkfifo(root / "pipe")
    return root


def client(folder: Path, **options: Any) -> TestClient:
    router = Router()
    router.mount("/s", Directory(folder, **options))
    router.get("/down")(lambda: File(folder / "a.txt", download='r "é".txt', media_type="text/x"))
    return TestClient(Service(router))


async def test_a_file_comes_with_type_tag_and_date(folder: Path) -> None:
    """Enough for caches and for resuming."""
    async with client(folder) as http:
        answer = await http.get("/s/a.txt")
        assert (answer.content, answer.headers["content-length"]) == (CONTENT, "1000")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert {"etag", "last-modified", "accept-ranges"} <= set(answer.headers)
        head = await http.head("/s/a.txt")
        assert (head.content, head.headers) == (b"", answer.headers)


async def test_an_unchanged_file_is_304(folder: Path) -> None:
    """By tag, by weak tag, by any tag, by date; a tag that differs overrules the date."""
    async with client(folder) as http:
        first = await http.get("/s/a.txt")
        tag, date = first.headers["etag"], first.headers["last-modified"]
        for headers in (
            {"if-none-match": tag},
            {"if-none-match": f'"x", W/{tag}'},
            {"if-none-match": "*"},
            {"if-modified-since": date},
        ):
            answer = await http.get("/s/a.txt", headers=headers)
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        for headers in (
            {"if-none-match": '"x"', "if-modified-since": date},
            {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
            {"if-modified-since": "nonsense"},
        ):
            assert (await http.get("/s/a.txt", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "status", "part", "described"),
    [
        ("bytes=0-9", 206, CONTENT[:10], "bytes 0-9/1000"),
        ("bytes=990-", 206, CONTENT[990:], "bytes 990-999/1000"),
        ("bytes=-5", 206, CONTENT[-5:], "bytes 995-999/1000"),
        ("bytes=-5000", 206, CONTENT, "bytes 0-999/1000"),
        ("bytes=995-99999", 206, CONTENT[995:], "bytes 995-999/1000"),
        ("bytes=1000-", 416, None, "bytes */1000"),
        ("bytes=5-4", 416, None, "bytes */1000"),
        ("bytes=-0", 416, None, "bytes */1000"),
        ("bytes=0-1,5-6", 200, CONTENT, None),
        ("bytes=-", 200, CONTENT, None),
        ("items=0-1", 200, CONTENT, None),
        ("bytes=" + "9" * 5000 + "-", 200, CONTENT, None),
    ],
)
async def test_one_range_is_served(
    folder: Path, asked: str, status: int, part: bytes | None, described: str | None
) -> None:
    """Several ranges and other units get the whole file, which is a correct answer."""
    async with client(folder) as http:
        answer = await http.get("/s/a.txt", headers={"range": asked})
    assert (answer.status_code, answer.headers.get("content-range")) == (status, described)
    assert part is None or answer.content == part


async def test_if_range_guards_against_mixing_versions(folder: Path) -> None:
    """With another tag or date the whole file comes."""
    async with client(folder) as http:
        first = await http.get("/s/a.txt")
        for condition, status in (
            (first.headers["etag"], 206),
            ('"x"', 200),
            (first.headers["last-modified"], 206),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ):
            headers = {"range": "bytes=0-0", "if-range": condition}
            assert (await http.get("/s/a.txt", headers=headers)).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../outside.txt",
            "/%2e%2e/outside.txt",
            "/..%2foutside.txt",
            "/sub/../../outside.txt",
            "/link.txt",
            "/.secret",
            "/sub/.x",
        ),
        *("/none.txt", "/sub", "/pipe", "//etc/passwd", "/%2Fetc/passwd", "/a.txt/x", "/a%00.txt"),
    ],
)
async def test_nothing_outside_of_the_folder_is_served(folder: Path, path: str) -> None:
    """Dots, encoded slashes, links, hidden names, pipes and folders: not there."""
    request = Request("GET", unquote(f"/s{path}"), None)  # type: ignore[arg-type]  # no more is read
    request.root_path = "/s"
    with pytest.raises(HTTPError) as caught:
        await Directory(folder).__echelon_handle__(request)
    assert caught.value.status == 404


async def test_links_inside_and_indexes_are_served(folder: Path) -> None:
    """A link that stays inside is a file like any other."""
    async with client(folder) as http:
        assert (await http.get("/s/inner.txt")).content == CONTENT
        assert (await http.get("/s/sub/")).text == "<p>index</p>"
    async with client(folder, index=None) as http:
        assert (await http.get("/s/sub/")).status_code == 404


async def test_a_download_names_the_file(folder: Path) -> None:
    """Whatever the name holds, it cannot break the header."""
    async with client(folder) as http:
        answer = await http.get("/down")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''r%20%22%C3%A9%22.txt"
    assert answer.headers["content-type"] == "text/x"


def test_a_missing_folder_or_file_is_said_clearly(tmp_path: Path) -> None:
    """A folder at start is a mistake of the developer, a file is 404."""
    with pytest.raises(ConfigError, match="no such folder"):
        Directory(tmp_path / "none")
    with pytest.raises(HTTPError):
        File(tmp_path / "none")
