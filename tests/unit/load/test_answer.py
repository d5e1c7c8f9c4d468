"""What a stream says of its tokens, their times and its end."""

import json

import pytest

from load.answer import StreamedAnswer


def openai(*choices: dict[str, object], **fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": choices, **fields}).encode() + b"\n\n"


def token(index: int = 0, /, **delta: object) -> bytes:
    return openai({"index": index, "delta": delta})


def anthropic(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def read(*pieces: tuple[float, bytes], asked_s: float = 10.0) -> StreamedAnswer:
    answer = StreamedAnswer(asked_s)
    for now_s, piece in pieces:
        answer.take(piece, now_s)
    return answer


DONE = b"data: [DONE]\n\n"


def test_the_first_token_is_the_first_that_has_text() -> None:
    answer = read(
        (11.0, token(role="assistant", content="")),
        (12.0, token(content="a")),
        (12.5, token(content="b")),
        (13.0, openai({"index": 0, "delta": {}, "finish_reason": "length"})),
        (13.0, openai(usage={"completion_tokens": 2}) + DONE),
    )
    assert answer.first_s == 2.0
    assert answer.gaps_s == [0.5]
    assert answer.tokens == 2
    assert answer.failure == ""


def test_tokens_that_come_together_have_no_gap() -> None:
    answer = read((11.0, token(content="a")), (12.0, token(content="b") + token(content="c")))
    assert answer.gaps_s == [1.0, 0.0]


def test_gaps_are_those_of_each_choice() -> None:
    answer = read(
        (11.0, token(0, content="a")),
        (11.5, token(1, content="b")),
        (13.0, token(0, content="c")),
    )
    assert answer.gaps_s == [2.0]


@pytest.mark.parametrize(
    "delta",
    [{"reasoning": "x"}, {"reasoning_content": "x"}, {"tool_calls": [{"index": 0}]}],
    ids=lambda delta: next(iter(delta)),
)
def test_thoughts_and_tools_are_tokens_too(delta: dict[str, object]) -> None:
    assert read((11.0, token(**delta))).first_s == 1.0


def test_a_completion_has_its_text_in_the_choice() -> None:
    answer = read((11.0, openai({"index": 0, "text": "x"})), (12.0, DONE))
    assert answer.first_s == 1.0
    assert answer.failure == ""


def test_a_message_of_anthropics_dialect() -> None:
    answer = read(
        (10.5, anthropic("message_start", message={"usage": {"output_tokens": 0}})),
        (10.5, anthropic("ping")),
        (10.5, b"event: of-another-release\ndata: {}\n\n"),
        (11.0, anthropic("content_block_delta", index=0, delta={"type": "x", "thinking": "a"})),
        (11.5, anthropic("content_block_delta", index=1, delta={"type": "x", "text": "b"})),
        (12.0, anthropic("message_delta", delta={}, usage={"output_tokens": 2})),
        (12.0, anthropic("message_stop")),
    )
    assert (answer.first_s, answer.gaps_s, answer.tokens) == (1.0, [0.5], 2)
    assert answer.failure == ""


def test_a_response_of_openais_newer_dialect() -> None:
    def event(name: str, **fields: object) -> bytes:
        return anthropic(f"response.{name}", **fields)

    answer = read(
        (10.5, event("created", response={"usage": None})),
        (10.5, event("output_item.added", item={"id": "rs_1"})),
        (11.0, event("reasoning_text.delta", delta="a")),
        (11.5, event("output_text.delta", delta="b")),
        (12.0, event("output_text.done", text="b")),
        (12.5, event("incomplete", response={"usage": {"output_tokens": 2}})),
    )
    assert (answer.first_s, answer.gaps_s, answer.tokens) == (1.0, [0.5], 2)
    assert answer.failure == ""


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "engine died"}}\n\n',
        anthropic("error", error={"message": "engine died"}),
        anthropic("error", code="engine_dead", message="engine died"),
    ],
    ids=["openai", "anthropic", "responses"],
)
def test_an_error_in_the_stream_is_a_failure_though_it_ends_well(event: bytes) -> None:
    assert "engine died" in read((11.0, token(content="a")), (12.0, event + DONE)).failure


def test_a_stream_without_its_end_is_a_failure() -> None:
    assert "cut" in read((11.0, token(content="a"))).failure


def test_what_is_no_json_is_a_failure() -> None:
    assert "no JSON" in read((11.0, b"data: {\n\n" + DONE)).failure
