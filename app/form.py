"""Reads a request that comes as multipart/form-data, with a limit on all of it as it arrives."""

from collections.abc import Awaitable, Callable

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from app.errors import RequestTooLargeError, UnsupportedMediaTypeError
from engine import Form
from engine.errors import InvalidRequestError

_MOST_PARTS = 64
_LARGEST_FIELD = 64 << 10
# All fields, boundaries and headers; of these python-multipart takes 8 of 4 KiB for each part.
_BESIDE_FILES = 1 << 20


def form_reader(largest_file: int) -> Callable[[Scope, Receive], Awaitable[Form | None]]:
    """What reads a form whose files have up to so many bytes, together as well as each."""

    async def read(scope: Scope, receive: Receive) -> Form | None:
        parts = _Parts(largest_file)
        headers = Headers(scope=scope)
        parser = _parser(headers.get("content-type"), parts)
        left = largest_file + _BESIDE_FILES
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > left:
            raise _too_large(largest_file)
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            left -= len(chunk)
            if left < 0:
                raise _too_large(largest_file)
            try:
                parser.write(chunk)
            except FormParserError as error:
                raise InvalidRequestError(f"The form cannot be read: {error}") from None
            more = message.get("more_body", False)
        return parts.form()

    return read


def _parser(content_type: str | None, parts: "_Parts") -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise UnsupportedMediaTypeError("Send the body as 'Content-Type: multipart/form-data'.")
    if not options.get(b"boundary"):
        raise InvalidRequestError("The Content-Type header has no boundary.")
    try:
        return MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.add_to_header,
                "on_header_value": parts.add_to_value,
                "on_header_end": parts.end_header,
                "on_headers_finished": parts.end_headers,
                "on_part_data": parts.add,
                "on_part_end": parts.end,
                "on_end": parts.end_all,
            },
        )
    except FormParserError as error:
        raise InvalidRequestError(f"The Content-Type header is not right: {error}.") from None


class _Parts:
    """What the parser has found so far."""

    def __init__(self, largest_file: int) -> None:
        self._largest_file = largest_file
        self._fields: list[tuple[str, str]] = []
        self._files: dict[str, bytes] = {}
        self._count = 0
        self._is_whole = False

    def begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise InvalidRequestError(f"A form may have up to {_MOST_PARTS} fields.")
        self._header = self._value = self._disposition = b""
        self._data = bytearray()

    def add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise InvalidRequestError("A part of the form has no name.")
        self._name = options[b"name"].decode(errors="replace")
        self._is_file = b"filename" in options

    def add(self, data: bytes, start: int, end: int) -> None:
        self._data += memoryview(data)[start:end]
        if self._is_file:
            if len(self._data) > self._largest_file:
                raise _too_large(self._largest_file, self._name)
        elif len(self._data) > _LARGEST_FIELD:
            raise RequestTooLargeError(
                f"{self._name} may have up to {_LARGEST_FIELD >> 10} KiB.", self._name
            )

    def end(self) -> None:
        if self._is_file:
            if self._name in self._files:
                raise InvalidRequestError(f"{self._name} is given twice.", self._name)
            self._files[self._name] = bytes(self._data)
            return
        try:
            self._fields.append((self._name, self._data.decode()))
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{self._name} is not UTF-8.", self._name) from None

    def end_all(self) -> None:
        self._is_whole = True

    def form(self) -> Form:
        """The form; raises `InvalidRequestError` if its end has not come."""
        if not self._is_whole:
            raise InvalidRequestError("The form ends before its closing boundary.")
        return Form(tuple(self._fields), self._files)


def _too_large(largest_file: int, name: str = "file") -> RequestTooLargeError:
    return RequestTooLargeError(f"{name} may have up to {largest_file / (1 << 20):g} MiB.", name)
