"""Forms: urlencoded text and multipart bodies with files, read under limits."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Self, cast
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from echelon.errors import BadInput, HTTPError
from echelon.http.headers import MultiDict

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COPY_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Bounds of one form; sizes in bytes. The whole form is bounded by the request's `max_body`."""

    fields: int = 1000
    files: int = 100
    field_size: int = 1 << 20
    memory: int = 1 << 20  # a larger file moves to a temporary file on disk


class Upload:
    """A file from a form. `filename` is what the client says: never use it as a path."""

    def __init__(self, name: str, filename: str, content_type: str, memory: int) -> None:
        self.name = name
        self.filename = filename
        self.content_type = content_type
        self.size = 0
        # mypy knows no spooled file as IO[bytes]; it is one in everything used here
        self.file = cast(IO[bytes], SpooledTemporaryFile(max_size=memory))  # noqa: SIM115 - close() closes it

    def write(self, data: bytes) -> None:
        """Append while the form is being read."""
        self.file.write(data)
        self.size += len(data)

    async def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes from the current position, everything when it is negative."""
        return self.file.read(size)

    def save(self, path: str | Path) -> None:
        """Write the whole file to `path`, which the caller chose."""
        self.file.seek(0)
        with open(path, "wb") as target:
            while chunk := self.file.read(_COPY_SIZE):
                target.write(chunk)

    def close(self) -> None:
        """Drop the content; the request does so when it ends."""
        self.file.close()

    def __repr__(self) -> str:
        return f"Upload(name={self.name!r}, filename={self.filename!r}, size={self.size})"


class FormData(MultiDict[str | Upload]):
    """The fields and files of a form, in order."""

    def close(self) -> None:
        """Drop every uploaded file; the request does so when it ends."""
        for _, value in self._pairs:
            if isinstance(value, Upload):
                value.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parse_pairs(text: str, limit: int, what: str) -> list[tuple[str, str]]:
    """Read `a=1&b=2`; raises BadInput for too many pairs or bytes that are not UTF-8."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=limit, errors="strict")
    except UnicodeDecodeError as exc:
        raise BadInput(f"the {what} is not UTF-8", status=400) from exc
    except ValueError as exc:
        raise BadInput(f"the {what} has more than {limit} fields", status=400) from exc


async def parse_form(
    content_type: str,
    read: Callable[[], AsyncIterator[bytes]],
    limits: FormLimits,
) -> FormData:
    """Read a form of either encoding; raises HTTPError 415 when the content type is neither."""
    kind, options = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded":
        body = b"".join([chunk async for chunk in read()])
        try:
            text = body.decode("ascii")
        except UnicodeDecodeError as exc:
            raise BadInput("an urlencoded form is ASCII; percent-encode other bytes", status=400) from exc
        pairs = parse_pairs(text, limits.fields, "form")
        for name, value in pairs:
            _check_field_size(name, len(value.encode()), limits)
        return FormData(pairs)
    if kind == b"multipart/form-data":
        return await _Multipart(options.get(b"boundary", b""), limits).parse(read())
    raise HTTPError(
        415, "send the form as application/x-www-form-urlencoded or multipart/form-data (Content-Type)"
    )


def _check_field_size(name: str, size: int, limits: FormLimits) -> None:
    if size > limits.field_size:
        raise HTTPError(413, f'form field "{name[:64]}" is larger than {limits.field_size} bytes')


class _Multipart:
    """One pass over a multipart body; python-multipart finds the parts, this keeps their content."""

    def __init__(self, boundary: bytes, limits: FormLimits) -> None:
        if not boundary:
            raise BadInput("multipart/form-data needs a boundary parameter", status=400)
        self._limits = limits
        self._items: list[tuple[str, str | Upload]] = []
        self._files = 0
        self._ended = False
        self._upload: Upload | None = None
        self._name = ""
        self._field = bytearray()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_part_data": self._part_data,
                    "on_part_end": self._part_end,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_text,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_end": self._end,
                },
            )
        except FormParserError as exc:
            raise BadInput(f"the form's boundary is not usable: {exc}", status=400) from exc

    async def parse(self, chunks: AsyncIterator[bytes]) -> FormData:
        form = FormData()
        try:
            async for chunk in chunks:
                self._parser.write(chunk)
            self._parser.finalize()
            if not self._ended:
                raise BadInput("the multipart form ends before its last boundary", status=400)
            form = FormData(self._items)
        except FormParserError as exc:
            raise BadInput(f"the multipart form is malformed: {exc}", status=400) from exc
        finally:
            if not form and (self._items or self._upload):
                self._discard()
        for _, value in self._items:
            if isinstance(value, Upload):
                value.file.seek(0)
        return form

    def _discard(self) -> None:
        FormData(self._items).close()
        if self._upload is not None:
            self._upload.close()

    def _part_begin(self) -> None:
        self._headers = {}
        self._field = bytearray()
        self._upload = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        try:
            disposition = self._headers.get(b"content-disposition", b"").decode()
            kind = self._headers.get(b"content-type", b"application/octet-stream").decode()
        except UnicodeDecodeError as exc:
            raise BadInput("a header of a form part is not UTF-8", status=400) from exc
        name, filename = _names(disposition)
        self._name = name
        if filename is None:
            if len(self._items) - self._files >= self._limits.fields:
                raise HTTPError(413, f"the form has more than {self._limits.fields} fields")
            return
        self._files += 1
        if self._files > self._limits.files:
            raise HTTPError(413, f"the form has more than {self._limits.files} files")
        self._upload = Upload(name, filename, _CONTROL.sub("", kind), self._limits.memory)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._upload is not None:
            self._upload.write(data[start:end])
        else:
            self._field += data[start:end]
            _check_field_size(self._name, len(self._field), self._limits)

    def _part_end(self) -> None:
        if self._upload is not None:
            self._items.append((self._name, self._upload))
            self._upload = None
            return
        try:
            self._items.append((self._name, self._field.decode()))
        except UnicodeDecodeError as exc:
            raise BadInput(f'form field "{self._name[:64]}" is not UTF-8', status=400) from exc

    def _end(self) -> None:
        self._ended = True


_PARAMETER = re.compile(r';\s*(name|filename)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))', re.IGNORECASE)


def _names(disposition: str) -> tuple[str, str | None]:
    """Return the field's name and the file's name; a file's name loses its folders and control characters."""
    found = {
        match[1].lower(): re.sub(r"\\([\\\"])", r"\1", match[2]) if match[2] is not None else match[3]
        for match in _PARAMETER.finditer(disposition)
    }
    if not disposition.lower().startswith("form-data") or "name" not in found:
        raise BadInput("a form part has no name in its Content-Disposition", status=400)
    filename = found.get("filename")
    if filename is not None:
        filename = re.split(r"[/\\]", _CONTROL.sub("", filename))[-1]
    return found["name"], filename
