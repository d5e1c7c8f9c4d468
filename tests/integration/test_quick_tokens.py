"""Tokens that fastokens gives are those that tokenizers gives, with patterns that models have."""

import copy
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastokens import (  # type: ignore[import-untyped]  # it says nothing of its types
    Tokenizer as Fastokens,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, trainers
from tokenizers import normalizers as norm
from tokenizers import pre_tokenizers as pre

from engine.vllm.quick_tokens import QuickTokens, difference
from tests.conftest import DEMO, TONE_WHISPER
from tests.integration.test_prefix_tokens import like_bert, like_t5, with_prefix_space

MARKS = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"]
LONG_S = "\N{LATIN SMALL LETTER LONG S}"
TEXT = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(encoding="utf-8")
WORLD = (
    "Zürich 北京 東京タワー 🦊 façade Привет мир, как дела? "
    "مرحبا שלום नमस्ते สวัสดี 안녕 don't I'VE we'll\r\n"
)
# As in the documents of Llama 3, of Qwen, gpt-oss, and DeepSeek V3.
_LAST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA = rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_LAST}"
_QWEN = _LLAMA.replace("{1,3}", "")
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_GPT = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{_SHORT}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{_SHORT}|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",  # noqa: RUF001  # as it is there
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]


def of_bytes(*patterns: str, normalizer: norm.Normalizer | None = None) -> Tokenizer:
    """A vocabulary of bytes; without a pattern, GPT-2's own."""
    tokenizer = Tokenizer(models.BPE())
    words = pre.ByteLevel(add_prefix_space=False, use_regex=not patterns)
    splits: list[Any] = [pre.Split(Regex(pattern), "isolated") for pattern in patterns]
    tokenizer.pre_tokenizer = pre.Sequence([*splits, words])
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return trained(tokenizer, initial_alphabet=pre.ByteLevel.alphabet())


def of_letters(normalizer: norm.Normalizer, words: pre.PreTokenizer | None) -> Tokenizer:
    """A vocabulary of letters, with bytes for those that it lacks."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))  # noqa: S106
    tokenizer.normalizer = normalizer
    if words is not None:
        tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    every_byte = [f"<0x{number:02X}>" for number in range(256)]
    return trained(tokenizer, special_tokens=["<unk>", *every_byte], max_token_length=12)


def trained(tokenizer: Tokenizer, **options: Any) -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=1500, show_progress=False, **options)
    lines = [*TEXT[:60_000].splitlines(keepends=True), *[WORLD] * 20]
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in MARKS])
    return tokenizer


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "demo": lambda: Tokenizer.from_file(str(DEMO / "tokenizer.json")),
    "whisper": lambda: Tokenizer.from_file(str(TONE_WHISPER / "tokenizer.json")),
    "gpt-2": of_bytes,
    "llama 3": lambda: of_bytes(_LLAMA),
    "qwen": lambda: of_bytes(_QWEN, normalizer=norm.NFC()),
    "gpt-oss": lambda: of_bytes(_GPT),
    "deepseek": lambda: of_bytes(*_DEEPSEEK),
    "llama 2": lambda: of_letters(norm.Sequence([norm.Prepend("▁"), norm.Replace(" ", "▁")]), None),
    "gemma": lambda: of_letters(norm.Replace(" ", "▁"), pre.Split(" ", "merged_with_previous")),
}


@pytest.fixture(scope="module", params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return FAMILIES[request.param]()


def test_tokens_are_those_of_tokenizers(tokenizer: Tokenizer) -> None:
    tokens = QuickTokens.of(tokenizer)
    assert tokens.is_quick
    fragment = st.sampled_from([*MARKS, *WORLD.split(), " ", "  ", "\n", "\r\n", "'", "'S", "7"])
    any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)

    @settings(max_examples=300, deadline=None)
    @example([f"it'{LONG_S}ー and more"])
    @example(["a" * 50_000, " " * 50_000, "\n" * 50_000, "漢" * 50_000])
    @given(st.lists(fragment | any_text, max_size=20))
    def check(parts: list[str]) -> None:
        text = "".join(parts)
        assert tokens.encode(text) == tokenizer.encode(text, add_special_tokens=False).ids

    check()


def test_a_letter_that_tokenizers_alone_takes_for_an_s_is_left_to_it() -> None:
    tokenizer = FAMILIES["llama 3"]()
    text = f"'{LONG_S}ー"
    theirs = tokenizer.encode(text, add_special_tokens=False).ids
    quick = Fastokens.from_json_str(tokenizer.to_str())
    assert quick.encode(text, add_special_tokens=False).ids != theirs
    assert QuickTokens.of(tokenizer).encode(text) == theirs


@pytest.mark.parametrize("make", [like_t5, like_bert, with_prefix_space])
def test_what_fastokens_does_not_know_is_left_to_tokenizers(make: Callable[[], Tokenizer]) -> None:
    tokenizer = make()
    tokens = QuickTokens.of(tokenizer)
    assert not tokens.is_quick
    assert tokens.encode(WORLD) == tokenizer.encode(WORLD, add_special_tokens=False).ids


def test_a_single_merge_that_differs_is_found(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = FAMILIES["llama 3"]()
    assert difference(tokenizer, Fastokens.from_json_str(tokenizer.to_str())) == ""
    document = json.loads(tokenizer.to_str())
    other = copy.deepcopy(document)
    del other["model"]["merges"][700]
    found = difference(tokenizer, Fastokens.from_json_str(json.dumps(other)))
    assert "other tokens" in found


@pytest.mark.parametrize("value", ["0", "1"])
def test_whoever_has_decided_is_heard(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_USE_FASTOKENS", value)
    assert not QuickTokens.of(FAMILIES["gpt-2"]()).is_quick


def test_a_text_that_fastokens_fails_at_is_left_to_tokenizers() -> None:
    tokenizer = FAMILIES["demo"]()
    # It gives up where a pattern has to look at more than so many places.
    quick = Fastokens.from_json_str(tokenizer.to_str(), pcre2_match_limit=1)
    text = WORLD * 3
    with pytest.raises(ValueError, match="limit"):
        quick.encode(text, add_special_tokens=False)
    tokens = QuickTokens(tokenizer, quick)
    assert tokens.is_quick
    assert tokens.encode(text) == tokenizer.encode(text, add_special_tokens=False).ids


def test_threads_share_it(tokenizer: Tokenizer) -> None:
    tokens = QuickTokens.of(tokenizer)
    texts = [TEXT[start : start + 3000] for start in range(0, 30_000, 1000)]
    expected = [it.ids for it in tokenizer.encode_batch(texts, add_special_tokens=False)]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(tokens.encode, texts)) == expected
