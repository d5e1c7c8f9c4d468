"""Forms as they arrive from a socket: in pieces, too large, cut, or not forms at all."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Message

from app.errors import RequestTooLargeError, UnsupportedMediaTypeError
from app.form import form_reader
from engine import Form
from engine.errors import InvalidRequestError

LARGEST = 1 << 20
KIND = "multipart/form-data; boundary=edge"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    behind = f'; filename="{filename}"' if filename is not None else ""
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{behind}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = b"--edge--\r\n"
WHOLE = part("model", b"tones") + part("file", b"\x00\r\n--edg\xff", "a.wav") + END


def read(
    body: bytes, kind: str | None = KIND, *, piece: int = 1 << 16, length: int | None = None
) -> Form | None:
    """The form that arrives in such pieces; nothing more comes behind a cut."""
    headers = [] if kind is None else [(b"content-type", kind.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))

    def messages() -> Iterator[Message]:
        for start in range(0, max(1, len(body)), piece):
            more = start + piece < len(body) or (length or 0) > len(body)
            data = body[start : start + piece]
            yield {"type": "http.request", "body": data, "more_body": more}
        yield {"type": "http.disconnect"}

    coming = messages()

    async def receive() -> Message:
        return next(coming)

    async def read_all() -> Form | None:
        return await form_reader(LARGEST)({"type": "http", "headers": headers}, receive)

    return asyncio.run(read_all())


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_a_form_is_read_however_it_is_cut_into_pieces(piece: int) -> None:
    form = read(WHOLE, piece=piece)
    assert form == Form((("model", "tones"),), {"file": b"\x00\r\n--edg\xff"})


def test_fields_keep_their_order_and_may_come_twice() -> None:
    form = read(part("a[]", b"1") + part("b", "ü".encode()) + part("a[]", b"2") + END)
    assert form == Form((("a[]", "1"), ("b", "ü"), ("a[]", "2")), {})


def test_a_client_that_leaves_is_not_answered() -> None:
    assert read(WHOLE[:40], length=len(WHOLE)) is None


@pytest.mark.parametrize(
    "kind", [None, "application/json", "application/x-www-form-urlencoded", "multipart/mixed"]
)
def test_another_content_type_is_refused(kind: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="multipart/form-data"):
        read(WHOLE, kind)


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data", "multipart/form-data; boundary=", f"{KIND}{'x' * 300}"],
    ids=["none", "empty", "endless"],
)
def test_a_boundary_that_cannot_be_one_is_refused(kind: str) -> None:
    with pytest.raises(InvalidRequestError, match="Content-Type"):
        read(WHOLE, kind)


@pytest.mark.parametrize(
    ("body", "says", "param"),
    [
        (b"", "closing boundary", None),
        (WHOLE[: -len(END)], "closing boundary", None),
        (WHOLE[:-30], "closing boundary", None),
        (b"not a form at all", "cannot be read", None),
        (b"--edge\r\nno colon\r\n\r\nx\r\n" + END, "cannot be read", None),
        (b"--edge\r\nX: y\r\n\r\nx\r\n" + END, "no name", None),
        (b"--edge\r\nX: " + b"y" * 5000 + b"\r\n\r\nx\r\n" + END, "cannot be read", None),
        (b"--edge\r\n" + b"X: y\r\n" * 9 + b"\r\nx\r\n" + END, "cannot be read", None),
        (part("model", b"\xff") + END, "not UTF-8", "model"),
        (part("file", b"1", "a") + part("file", b"2", "b") + END, "twice", "file"),
        (part("a", b"x") * 65 + END, "64 fields", None),
    ],
    ids=[
        "nothing", "no end", "cut", "text", "no colon", "no name", "long header", "many headers",
        "latin-1", "two files", "many fields",
    ],
)  # fmt: skip
def test_what_is_no_proper_form_is_refused(body: bytes, says: str, param: str | None) -> None:
    with pytest.raises(InvalidRequestError, match=says) as caught:
        read(body)
    assert not isinstance(caught.value, RequestTooLargeError)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "length", "param"),
    [
        (part("file", bytes(LARGEST + 1), "a.wav") + END, None, "file"),
        (part("prompt", b"x" * 65_537) + END, None, "prompt"),
        (bytes(3 * LARGEST), None, "file"),
        (WHOLE, 1 << 40, "file"),
        (part("a", b"x" * 65_536) * 40 + END, None, "file"),
    ],
    ids=["file", "field", "before", "declared", "fields"],
)
def test_what_is_too_large_is_refused_while_it_arrives(
    body: bytes, length: int | None, param: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(body, length=length)
    if body.startswith(b"--"):
        assert isinstance(caught.value, RequestTooLargeError)
        assert caught.value.param == param


def test_the_largest_file_is_read() -> None:
    form = read(part("file", b"\r\n" * (LARGEST // 2), "a.wav") + END)
    assert form is not None
    assert len(form.files["file"]) == LARGEST
