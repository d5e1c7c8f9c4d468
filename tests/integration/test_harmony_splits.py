"""gpt-oss's answers, which are messages in channels, mean the same however they are cut."""

import json
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_harmony import (  # type: ignore[import-untyped]  # it says nothing of its types
    HarmonyEncodingName,
    load_harmony_encoding,
)
from vllm.parser import ParserManager

from engine.vllm.steady import steady
from tests.integration.test_parser_splits import (
    ALL,
    CALLS,
    EMPTY,
    HARD,
    ONE,
    SIZES,
    THOUGHTS,
    WORDS,
    bounded,
)
from tests.support.answers import Call, Reader

MARKS = (
    "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>",
)  # fmt: skip
_START = "<|start|>assistant"


class HarmonyReader(Reader):
    """The parser that a server with gpt-oss has; it reads tokens of its own encoding."""

    def __init__(self) -> None:
        super().__init__("openai", "openai_gptoss", MARKS)
        parser = steady(
            ParserManager.get_parser(
                "openai", "openai_gptoss", True, tokenizer=self.tokenizer, is_harmony=True
            )
        )
        assert parser is not None
        self._parser = parser
        self._encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._encoding.encode(text, allowed_special="all")
        return ids

    def tokens(self, text: str) -> list[tuple[str, int]]:
        """Without their texts, which this parser never looks at."""
        return [("", token) for token in self._ids(text)]


@cache
def reader() -> HarmonyReader:
    return HarmonyReader()


def message(channel: str, text: str, end: str = "<|end|>") -> str:
    return f"{_START}<|channel|>{channel}<|message|>{text}{end}"


def answer(thoughts: Sequence[str], words: str, calls: Sequence[Call]) -> str:
    """As the model writes it, behind a prompt that has begun the message."""
    parts = [message("analysis", thought) for thought in thoughts]
    if words:
        end = "<|end|>" if calls else "<|return|>"
        parts.append(message("commentary" if calls else "final", words, end))
    for name, values in calls:
        channel = f"commentary to=functions.{name} <|constrain|>json"
        parts.append(message(channel, json.dumps(values, ensure_ascii=False), "<|call|>"))
    return "".join(parts).removeprefix(_START)


@pytest.mark.parametrize(
    ("thoughts", "words", "calls"),
    [
        ([], "Zürich 🙂 京", []),
        (["I look."], "Zürich 🙂 京", []),
        ([], "", [HARD]),
        (["I look."], "", [HARD, EMPTY]),
        (["I look."], "Let me see: ", [HARD, HARD]),
        pytest.param(
            ["One.", "Two."], "Three.", [],
            marks=pytest.mark.xfail(
                strict=True,
                reason="vLLM 0.32.0 puts a line's end between two thoughts of a whole answer only",
            ),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_one_cut_anywhere_changes_nothing(
    thoughts: list[str], words: str, calls: list[Call]
) -> None:
    text = answer(thoughts, words, calls)
    whole = reader().whole(text).values()
    assert whole == ("\n".join(thoughts), words.strip() if calls else words, calls)
    tokens = reader().tokens(text)
    for cut in (ONE, *([first, *ALL] for first in range(1, len(tokens)))):
        assert reader().streamed(tokens, cut).values() == whole, cut


LONG = answer(["I look."], "So: ", [HARD])


@bounded
@given(thought=THOUGHTS, words=WORDS, calls=CALLS | st.just([]), sizes=SIZES)
def test_thoughts_words_and_calls_are_read_the_same_in_pieces(
    thought: str, words: str, calls: list[Call], sizes: list[int]
) -> None:
    text = answer([thought], words, calls)
    whole = reader().whole(text).values()
    assert whole == (thought.strip(), words.strip() if calls else words, calls)
    tokens = reader().tokens(text)
    for cut in (ONE, ALL, sizes):
        assert reader().streamed(tokens, cut).values() == whole, cut


def cut_short(*, in_head: bool) -> list[int]:
    """The lengths at which an answer may end, inside or outside of a later message's head."""
    start, message = (reader().tokens(mark)[0] for mark in ("<|start|>", "<|message|>"))
    found, is_head = [], False
    for length, token in enumerate(reader().tokens(LONG), start=1):
        is_head = token == start or (is_head and token != message)
        if is_head is in_head:
            found.append(length)
    return found


def assert_no_markup(length: int) -> None:
    read = reader().streamed(reader().tokens(LONG)[:length], [2])
    assert "I look.".startswith(read.reasoning), length
    assert "So: ".startswith(read.content), length
    assert all(name == HARD[0] for name, _ in read.calls), length


def test_a_stream_that_is_cut_short_in_a_message_shows_no_markup() -> None:
    for length in cut_short(in_head=False):
        assert_no_markup(length)


@pytest.mark.xfail(
    strict=True, reason="vLLM 0.32.0 shows a message's head as words where an answer ends in it"
)
def test_a_stream_that_is_cut_short_in_a_head_shows_no_markup() -> None:
    for length in cut_short(in_head=True):
        assert_no_markup(length)
