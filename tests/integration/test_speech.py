"""POST /v1/audio/*: what is refused, and clients that leave."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import tones
from tests.support.connection import posted
from tests.support.errors import assert_error
from tests.support.load import engine_load, is_idle
from tests.support.server import Server
from tests.support.sse import DONE, events
from tests.support.wait import wait_until

TRANSCRIBE, TRANSLATE = "/v1/audio/transcriptions", "/v1/audio/translations"
ROUTES = [TRANSCRIBE, TRANSLATE]
SPOKEN = tones.encode(tones.speech([[0, 1, 2]]))


@pytest.fixture(scope="module")
def talk() -> bytes:
    """Six minutes, a hundred clips; the engine hears two at a time."""
    return tones.encode(tones.speech([[0, 1, 2]] * 240), "mp3")


def send(server: Server, path: str = TRANSCRIBE, data: bytes = SPOKEN, **fields: Any) -> Any:
    return server.post(path, data=fields, files={"file": ("speech.wav", data)})


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "xx"),
        ("language", "English"),
        ("to_language", "xx"),
        ("response_format", "pdf"),
        ("response_format", "diarized_json"),
        ("temperature", "hot"),
        ("temperature", "nan"),
        ("temperature", "-1"),
        ("temperature", "3"),
        ("top_p", "7"),
        ("seed", "99999999999999999999"),
        ("repetition_penalty", "inf"),
        ("max_completion_tokens", "0"),
        ("n", "11"),
        ("stream", "maybe"),
        ("stream_include_usage", "true"),
        ("stream_continuous_usage_stats", "true"),
        ("vllm_xargs", "{"),
        ("include[]", "logprobs"),
        ("include", "logprobs"),
        ("timestamp_granularities[]", "word"),
        ("chunking_strategy", "vad"),
        ("chunking_strategy[type]", "server_vad"),
        ("known_speaker_names[]", "somebody"),
        ("keywords[]", "unigate"),
        ("languages[]", "en"),
        ("model", ["tones", "tones"]),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_served_is_named(
    speech_server: Server, path: str, field: str, value: Any
) -> None:
    if path == TRANSLATE and field == "response_format":
        value = "pdf"
    error = assert_error(send(speech_server, path, **{field: value}), 400, "invalid_request")
    assert error["param"] == field


@pytest.mark.parametrize("wanted", ["verbose_json", "srt", "vtt"])
def test_what_cannot_be_streamed_says_so(speech_server: Server, wanted: str) -> None:
    answer = send(speech_server, response_format=wanted, stream="true")
    assert assert_error(answer, 400, "invalid_request")["param"] == "response_format"
    answer = send(speech_server, use_beam_search="true", stream="true")
    assert assert_error(answer, 400, "invalid_request")["param"] == "stream"


def test_another_model_is_not_found(speech_server: Server) -> None:
    assert_error(send(speech_server, model="whisper-1"), 404, "model_not_found")
    assert send(speech_server, model="").status_code == 200


def test_a_prompt_beyond_the_context_is_refused(speech_server: Server) -> None:
    assert send(speech_server, prompt="one two").status_code == 200
    error = assert_error(send(speech_server, prompt="x " * 500), 400, "context_length_exceeded")
    assert error["param"] == "prompt"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"Hello, this is a text.", "not audio"),
        (tones.encode(tones.silence(401), "flac"), "up to 400 s"),
    ],
    ids=["empty", "text", "long"],
)
def test_a_file_that_cannot_be_heard_is_refused(
    speech_server: Server, data: bytes, says: str
) -> None:
    error = assert_error(send(speech_server, data=data), 400, "invalid_request")
    assert error["param"] == "file"
    assert says in error["message"]


@pytest.mark.parametrize("path", ROUTES)
def test_a_file_must_be_there_and_be_a_file(speech_server: Server, path: str) -> None:
    elsewhere = {"audio": ("speech.wav", SPOKEN)}
    for fields in ({}, {"file": "a text"}):
        answer = speech_server.post(path, data=fields, files=elsewhere)
        error = assert_error(answer, 400, "invalid_request")
        assert error["param"] == "file"


def test_what_is_too_large_is_refused(speech_server: Server) -> None:
    large = bytes((2 << 20) + 1)
    error = assert_error(send(speech_server, data=large), 413, "request_too_large")
    assert error["param"] == "file"
    error = assert_error(send(speech_server, prompt="x" * 70_000), 413, "request_too_large")
    assert error["param"] == "prompt"


def test_what_will_be_too_large_is_refused_before_it_is_sent(speech_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", speech_server.port), timeout=10) as connection:
        head = f"POST {TRANSCRIBE} HTTP/1.1\r\nhost: x\r\ncontent-length: {4 << 20}\r\n"
        kind = "content-type: multipart/form-data; boundary=edge\r\n\r\n"
        connection.sendall((head + kind).encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"request_too_large" in answer


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("audio/wav", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_request"),
        ("multipart/form-data; boundary=other", 400, "invalid_request"),
    ],
)
def test_what_is_no_form_is_refused(
    speech_server: Server, kind: str, status: int, code: str
) -> None:
    answer = speech_server.post(TRANSCRIBE, content=SPOKEN, headers={"content-type": kind})
    assert_error(answer, status, code)


def test_a_route_of_another_kind_of_model_says_so(server: Server, speech_server: Server) -> None:
    for path in ROUTES:
        error = assert_error(send(server, path), 404, "task_not_supported")
        assert "transcribes speech" in error["message"]
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"):
        error = assert_error(speech_server.post(path, {}), 404, "task_not_supported")
        assert "generates text" in error["message"]
    assert_error(speech_server.post("/v1/embeddings", {}), 404, "task_not_supported")


def test_the_same_audio_is_the_same_to_the_model_and_another_is_not(speech_server: Server) -> None:
    def chance(data: bytes) -> float:
        answer = send(speech_server, data=data, response_format="verbose_json", language="en")
        (segment,) = answer.json()["segments"]
        logprob: float = segment["avg_logprob"]
        return logprob

    louder = tones.encode(tones.speech([[0, 1, 2]]) * 1.5)
    assert chance(SPOKEN) == pytest.approx(chance(SPOKEN), abs=1e-6)
    assert chance(SPOKEN) != pytest.approx(chance(louder), abs=1e-6)


def test_a_streamed_translation_has_the_events_of_a_transcription(speech_server: Server) -> None:
    german = tones.encode(tones.speech([[0, 1, 2]], "de"))
    *deltas, done, end = events(send(speech_server, TRANSLATE, german, stream="true"))
    assert "".join(event["delta"] for event in deltas) == done["text"] == "one two three"
    assert end == DONE


def test_probes_are_answered_while_audio_is_decoded(
    speech_server: Server, slow: float, talk: bytes
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, speech_server, data=talk, max_completion_tokens="1")
        longest_s = 0.0
        while not answer.done():
            asked_s = time.monotonic()
            assert speech_server.get("/v1/health/live").status_code == 200
            longest_s = max(longest_s, time.monotonic() - asked_s)
        assert answer.result().status_code == 200
    assert longest_s <= 0.5 * slow


def heard(server: Server) -> float:
    """Clips that the engine has heard to their end."""
    counts = re.findall(
        r'^vllm:request_success_total\{.*finished_reason="stop".*\} ([0-9.]+)$',
        server.get("/v1/metrics").text,
        re.MULTILINE,
    )
    return sum(map(float, counts))


@pytest.mark.parametrize("fields", [{}, {"stream": "true"}, {"response_format": "srt"}], ids=str)
def test_a_client_that_leaves_is_no_longer_transcribed_for(
    speech_server: Server, slow: float, talk: bytes, fields: dict[str, str]
) -> None:
    before = heard(speech_server)
    files = {"file": ("speech.mp3", talk)}
    with posted(speech_server, TRANSCRIBE, data=fields, files=files):
        wait_until(
            lambda: engine_load(speech_server)["waiting"] > 60,
            within_s=20,
            what="clips are waiting",
        )
    wait_until(lambda: is_idle(speech_server), within_s=20, what="the engine is idle again")
    assert heard(speech_server) - before < 60


def test_a_client_that_leaves_while_it_sends_is_forgotten(speech_server: Server) -> None:
    head = (
        f"POST {TRANSCRIBE} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n"
        "content-type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n"
    )
    with socket.create_connection(("127.0.0.1", speech_server.port)) as connection:
        connection.sendall(head.encode())
    assert send(speech_server).status_code == 200
    wait_until(lambda: is_idle(speech_server), within_s=5, what="nothing is in flight")
