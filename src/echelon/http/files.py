"""Files: one file as a response, and a directory as a mount."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from echelon.errors import ConfigError, HTTPError
from echelon.http.response import BYTES_TYPE, Empty, FileSlice, Response

if TYPE_CHECKING:
    from echelon.http.request import Request

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class File(Response):
    """A file with ETag, Last-Modified, conditional requests and one byte range.

    With `root`, a path that leads outside of it, through `..` or a link, is not found. Raises HTTPError 404
    when there is no such file. `download` names the file for the browser's save dialog.
    """

    __slots__ = ("_modified", "_size")

    def __init__(
        self,
        path: str | Path,
        *,
        root: str | Path | None = None,
        media_type: str | None = None,
        download: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        target, facts = _locate(path, root)
        self._size = facts.st_size
        self._modified = int(facts.st_mtime)
        self._start(
            FileSlice(target, 0, self._size, whole=True), status, None, media_type or _guess_type(target)
        )
        view = self.headers
        view["etag"] = f'"{facts.st_mtime_ns:x}-{self._size:x}"'
        view["last-modified"] = formatdate(self._modified, usegmt=True)
        view["accept-ranges"] = "bytes"
        if download is not None:
            view["content-disposition"] = f"attachment; filename*=UTF-8''{quote(download, safe='')}"
        view.update(headers or {})

    def prepare(self, request: Request) -> Response:
        """Return 304, 206, 416 or the whole file, as the request's conditions ask."""
        if request.method not in ("GET", "HEAD") or self.status != 200:
            return self
        asked = request.headers
        if self._is_fresh(asked.get("if-none-match"), asked.get("if-modified-since")):
            return self._become(304, None)
        wanted = asked.get("range")
        if wanted is None or not self._range_applies(asked.get("if-range")):
            return self
        match = _RANGE.fullmatch(wanted.strip())
        if match is None or match[1] == match[2] == "":
            return self  # several ranges, or another unit: the whole file is a correct answer
        first, last = self._bounds(match[1], match[2])
        if first > last or first >= self._size:
            return Empty(416, {"content-range": f"bytes */{self._size}"})
        self.headers["content-range"] = f"bytes {first}-{last}/{self._size}"
        return self._become(206, FileSlice(self._path, first, last - first + 1, whole=False))

    @property
    def _path(self) -> str:
        body = self.body
        return body.path if isinstance(body, FileSlice) else ""

    def _bounds(self, first: str, last: str) -> tuple[int, int]:
        if not first:
            return max(0, self._size - int(last)), self._size - 1 if int(last) else -1
        return int(first), min(int(last), self._size - 1) if last else self._size - 1

    def _is_fresh(self, tags: str | None, since: str | None) -> bool:
        if tags is not None:
            mine = self.headers["etag"]
            return any(tag.strip().removeprefix("W/") in (mine, "*") for tag in tags.split(","))
        moment = _parse_date(since)
        return moment is not None and self._modified <= moment

    def _range_applies(self, condition: str | None) -> bool:
        if condition is None:
            return True
        if condition.startswith('"'):
            return condition == self.headers["etag"]
        return _parse_date(condition) == self._modified

    def _become(self, status: int, body: FileSlice | None) -> Response:
        self.status = status
        self.body = body
        return self


class Directory:
    """Serve the files below a folder; mount it: `router.mount("/static", Directory("static"))`.

    Names that begin with a dot are not served. `index` answers for a folder; None answers 404.
    """

    def __init__(
        self, root: str | Path, *, index: str | None = "index.html", cache: str = "no-cache"
    ) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise ConfigError(f"{root}: there is no such folder to serve files from")
        self._index = index
        self._cache = cache

    async def __echelon_handle__(self, request: Request) -> Response:
        """Answer GET and HEAD with a file."""
        if request.method not in ("GET", "HEAD"):
            raise HTTPError(405, "only GET and HEAD", headers={"allow": "GET, HEAD"})
        relative = request.subpath.lstrip("/")
        if any(part.startswith(".") for part in relative.split("/")):
            raise HTTPError(404)
        if self._index is not None and (not relative or relative.endswith("/")):
            relative += self._index
        return File(relative, root=self.root, headers={"cache-control": self._cache})


def _locate(path: str | Path, root: str | Path | None) -> tuple[str, os.stat_result]:
    text = os.fspath(path)
    if "\0" in text:
        raise HTTPError(404)
    try:
        target = os.path.realpath(text if root is None else os.path.join(root, text))
        if root is not None:
            base = os.path.realpath(root)
            if os.path.commonpath([base, target]) != base:
                raise HTTPError(404)
        facts = os.stat(target)
    except (OSError, ValueError) as exc:
        raise HTTPError(404) from exc
    if not stat.S_ISREG(facts.st_mode):
        raise HTTPError(404)
    return target, facts


def _guess_type(path: str) -> str:
    kind, encoding = mimetypes.guess_type(path)
    if kind is None or encoding is not None:
        return BYTES_TYPE
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind.endswith("javascript") else kind


def _parse_date(text: str | None) -> int | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
