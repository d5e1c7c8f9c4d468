"""An answer means the same however it is cut into deltas: words, thoughts and calls of tools.

A delta has as many tokens as the engine has made since the last one was read, so every cut happens.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.answers import FORMATS, Call, Reader

# The same examples each time, so that a failure is there again the next time.
bounded = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

HARD: Call = (
    "weather",
    {
        "city": 'Zürich "Nord" {1} \\ 北京 🙂',
        "n": 7,
        "where": {"lat": [1.5, {"a": None}], "ok": True},
        "tags": ["a", "b\n", "]}"],
    },
)
EMPTY: Call = ("clock", {"city": "", "n": 0})
# Also what looks like the beginning of a marker.
SNIPPETS = ("Let me see. ", "Zürich 🙂 ", "a < b ", "<tool", "[TOOL", '"so" ', "1.\n", "<|")
# Without what tags stand between, and without quotes that are not JSON's own in a Python call.
TEXTS = st.text('aZ9 "\\{}[]:,;.üß京🙂', max_size=12).map(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(("weather", "clock")),
        st.fixed_dictionaries(
            {"city": TEXTS},
            optional={
                "n": st.integers(-9, 10**9),
                "where": st.dictionaries(TEXTS, VALUES, max_size=2),
                "tags": st.lists(TEXTS, max_size=3),
            },
        ),
    ),
    min_size=1,
    max_size=3,
)
WORDS = st.lists(st.sampled_from(SNIPPETS), max_size=3).map("".join)
SIZES = st.lists(st.sampled_from((1, 1, 2, 3, 7, 20, 100)), min_size=1, max_size=8)
ONE, ALL = [1], [10**6]

OLD_MISTRAL = "mistral, before v11"
BROKEN = {
    OLD_MISTRAL: "vLLM 0.32.0 loses the beginning of the arguments, or all, when a delta that has "
    'more in it ends exactly behind the key "arguments"',
}
# A client is told that such an answer was cut short by its finish_reason.
CUT_NAMES = dict.fromkeys(
    ("kimi_k2", "mistral", "qwen3_coder", "qwen3_coder, no tokens"),
    "vLLM 0.32.0 tells of a call whose name was cut short as if it were one",
)
CUT_TAGS = {
    "minimax_m2": "vLLM 0.32.0 takes the first half of a tag that was cut short for an argument's"
}


def formats(broken: dict[str, str]) -> list[Any]:
    """The name of every format, marked where vLLM fails and it is not ours to put right."""
    return [
        pytest.param(
            name,
            marks=[pytest.mark.xfail(strict=True, reason=broken[name])] if name in broken else [],
            id=name,
        )
        for name in FORMATS
    ]


@cache
def reader_of(name: str) -> Reader:
    form = FORMATS[name]
    return Reader(form.parser, None, form.tokens)


@pytest.mark.parametrize("name", formats(BROKEN))
def test_one_cut_anywhere_changes_nothing(name: str) -> None:
    reader, calls = reader_of(name), [HARD, EMPTY]
    text = "Let me see. " + FORMATS[name].write(calls)
    whole = reader.whole(text).values()
    assert whole == ("", "Let me see.", calls)
    tokens = reader.tokens(text)
    for first in range(1, len(tokens)):
        assert reader.streamed(tokens, [first, *ALL]).values() == whole, first


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in BROKEN])
@bounded
@given(words=WORDS, calls=CALLS, sizes=SIZES)
@example(words="", calls=[HARD, EMPTY, HARD], sizes=[3])
def test_calls_are_read_the_same_in_pieces(
    name: str, words: str, calls: list[Call], sizes: list[int]
) -> None:
    reader = reader_of(name)
    text = words + FORMATS[name].write(calls)
    whole = reader.whole(text).values()
    assert [called for called, _ in whole[2]] == [called for called, _ in calls]
    tokens = reader.tokens(text)
    for cut in (ONE, ALL, sizes):
        assert reader.streamed(tokens, cut).values() == whole, cut


@pytest.mark.parametrize("name", FORMATS)
@bounded
@given(words=WORDS, sizes=SIZES)
@example(words="{\n  return 1\n}", sizes=[2])
@example(words='{"answer": {"is": 1}}', sizes=[2])
def test_words_stay_words(name: str, words: str, sizes: list[int]) -> None:
    reader = reader_of(name)
    tokens = reader.tokens(words)
    assert reader.whole(words).values() == ("", words, [])
    for cut in (ONE, ALL, sizes):
        assert reader.streamed(tokens, cut).values() == ("", words, []), cut


@pytest.mark.parametrize("name", formats(CUT_NAMES | CUT_TAGS))
def test_a_stream_that_is_cut_short_shows_no_markup_and_no_call_that_is_none(name: str) -> None:
    reader, form = reader_of(name), FORMATS[name]
    calls = [("weather", {"city": 'a"京'}), EMPTY]
    tokens = reader.tokens("So: " + form.write(calls))
    full = reader.streamed(tokens, ONE).calls
    for end in range(len(tokens)):
        for cut in ([3], ALL):
            read = reader.streamed(tokens[:end], cut)
            assert not any(token in read.content for token in form.tokens), (end, cut)
            assert read.calls[:-1] == full[: len(read.calls[:-1])], (end, cut)
            for (name_read, arguments), (called, whole) in zip(read.calls, full, strict=False):
                assert name_read == called, (end, cut)
                # Some parsers close the objects that are open.
                assert whole.startswith(arguments) or is_object(arguments), (end, cut)


def is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["hermes", "deepseek_v3", "deepseek_v31", "jamba"])
def test_a_whole_answer_that_is_cut_short_shows_no_markup(name: str) -> None:
    reader, form = reader_of(name), FORMATS[name]
    tokens = reader.tokens("So: " + form.write([HARD]))
    for end in range(len(tokens)):
        read = reader.whole("".join(text for text, _ in tokens[:end]))
        assert "So: ".startswith(read.content), end


@dataclass(frozen=True, slots=True)
class Thinker:
    """A model that thinks: its parsers, its marks, and how its prompt ends."""

    format: str
    reasoning: str
    opening: str = "<think>"
    closing: str = "</think>"
    ends: tuple[str, ...] = ("", "<think>")
    switches: tuple[str, ...] = ()

    def reader(self) -> Reader:
        form = FORMATS[self.format]
        tokens = (*form.tokens, self.opening, self.closing)
        on: dict[str, Any] = dict.fromkeys(self.switches, True)
        return Reader(form.parser, self.reasoning, tokens, **on)


THINKERS = [
    Thinker("hermes", "qwen3"),
    Thinker("hermes", "deepseek_r1"),
    Thinker("hermes", "deepseek_v3", switches=("enable_thinking",)),
    Thinker("qwen3_coder", "qwen3"),
    Thinker("qwen3_coder", "deepseek_r1"),
    Thinker("qwen3_coder", "nemotron_v3"),
    Thinker("deepseek_v3", "deepseek_r1"),
    Thinker("deepseek_v31", "deepseek_v3", switches=("thinking",)),
    Thinker("glm45", "glm45"),
    Thinker("kimi_k2", "kimi_k2"),
    Thinker("minimax_m2", "minimax_m2", ends=("<think>",)),
    Thinker("mistral", "mistral", "[THINK]", "[/THINK]", ends=("",)),
]
THOUGHTS = st.sampled_from(('I look "up" Zürich 🙂: {a} < b.', "Hm", "1 < 2\n\n3 </t"))


@pytest.mark.parametrize("thinker", THINKERS, ids=lambda it: f"{it.format} {it.reasoning}")
@bounded
@given(answer=st.tuples(THOUGHTS, WORDS, CALLS | st.just([])), sizes=SIZES, is_open=st.booleans())
def test_thoughts_are_told_from_words_and_calls_in_pieces(
    thinker: Thinker, answer: tuple[str, str, list[Call]], sizes: list[int], is_open: bool
) -> None:
    reader, (thought, words, calls) = thinker.reader(), answer
    prompt = thinker.ends[-is_open]
    text = ("" if prompt else thinker.opening) + thought + thinker.closing + words
    text += FORMATS[thinker.format].write(calls) if calls else ""
    whole = reader.whole(text, prompt).values()
    assert whole[0] == thought.strip()
    assert [called for called, _ in whole[2]] == [called for called, _ in calls]
    tokens = reader.tokens(text)
    for cut in (ONE, ALL, sizes):
        assert reader.streamed(tokens, cut, prompt).values() == whole, cut


@pytest.mark.parametrize(
    "thinker",
    [it for it in THINKERS if "<think>" in it.ends],
    ids=lambda it: f"{it.format} {it.reasoning}",
)
@bounded
@given(words=WORDS, sizes=SIZES)
def test_a_prompt_that_skips_the_thought_leaves_nothing_but_words(
    thinker: Thinker, words: str, sizes: list[int]
) -> None:
    reader, prompt = thinker.reader(), "<think></think>"
    tokens = reader.tokens(words)
    assert reader.whole(words, prompt).values() == ("", words, [])
    for cut in (ONE, ALL, sizes):
        assert reader.streamed(tokens, cut, prompt).values() == ("", words, []), cut
