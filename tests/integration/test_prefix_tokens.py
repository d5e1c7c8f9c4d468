"""What is remembered of a conversation's beginning makes no difference to its tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, TokenizersBackend
from vllm.tokenizers.hf import get_cached_tokenizer, maybe_make_thread_pool

from engine.vllm.prefix_tokens import PrefixTokens
from tests.conftest import DEMO, TONE_WHISPER

# One begins like another, one contains others, and one is looked for after normalization.
MARKS = ["<|im_start|>", "<|im_end|>", "<|im_end|>\n<|im_start|>", "<s>", "<s", "[INST]", "\n\n"]
LATER = AddedToken("the model", normalized=True, lstrip=True, single_word=True)
WORDS = [
    "user", "assistant", "the model", "THE model", "don't", "a", "é", "e\u0301", "日本語", "😀",
    "123456", " ", "  ", "\n", "\t", "<|im_", "start|>", "<", "|>", "[", "▁", "\u00a0", "ﬁ",
]  # fmt: skip
TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def trained(
    model: models.Model,
    trainer: trainers.Trainer,
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    normalizer: normalizers.Normalizer | None = None,
) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in MARKS])
    tokenizer.add_tokens([LATER])
    return tokenizer


def like_llama_3() -> Tokenizer:
    words = Regex(
        r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )
    parts = [
        pre_tokenizers.Split(words, "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = trained(
        models.BPE(ignore_merges=True),
        trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False),
        pre_tokenizers.Sequence(parts),
        normalizers.NFC(),
    )
    template = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 3)])
    tokenizer.post_processor = template
    return tokenizer


def like_llama_2() -> Tokenizer:
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    return trained(
        models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"),  # noqa: S106
        trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>"], show_progress=False),
        pre_tokenizers.Split(Regex(r"(?!)"), "isolated"),
        normalizers.Sequence(steps),
    )


def like_t5() -> Tokenizer:
    return trained(
        models.Unigram(),
        trainers.UnigramTrainer(
            vocab_size=400,
            special_tokens=["<unk>"],
            unk_token="<unk>",  # noqa: S106
            show_progress=False,
        ),
        pre_tokenizers.Metaspace(prepend_scheme="always"),
        normalizers.NFKC(),
    )


def like_bert() -> Tokenizer:
    return trained(
        models.WordPiece(unk_token="[UNK]"),  # noqa: S106
        trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"], show_progress=False),
        pre_tokenizers.BertPreTokenizer(),
        normalizers.BertNormalizer(),
    )


def with_prefix_space() -> Tokenizer:
    return trained(
        models.BPE(),
        trainers.BpeTrainer(
            vocab_size=500,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
        pre_tokenizers.ByteLevel(add_prefix_space=True),
    )


def wrapped(tokenizer: Tokenizer) -> Any:
    """As vLLM wraps it."""
    backend: Any = TokenizersBackend
    cached: Any = get_cached_tokenizer(backend(tokenizer_object=tokenizer))
    return maybe_make_thread_pool(cached, 1)


@pytest.fixture(
    scope="module",
    params=["demo", "whisper", like_llama_3, like_llama_2, like_t5, like_bert, with_prefix_space],
)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    if callable(request.param):
        return wrapped(request.param())
    return AutoTokenizer.from_pretrained({"demo": DEMO, "whisper": TONE_WHISPER}[request.param])


def expected(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def test_tokens_are_those_of_the_tokenizer(tokenizer: Any) -> None:
    # One has room for a few turns only, and forgets all the time.
    roomy = PrefixTokens.of(tokenizer, shortest=0)
    tight = PrefixTokens.of(tokenizer, shortest=4, capacity_bytes=4000)
    assert roomy is not None
    assert tight is not None
    theirs = [token.content for token in tokenizer.added_tokens_decoder.values()][:9]
    fragment = st.sampled_from(WORDS + MARKS + theirs) | st.text(max_size=5)
    turn = st.lists(fragment, max_size=8).map("".join)

    @settings(max_examples=150, deadline=None)
    @given(turns=st.lists(turn, max_size=6))
    def check(turns: list[str]) -> None:
        text = ""
        for said in turns:
            text += said
            tokens = expected(tokenizer, text)
            assert roomy.encode(text) == tokens
            assert tight.encode(text) == tokens
            assert roomy.encode(text) == tokens  # now known as a whole

    check()


def test_a_turn_that_is_known_is_not_tokenized_again(tokenizer: Any) -> None:
    mark = next(t.content for t in tokenizer.added_tokens_decoder.values() if not t.normalized)
    known = PrefixTokens.of(tokenizer, shortest=9)
    assert known is not None
    first = mark + "What is the model called?" + mark
    known.encode(first)
    del known._quick
    assert known.encode(first) == expected(tokenizer, first)
    for said, salt in ((first + " And why?", ""), (first, "of somebody else")):
        with pytest.raises(AttributeError, match="_quick"):
            known.encode(said, salt)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda inner: inner.add_special_tokens([AddedToken("<x>", lstrip=True)]),
            id="a mark that takes blanks with it",
        ),
        pytest.param(
            lambda inner: inner.add_special_tokens([AddedToken("<x>", single_word=True)]),
            id="a mark that looks at its neighbours",
        ),
        pytest.param(lambda inner: setattr(inner.model, "dropout", 0.1), id="chance"),
        pytest.param(
            lambda inner: setattr(
                inner, "pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="first")
            ),
            id="a first word that is another",
        ),
    ],
)
def test_nothing_is_remembered_where_pieces_may_differ(spoil: Callable[[Tokenizer], None]) -> None:
    assert PrefixTokens.of(wrapped(like_llama_3())) is not None
    inner = like_llama_3()
    spoil(inner)
    assert PrefixTokens.of(wrapped(inner)) is None


def test_nothing_is_remembered_where_marks_are_text() -> None:
    tokenizer = wrapped(like_llama_3())
    tokenizer.split_special_tokens = True
    assert PrefixTokens.of(tokenizer) is None


def test_nothing_is_remembered_of_code_that_comes_with_a_model() -> None:
    own: Any = type("Own", (TokenizersBackend,), {})
    assert PrefixTokens.of(own(tokenizer_object=like_llama_3())) is None
