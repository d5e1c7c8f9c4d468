"""What is found in a request of each dialect, and refused before anything is loaded."""

import asyncio
import base64
import ssl
from collections.abc import Sequence
from typing import Any

import pytest

from engine.errors import InvalidRequestError
from engine.media.admission import Admission, admitted
from engine.media.attachment import Kind
from engine.media.fetcher import Fetcher
from engine.media.intake import Intake
from engine.media.rules import MediaRules

URL = "https://example.com/x.png"
DATA = "data:image/png;base64,AAAA"
RULES = MediaRules(item_bytes=1000)


async def nobody(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up")


def admit(
    messages: Any,
    *,
    field: str = "messages",
    limits: dict[Kind, int] | None = None,
    takes_tensors: bool = False,
    trusts: bool = False,
) -> Admission:
    async def judged() -> Admission:
        Intake(
            RULES,
            Fetcher(RULES, resolve=nobody, tls=ssl.create_default_context()),
            {"image": 2, "audio": 1} if limits is None else limits,
            takes_tensors=takes_tensors,
            trusts=trusts,
        ).admit({field: messages})
        return admitted.get()

    return asyncio.run(judged())


def user(*parts: Any) -> list[Any]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [*parts]}]


FOUND: dict[str, tuple[Any, str]] = {
    "OpenAI": ({"type": "image_url", "image_url": {"url": URL}}, "image_url.url"),
    "OpenAI, short": ({"type": "image_url", "image_url": URL}, "image_url"),
    "without a type": ({"image_url": URL}, "image_url"),
    "beside a text": ({"type": "text", "text": "x", "image_url": URL}, "image_url"),
    "Responses": ({"type": "input_image", "image_url": URL, "detail": "auto"}, "image_url"),
    "Anthropic": ({"type": "image", "source": {"type": "url", "url": URL}}, "source.url"),
    "Anthropic, base64": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        "source.data",
    ),
    "audio": ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
              "input_audio.data"),
    "audio by URL": ({"type": "audio_url", "audio_url": {"url": URL}}, "audio_url.url"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_media_are_found_where_the_dialects_have_them(name: str) -> None:
    part, where = FOUND[name]
    (found,) = admit(user({"type": "text", "text": "What is it?"}, part)).attachments
    assert found.field == f"messages.1.content.1.{where}"
    assert found.content in {URL, "AAAA"}


@pytest.mark.parametrize("holder", ["content", "output"])
def test_media_are_found_in_what_a_tool_answers(holder: str) -> None:
    image = {"type": "image", "source": {"type": "url", "url": URL}}
    (found,) = admit(user({"type": "tool_result", holder: [image]})).attachments
    assert found.field == f"messages.1.content.0.{holder}.0.source.url"
    answer = [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": DATA}]
    item = {"type": "function_call_output", "call_id": "1", "output": answer}
    (found,) = admit([item], field="input").attachments
    assert found.field == "input.0.output.1.image_url"


@pytest.mark.parametrize(
    "messages",
    [None, "text", 7, [], ["x"], [[]], [{}], [{"content": None}], [{"content": {"type": "x"}}],
     user("text", None, 3, {"type": "text", "text": "x", "image_url": None}, {"type": 3}),
     user({"type": ["image_url"]})],
    ids=str,
)  # fmt: skip
def test_a_request_without_media_has_none_whatever_its_form(messages: Any) -> None:
    assert admit(messages).attachments == ()


def image(url: Any = URL, **fields: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}, **fields}


REFUSED: dict[str, tuple[list[Any], str, str]] = {
    "a third image": ([image(), image(), image()], "2.image_url.url", "number 3"),
    "a video": ([{"type": "video_url", "video_url": {"url": URL}}], "0.video_url.url", "no videos"),
    "a file": ([image("file:///etc/passwd")], "0.image_url.url", "Only https"),
    "http": ([image("http://example.com/x")], "0.image_url.url", "Only https"),
    "loopback": ([image("https://127.0.0.1/x")], "0.image_url.url", "not a public host"),
    "a number": ([image(7)], "0.image_url.url", "a text"),
    "nothing": ([image(None)], "0.image_url.url", "a text"),
    "an empty text": ([image("")], "0.image_url.url", "a text"),
    "a type and no more": ([{"type": "image_url"}], "0.image_url", "a text"),
    "a list": ([{"type": "image_url", "image_url": [URL]}], "0.image_url", "a text"),
    "an uploaded file": ([{"type": "input_image", "file_id": "f"}], "0.image_url", "image_url"),
    "a document": ([{"type": "input_file", "file_url": URL}], "0", "not supported"),
    "data without base64": ([image("data:image/png,x")], "0.image_url.url", "data URL"),
    "data without a comma": ([image("data:image/png;base64")], "0.image_url.url", "data URL"),
    "large data": (
        [image("data:;base64," + base64.b64encode(bytes(1200)).decode())],
        "0.image_url.url",
        "MiB",
    ),
    "a PIL image": ([{"type": "image_pil", "image_pil": URL}], "0.image_pil", "JSON"),
    "a PIL image without a type": ([{"image_pil": URL}], "0.image_pil", "JSON"),
    "a PIL image of another type": (
        [{"type": "text", "text": "x", "image_pil": None}], "0.image_pil", "JSON",
    ),
    "tensors": ([{"type": "image_embeds", "image_embeds": "AAAA"}], "0.image_embeds", "Tensors"),
    "tensors of audio": ([{"audio_embeds": "AAAA"}], "0.audio_embeds", "Tensors"),
    "a name for the cache": ([image(uuid="logo")], "0.image_url.url", "uuid"),
    "a source of no kind": ([{"type": "image", "source": {"url": URL}}], "0.source.type", "url"),
    "a source that is a text": ([{"type": "image", "source": URL}], "0.source.type", "url"),
    "a source that is a file": (
        [{"type": "image", "source": {"type": "file", "file_id": "f"}}], "0.source.type", "url",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_is_refused_by_its_field(name: str) -> None:
    parts, field, words = REFUSED[name]
    with pytest.raises(InvalidRequestError, match=words) as caught:
        admit(user(*parts))
    assert caught.value.param == f"messages.1.content.{field}"


@pytest.mark.parametrize("count", [998, 999, 1000])
def test_data_may_be_as_large_as_is_said_and_not_a_byte_more(count: int) -> None:
    def data(count: int) -> dict[str, Any]:
        return image("data:image/png;base64," + base64.b64encode(bytes(count)).decode())

    assert admit(user(data(count))).attachments
    with pytest.raises(InvalidRequestError):
        admit(user(data(count + 3)))


def test_a_model_of_text_takes_none() -> None:
    for takes_tensors in (False, True):
        with pytest.raises(InvalidRequestError, match="takes no images") as caught:
            admit(user(image()), limits={}, takes_tensors=takes_tensors)
        assert caught.value.param == "messages.1.content.0.image_url.url"


def test_what_vllm_was_told_to_take_is_left_to_it() -> None:
    part = {"type": "image_embeds", "image_embeds": "AAAA"}
    (found,) = admit(user(part), takes_tensors=True, limits={"image": 0}).attachments
    assert found.content is None
    (found,) = admit(user(image(uuid="logo")), trusts=True).attachments
    assert found.uuid == "logo"


def test_a_failure_is_told_by_the_field_that_it_came_from() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    found = admit(user(image(), {"type": "image", "source": source}))
    assert found.field_of(URL) == "messages.1.content.0.image_url.url"
    assert found.field_of(DATA) == "messages.1.content.1.source.data"
    # Of a turn before this one, which the server has kept.
    assert found.field_of("https://example.com/y.png") == "messages"
