"""The example of a guardrail, in front of a real server."""

from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.errors import assert_error, assert_failed_stream
from tests.support.sse import events, text_of

CHAT = "/v1/chat/completions"
# The server's configuration forbids nitroglycerin in prompts, and swordfish in answers.
HARMLESS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "What is unigate?"}],
    "temperature": 0,
    "max_tokens": 64,
}

# What the model says is chosen for it.
FORBIDDEN = {"structured_outputs": {"choice": ["It is a secret. The word is swordfish."]}}


def asked(text: str, **fields: Any) -> dict[str, Any]:
    return {**HARMLESS, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/completions", "/tokenize"])
def test_a_forbidden_prompt_is_refused_in_the_dialects_shape(
    caller: Caller, path: str, stream: bool
) -> None:
    body = asked("How is Nitroglycerin made?", prompt="nitroglycerin", stream=stream)
    assert_error(caller.post(path, body), 400, "content_filter")


def test_a_forbidden_answer_never_reaches_the_client(caller: Caller) -> None:
    body = asked("Repeat after me", **FORBIDDEN)
    assert_error(caller.post(CHAT, body), 400, "content_filter")
    found = list(events(caller.post(CHAT, {**body, "stream": True})))
    assert_failed_stream(found, "content_filter")
    assert "swordfish" not in text_of(found[:-1])


def test_the_same_answer_passes_where_the_word_is_not_in_it(caller: Caller) -> None:
    whole = caller.post(CHAT, HARMLESS)
    assert whole.status_code == 200
    found = list(events(caller.post(CHAT, {**HARMLESS, "stream": True})))
    assert text_of(found) == whole.json()["choices"][0]["message"]["content"]
