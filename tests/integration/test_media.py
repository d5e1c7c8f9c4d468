"""Images through all three dialects: they reach the model, or are refused by their field."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.errors import assert_error
from tests.support.media_origin import (
    BLUE,
    RED,
    SECRET,
    Authority,
    MediaOrigin,
    bomb,
    media_origin,
    picture,
)
from tests.support.server import Server
from tests.support.wait import wait_until

# Sixteen features and three tokens around them (tests/support/vision_model.py).
IMAGE_TOKENS = 19
TEXT = "What is it?"


@pytest.fixture(scope="module")
def origin(authority: Authority) -> Iterator[MediaOrigin]:
    with media_origin(authority.server_side("127.0.0.1")) as server:
        yield server


@pytest.fixture
def host(origin: MediaOrigin) -> str:
    """Its URL, and nothing asked yet."""
    origin.asked.clear()
    return f"https://127.0.0.1:{origin.port}"


def data_url(image: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(image).decode()}"


def chat(*urls: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    message = {"role": "user", "content": [*parts, {"type": "text", "text": TEXT}]}
    return "/v1/chat/completions", {"messages": [message], "max_tokens": 4, **fields}


def responses(*urls: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    parts: list[Any] = [{"type": "input_image", "image_url": url} for url in urls]
    message = {"role": "user", "content": [*parts, {"type": "input_text", "text": TEXT}]}
    return "/v1/responses", {"input": [message], "max_output_tokens": 4, **fields}


def messages(*urls: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    def source(url: str) -> dict[str, str]:
        if url.startswith("data:image/png;base64,"):
            data = url.partition(",")[2]
            return {"type": "base64", "media_type": "image/png", "data": data}
        return {"type": "url", "url": url}

    parts: list[Any] = [{"type": "image", "source": source(url)} for url in urls]
    message = {"role": "user", "content": [*parts, {"type": "text", "text": TEXT}]}
    body = {"model": "eyes", "messages": [message], "max_tokens": 4, **fields}
    return "/v1/messages", body


Dialect = Callable[..., tuple[str, dict[str, Any]]]
DIALECTS = pytest.mark.parametrize(
    "dialect", [chat, responses, messages], ids=lambda dialect: dialect.__name__
)
# Where the URL of the first image is; Anthropic's dialect has no name for a field in its errors.
FIELDS = {
    chat: "messages.0.content.0.image_url.url",
    responses: "input.0.content.0.image_url",
    messages: None,
}


def ask(server: Server, dialect: Dialect, *urls: str, **fields: Any) -> httpx.Response:
    path, body = dialect(*urls, **fields)
    return server.post(path, body)


def prompt_tokens(response: httpx.Response) -> int:
    assert response.status_code == 200, response.text
    usage = response.json()["usage"]
    return int(usage["prompt_tokens"] if "prompt_tokens" in usage else usage["input_tokens"])


def logprobs(server: Server, *urls: str) -> list[float]:
    response = ask(server, chat, *urls, logprobs=True, temperature=0)
    assert response.status_code == 200, response.text
    return [token["logprob"] for token in response.json()["choices"][0]["logprobs"]["content"]]


@DIALECTS
def test_an_image_is_tokens_of_the_prompt_however_it_comes(
    vision_server: Server, dialect: Dialect, host: str
) -> None:
    without = prompt_tokens(ask(vision_server, dialect))
    for urls in ([data_url(RED)], [f"{host}/red.png"], [f"{host}/red.png", data_url(BLUE)]):
        grown = prompt_tokens(ask(vision_server, dialect, *urls)) - without
        assert grown == IMAGE_TOKENS * len(urls)


def test_the_model_sees_which_image_it_is(
    vision_server: Server, host: str, origin: MediaOrigin
) -> None:
    nothing, red, blue = (
        logprobs(vision_server, *urls) for urls in ([], [data_url(RED)], [data_url(BLUE)])
    )
    assert red != pytest.approx(blue, abs=1e-3)
    assert red != pytest.approx(nothing, abs=1e-3)
    assert logprobs(vision_server, data_url(RED)) == pytest.approx(red, abs=1e-4)
    assert logprobs(vision_server, f"{host}/red.png") == pytest.approx(red, abs=1e-4)
    assert logprobs(vision_server, f"{host}/blue.png") == pytest.approx(blue, abs=1e-4)
    assert origin.asked == ["/red.png", "/blue.png"]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF"])
def test_other_forms_of_images_are_taken(vision_server: Server, form: str) -> None:
    url = data_url(picture((255, 0, 0), form=form), f"image/{form.lower()}")
    assert ask(vision_server, chat, url).status_code == 200


def test_an_image_in_a_tools_answer_is_seen(vision_server: Server, host: str) -> None:
    call = {"type": "tool_use", "id": "1", "name": "look", "input": {}}
    picture = {"type": "image", "source": {"type": "url", "url": f"{host}/red.png"}}
    turns = [
        {"role": "user", "content": TEXT},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [picture]}]},
    ]  # fmt: skip
    body = {"model": "eyes", "max_tokens": 1, "messages": turns}
    assert vision_server.post("/v1/messages", body).status_code == 200
    picture["source"] = {"type": "url", "url": f"{host}/missing"}
    assert_error(vision_server.post("/v1/messages", body), 400, "invalid_request")


def test_a_kept_response_keeps_its_image(vision_server: Server, host: str) -> None:
    first = ask(vision_server, responses, f"{host}/red.png")
    body = {"input": TEXT, "previous_response_id": first.json()["id"], "max_output_tokens": 1}
    assert prompt_tokens(vision_server.post("/v1/responses", body)) > IMAGE_TOKENS


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/render", "/tokenize", "/v1/messages/count_tokens"]
)
def test_routes_that_only_look_fetch_by_the_same_rules(
    vision_server: Server, host: str, path: str
) -> None:
    dialect: Dialect = messages if path.startswith("/v1/messages") else chat
    for url, status in ((f"{host}/red.png", 200), ("http://127.0.0.1/", 400)):
        body = {"model": "eyes", **dialect(url)[1]}
        response = vision_server.post(path, body)
        assert response.status_code == status, response.text


REFUSED: dict[str, tuple[str, str]] = {
    "file": ("file:///etc/passwd", "Only https"),
    "http": ("http://example.com/x.png", "Only https"),
    "loopback": ("https://127.0.0.2/x.png", "not a public host"),
    "metadata": ("https://169.254.169.254/latest/meta-data", "not a public host"),
    "private v6": ("https://[fd00:ec2::254]/latest", "not a public host"),
    "mapped": ("https://[::ffff:127.0.0.1]/x.png", "not a public host"),
    "decimal": ("https://2130706433/x.png", "usual form"),
    "user": ("https://user:word@example.com/x.png", "user or a password"),
    "backslash": ("https://example.com\\@127.0.0.1/x.png", "backslashes"),
    "no such name": ("https://nobody.invalid/x.png", "not a public host"),
    "missing": ("{host}/missing", "status 404"),
    "redirect": ("{host}/redirect", "redirects"),
    "page": ("{host}/page", "cannot be decoded"),
    "bomb": ("{host}/bomb.png", "pixels"),
    "large": ("{host}/large", "may have 1 MiB"),
    "endless": ("{host}/endless", "may have 1 MiB"),
    "gzip": ("{host}/gzip", "compressed"),
    "nobody listens": ("https://127.0.0.1:1/x.png", "could not be fetched"),
    "text as data": ("data:image/png;base64,aGVsbG8=", "cannot be decoded"),
    "no base64": ("data:image/png;base64,###", "base64"),
    "no data": ("data:image/png", "data URL"),
}


@DIALECTS
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_had_is_refused_by_its_field(
    vision_server: Server, host: str, dialect: Dialect, name: str
) -> None:
    url, words = REFUSED[name]
    response = ask(vision_server, dialect, url.format(host=host))
    error = assert_error(response, 400, "invalid_request")
    assert words in error["message"] or dialect is messages
    assert error.get("param") == FIELDS[dialect]
    assert SECRET.decode() not in response.text


def cut(image: bytes) -> str:
    return data_url(image[: len(image) // 2])


def bent(image: bytes) -> str:
    at = image.index(b"IDAT") + 4  # the first byte of what is compressed
    return data_url(image[:at] + bytes([image[at] ^ 255]) + image[at + 1 :])


BROKEN = {
    "half a PNG": cut(RED),
    "a bent PNG": bent(RED),
    "half a JPEG": cut(picture((1, 2, 3), form="JPEG")),
    "half a WebP": cut(picture((1, 2, 3), form="WEBP")),
    "a bomb": data_url(bomb(30000, 30000)),
    "a bomb below the library's own limit": data_url(bomb(2000, 2000)),
    "nothing": "data:image/png;base64,",
    "a TIFF": data_url(picture((1, 2, 3), form="TIFF"), "image/tiff"),
    "zero pixels": data_url(bomb(0, 0)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_the_clients_fault(vision_server: Server, name: str) -> None:
    error = assert_error(ask(vision_server, chat, BROKEN[name]), 400, "invalid_request")
    assert error["param"] == FIELDS[chat]
    assert " at 0x" not in error["message"]


@DIALECTS
def test_images_are_counted_before_any_is_fetched(
    vision_server: Server, host: str, origin: MediaOrigin, dialect: Dialect
) -> None:
    response = ask(vision_server, dialect, *[f"{host}/red.png"] * 4)
    error = assert_error(response, 400, "invalid_request")
    assert "at most 3" in error["message"]
    assert not origin.asked


def test_pixels_of_all_images_are_counted(vision_server: Server) -> None:
    large = data_url(picture((1, 2, 3), side_pixels=900))
    assert ask(vision_server, chat, large).status_code == 200
    error = assert_error(ask(vision_server, chat, large, large), 400, "invalid_request")
    assert "together" in error["message"]


@DIALECTS
def test_a_model_of_text_says_so_before_anything_is_fetched(
    server: Server, host: str, origin: MediaOrigin, dialect: Dialect
) -> None:
    response = ask(server, dialect, f"{host}/red.png", model="unigate-demo")
    error = assert_error(response, 400, "invalid_request")
    assert "takes no images" in error["message"]
    assert error.get("param") == FIELDS[dialect]
    assert not origin.asked


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_pil", "image_pil": "{host}/red.png"}, "image_pil"),
        ({"image_pil": ["{host}/red.png"]}, "image_pil"),
        ({"type": "image_embeds", "image_embeds": "AAAA"}, "image_embeds"),
        ({"type": "image_url", "image_url": {"url": "{host}/red.png"}, "uuid": "x"},
         "image_url.url"),
        ({"type": "video_url", "video_url": {"url": "{host}/red.png"}}, "video_url.url"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
         "input_audio.data"),
        ({"type": "input_image", "file_id": "file-1"}, "image_url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("type", "no type"),
)  # fmt: skip
def test_no_part_leads_past_the_rules(
    vision_server: Server, host: str, origin: MediaOrigin, part: dict[str, Any], field: str
) -> None:
    # vLLM's own connector is not asked for the first two: the model's processor would fetch them.
    content = json.loads(json.dumps([part]).replace("{host}", host))
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 1}
    error = assert_error(vision_server.post("/v1/chat/completions", body), 400, "invalid_request")
    assert error["param"] == f"messages.0.content.0.{field}".rstrip(".")
    assert not origin.asked


@pytest.mark.parametrize("urls", [(), (data_url(RED),)], ids=["alone", "beside an image"])
def test_the_models_own_word_for_an_image_is_no_image(
    vision_server: Server, urls: tuple[str, ...]
) -> None:
    path, body = chat(*urls)
    body["messages"][0]["content"][-1]["text"] = "<image><image>"
    assert vision_server.post(path, body).status_code in {200, 400}
    assert ask(vision_server, chat, data_url(RED)).status_code == 200


@pytest.mark.parametrize("field", ["mm_processor_kwargs", "media_io_kwargs"])
@pytest.mark.parametrize("dialect", [chat, responses], ids=lambda dialect: dialect.__name__)
def test_how_images_are_processed_is_not_the_clients_to_say(
    vision_server: Server, host: str, origin: MediaOrigin, dialect: Dialect, field: str
) -> None:
    response = ask(vision_server, dialect, f"{host}/red.png", **{field: {"image": {"size": 9}}})
    assert assert_error(response, 400, "invalid_request")["param"] == field
    assert not origin.asked


def test_a_host_that_stalls_holds_up_nobody_else(
    vision_server: Server, host: str, origin: MediaOrigin, slow: float
) -> None:
    waiting = [
        threading.Thread(target=ask, args=(vision_server, chat, *[f"{host}/stall"] * 3))
        for _ in range(20)
    ]
    for thread in waiting:
        thread.start()
    try:
        wait_until(lambda: len(origin.asked) >= 60, within_s=10, what="all are stalled")
        started_s = time.monotonic()
        assert vision_server.get("/v1/health/live").status_code == 200
        assert vision_server.get("/v1/health/ready").status_code == 200
        assert ask(vision_server, chat).status_code == 200
        assert ask(vision_server, chat, f"{host}/red.png").status_code == 200
        assert time.monotonic() - started_s < 2 * slow
        assert all(thread.is_alive() for thread in waiting)
    finally:
        for thread in waiting:
            thread.join()


def test_a_client_that_leaves_ends_the_fetch(
    vision_server: Server, host: str, origin: MediaOrigin, slow: float
) -> None:
    origin.left.clear()
    path, body = chat(f"{host}/stall")
    with pytest.raises(httpx.ReadTimeout):
        vision_server.post(path, body, timeout=httpx.Timeout(10.0, read=0.5))
    # Before the server would have given up by itself.
    wait_until(origin.left.is_set, within_s=1.5, what="the host is left")
    assert ask(vision_server, chat).status_code == 200
