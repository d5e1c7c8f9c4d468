"""What the model is given: tokens and rendered prompts, on the real engine."""

from typing import Any

import pytest

from tests.support.errors import assert_error
from tests.support.server import Server

MESSAGES = [{"role": "user", "content": "What is unigate?"}]


def test_tokens_of_a_text_come_back_as_the_text(server: Server) -> None:
    text = "The server drains, then stops: naïve café ☕."
    tokens = server.post("/tokenize", {"prompt": text, "return_token_strs": True}).json()
    assert tokens["count"] == len(tokens["tokens"]) == len(tokens["token_strs"])
    assert tokens["max_model_len"] >= 8192
    back = server.post("/detokenize", {"tokens": tokens["tokens"]}).json()
    assert back == {"prompt": text}


def test_fields_that_are_null_are_none(server: Server) -> None:
    plain = server.post("/tokenize", {"prompt": "one"}).json()
    assert server.post("/tokenize", {"prompt": "one", "messages": None}).json() == plain


def test_tokens_of_a_chat_are_those_that_are_counted(server: Server) -> None:
    tokens = server.post("/tokenize", {"messages": MESSAGES}).json()
    body = {"messages": MESSAGES, "max_tokens": 1}
    usage = server.post("/v1/chat/completions", body).json()["usage"]
    assert tokens["count"] == usage["prompt_tokens"]


def test_a_rendered_chat_is_what_tokenize_says(server: Server) -> None:
    rendered = server.post("/v1/chat/completions/render", {"messages": MESSAGES}).json()
    tokens = server.post("/tokenize", {"messages": MESSAGES}).json()
    assert rendered["token_ids"] == tokens["tokens"]
    assert rendered["sampling_params"]["temperature"] > 0


def test_rendered_completions_are_as_many_as_prompts(server: Server) -> None:
    body = {"prompt": ["one", "two"], "max_tokens": 3}
    rendered = server.post("/v1/completions/render", body).json()
    assert len(rendered) == 2
    assert all(entry["sampling_params"]["max_tokens"] == 3 for entry in rendered)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/tokenize", {}, 400, "invalid_request"),
        ("/tokenize", {"prompt": 7}, 400, "invalid_request"),
        ("/tokenize", {"prompt": "x", "model": "gpt-99"}, 404, "model_not_found"),
        ("/tokenize", {"messages": "x"}, 400, "invalid_request"),
        ("/detokenize", {"tokens": ["x"]}, 400, "invalid_request"),
        ("/detokenize", {"tokens": [-1]}, 400, "invalid_request"),
        ("/detokenize", {"tokens": [10**9]}, 400, "invalid_request"),
        ("/v1/chat/completions/render", {"messages": []}, 400, "invalid_request"),
        ("/v1/chat/completions/render", {"messages": MESSAGES, "model": "x"}, 404,
         "model_not_found"),
        ("/v1/completions/render", {"prompt": []}, 400, "invalid_request"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_at(
    server: Server, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    assert_error(server.post(path, body), status, code)
