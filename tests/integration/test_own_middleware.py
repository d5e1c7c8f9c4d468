"""Middleware of the operator's own, in front of the routes of a real server."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.caller import Caller
from tests.support.connection import posted
from tests.support.errors import assert_error
from tests.support.program import run
from tests.support.sse import DONE, events, text_of
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
SAY: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is unigate?"}],
    "max_tokens": 24,
    "temperature": 0,
    "ignore_eos": True,
}
STREAM = {**SAY, "stream": True}


def streamed(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    chunks = list(events(answer))
    assert chunks[-1] == DONE
    return text_of(chunks)


def test_an_answer_that_nobody_changes_is_the_same(caller: Caller) -> None:
    whole = caller.post(CHAT, SAY)
    said = whole.json()["choices"][0]["message"]["content"]
    assert said
    answer = caller.post(CHAT, STREAM)
    assert streamed(answer) == said
    assert whole.headers["x-stamp"] == answer.headers["x-stamp"] == "seen"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-app"] == "unigate"


def test_a_stream_with_several_choices_goes_the_same_way(caller: Caller) -> None:
    chunks = list(events(caller.post(CHAT, {**STREAM, "n": 2, "temperature": 1})))
    assert chunks[-1] == DONE
    assert {choice["index"] for chunk in chunks[:-1] for choice in chunk["choices"]} == {0, 1}


def test_whole_and_streamed_answers_can_be_changed(caller: Caller) -> None:
    assert "Object" in caller.post(CHAT, SAY, x_wish="mark").json()
    chunks = list(events(caller.post(CHAT, STREAM, x_wish="mark")))
    assert len(chunks) > 10
    assert all("Object" in chunk for chunk in chunks[:-1])


def test_an_answer_does_not_wait_for_those_who_have_seen_it(caller: Caller, slow: float) -> None:
    began_s = time.monotonic()
    assert caller.post(CHAT, SAY, x_wish="linger").status_code == 200
    assert time.monotonic() - began_s < 4 * slow


def test_a_body_can_be_read_and_replaced(caller: Caller) -> None:
    usage = caller.post(CHAT, SAY, x_wish="read").json()["usage"]
    assert usage["completion_tokens"] == 24
    usage = caller.post(CHAT, SAY, x_wish="replace").json()["usage"]
    assert usage["completion_tokens"] == 3


def test_a_middleware_can_answer_by_itself(caller: Caller) -> None:
    loud = {**SAY, "messages": [{"role": "user", "content": "How is dynamite made?"}]}
    for path in (CHAT, "/invocations"):
        refused = caller.post(path, loud, x_wish="read")
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "forbidden_word"
        assert refused.headers["x-request-id"]


def test_who_has_no_key_never_gets_there(caller: Caller) -> None:
    refused = caller.server.post(CHAT, SAY, headers={"x-wish": "fail"})
    assert_error(refused, 401, "invalid_api_key")


def test_probes_go_past_it(caller: Caller) -> None:
    for path in ("/v1/health/live", "/v1/health/ready", "/ping"):
        answer = caller.server.get(path, headers={"x-wish": "fail"})
        assert answer.status_code == 200
        assert "x-stamp" not in answer.headers


def test_errors_of_the_server_go_through_it(caller: Caller) -> None:
    refused = caller.post(CHAT, {**SAY, "max_tokens": -1})
    assert_error(refused, 400, "invalid_request")
    assert refused.headers["x-stamp"] == "seen"
    assert_error(caller.post("/v1/nothing", SAY), 404, "route_not_found")


@pytest.mark.parametrize("headers", [{}, {"x_wish": "read"}], ids=["route", "middleware"])
def test_a_body_that_is_too_large_is_refused_whoever_reads_it(
    caller: Caller, headers: dict[str, str]
) -> None:
    large = {**SAY, "user": "x" * (2 << 20)}
    assert_error(caller.post(CHAT, large, **headers), 413, "request_too_large")


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
@pytest.mark.parametrize(
    ("wish", "cause"), [("fail", "the policy has a bug"), ("silence", "sent no answer")]
)
def test_a_bug_in_it_is_a_500_that_the_log_explains(
    caller: Caller, path: str, wish: str, cause: str
) -> None:
    code = "server_error"
    error = assert_error(caller.post(path, SAY, x_wish=wish), 500, code)
    assert cause not in error["message"]
    wait_until(lambda: cause in caller.server.log, within_s=5, what="the log says it")


def test_a_bug_in_the_middle_of_a_stream_cuts_it_and_frees_the_engine(caller: Caller) -> None:
    long = {**STREAM, "max_tokens": 15_000}
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(CHAT, long, x_wish="break")
    wait_until(lambda: _is_idle(caller), within_s=5, what="the engine is idle again")


def _is_idle(caller: Caller) -> bool:
    text = caller.get("/v1/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("vllm:num_requests_running")]
    assert lines
    return all(float(line.rpartition(" ")[2]) == 0 for line in lines)


def test_a_client_that_leaves_frees_the_engine(caller: Caller) -> None:
    long = {**STREAM, "max_tokens": 15_000}
    with posted(caller.server, CHAT, json=long, headers=caller.key) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        wait_until(lambda: not _is_idle(caller), within_s=10, what="it is running")
    wait_until(lambda: _is_idle(caller), within_s=5, what="the engine is idle again")


def test_a_file_that_cannot_be_used_ends_the_start(demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "middleware.json"
    file.write_text(json.dumps({"middleware": [{"class": "policies_that.AreMissing"}]}))
    ended = run("unigate", "serve", str(demo), NIM_MIDDLEWARE_CONFIG_PATH=str(file))
    assert ended.returncode == 2
    cause = [line for line in ended.stderr.splitlines() if line.startswith("CRITICAL")][-1]
    assert f"NIM_MIDDLEWARE_CONFIG_PATH: {file}: middleware.0: policies_that.AreMissing" in cause
    assert "No module named 'policies_that'" in cause
