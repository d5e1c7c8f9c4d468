"""Each request has one line in the log: who asked for what, and what it cost."""

import re
import shlex
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.connection import posted
from tests.support.server import Server
from tests.support.wait import wait_until

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell me a story."}],
    "max_tokens": 8,
    "ignore_eos": True,
}


def line_of(server: Server, request_id: str) -> dict[str, str]:
    """The fields of the line that a request has left."""
    found: list[str] = []

    def is_there() -> bool:
        found[:] = re.findall(rf"request (request_id={request_id} .*)", server.log)
        return bool(found)

    wait_until(is_there, within_s=10, what="the line is there")
    assert len(found) == 1
    return dict(word.split("=", 1) for word in shlex.split(found[0]))


def ask(server: Server, path: str, body: dict[str, Any]) -> dict[str, str]:
    """The line of a request."""
    request_id = uuid.uuid4().hex
    server.post(path, body, headers={"x-request-id": request_id})
    return line_of(server, request_id)


def test_readers_are_told_of_every_field(server: Server) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme.partition("## Logs")[2].partition("## ")[0]
    told = set(re.findall(r"`(\w+)`", table))
    assert ask(server, CHAT, ASK).keys() <= told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_it_has_tokens_and_times(server: Server, stream: bool) -> None:
    usage = server.post(CHAT, ASK).json()["usage"]
    line = ask(server, CHAT, ASK | {"stream": stream})
    assert (line["method"], line["path"], line["status"]) == ("POST", CHAT, "200")
    assert line["outcome"] == "answered"
    assert line["model"] == server.get("/v1/models").json()["data"][0]["id"]
    assert int(line["prompt_tokens"]) == usage["prompt_tokens"]
    assert int(line["output_tokens"]) == 8
    assert 0 <= float(line["queued_ms"]) <= float(line["ttft_ms"]) <= float(line["ms"])


@pytest.mark.parametrize(
    ("path", "body", "output_tokens"),
    [
        (CHAT, ASK | {"n": 3}, 24),
        (CHAT, ASK | {"n": 3, "stream": True, "temperature": 1}, 24),
        (CHAT, ASK | {"logprobs": True, "stream": True}, 8),
        ("/v1/completions", {"prompt": ["One", "Two"], "max_tokens": 5, "ignore_eos": True}, 10),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 4}, 4),
        ("/v1/messages", {"messages": ASK["messages"], "max_tokens": 4, "model": ""}, 4),
    ],
    ids=["n", "n-streamed", "logprobs", "prompts", "responses", "messages"],
)
def test_all_that_was_generated_counts(
    server: Server, path: str, body: dict[str, Any], output_tokens: int
) -> None:
    name = server.get("/v1/models").json()["data"][0]["id"]
    line = ask(server, path, body | ({"model": name} if "model" in body else {}))
    assert line["status"] == "200"
    assert int(line["output_tokens"]) <= output_tokens
    if "ignore_eos" in body:
        assert int(line["output_tokens"]) == output_tokens
    assert int(line["prompt_tokens"]) > 0


def test_who_leaves_has_a_line_with_what_was_generated_for_nothing(server: Server) -> None:
    request_id = uuid.uuid4().hex
    asked = ASK | {"max_tokens": 2000, "stream": True}
    headers = {"x-request-id": request_id}
    with posted(server, CHAT, json=asked, headers=headers) as connection:
        while b"data: " not in connection.recv(65536):
            pass
    line = line_of(server, request_id)
    assert line["outcome"] == "abandoned"
    assert 0 < int(line["output_tokens"]) < 2000


def test_what_was_refused_has_cost_nothing(server: Server) -> None:
    line = ask(server, CHAT, ASK | {"max_tokens": -1})
    assert line["status"] == "400"
    assert "prompt_tokens" not in line


def test_what_clients_make_up_is_not_in_it(server: Server) -> None:
    planted = f"planted-{uuid.uuid4().hex}"
    messages = [{"role": "user", "content": planted}]
    ask(server, f"{CHAT}?key={planted}", ASK | {"messages": messages})
    ask(server, CHAT, ASK | {"model": planted})
    ask(server, CHAT, ASK | {"user": planted, planted: 1})
    assert planted not in server.log
