"""Tokenizes with fastokens where it gives the tokens that tokenizers gives, in a tenth of the time.

Both read the same document. Whether they mean the same by it is tried with texts out of the model's
own vocabulary before the first request. If a single token differs, or fastokens does not know a
part of the document, all is left to tokenizers. `VLLM_USE_FASTOKENS` is vLLM's variable for it: 0
leaves all to tokenizers, with 1 vLLM puts fastokens in their place, untried.
"""

import logging
import random
from collections.abc import Iterator
from typing import Self

from fastokens import Tokenizer as Fastokens  # type: ignore[import-untyped]  # it says nothing of its types
from tokenizers import Tokenizer
from vllm import envs

log = logging.getLogger(__name__)

# An s for those who ignore case, as patterns for English contractions do ('s): for tokenizers it is
# one, for fastokens not. In 500 million characters of made up text nothing else told them apart.
_LONG_S = "\N{LATIN SMALL LETTER LONG S}"
# Words, contractions, numbers, spaces, and letters that are made of several.
_HARD = (
    "don't", "I'VE", "we'll", "x's", "1234567", "3.14", "  ", "\n\n", "\r\n", "\t", "   \n  ",
    " a", "\u00a0", "\u3000", "e\u0301", "\u0301", "ünï", "漢字", "안녕", "नमस्ते", "مرحبا", "\u200b",
    "\N{WOMAN}\u200d\N{GIRL}", "\N{LATIN SMALL LIGATURE FI}", "½", "İ", "\N{KELVIN SIGN}", "--",
    "...", "{'a': [1, \"b\"]}", "https://a.b/c?d=1", "def f(x):\n\treturn x",
)  # fmt: skip
_TEXTS, _PIECES = 200, 12


class QuickTokens:
    """The tokens of texts, without special ones around them. Threads may share it."""

    def __init__(self, tokenizer: Tokenizer, quick: Fastokens | None) -> None:
        self._tokenizer = tokenizer
        self._quick = quick

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """With fastokens, where that is wanted and passes."""
        if envs.is_set("VLLM_USE_FASTOKENS"):
            return cls(tokenizer, None)
        quick = None
        why_not = _looks_around(tokenizer)
        if not why_not:
            try:
                quick = Fastokens.from_json_str(tokenizer.to_str())
                why_not = difference(tokenizer, quick)
            except BaseException as error:  # noqa: BLE001  # of a compiled library: whatever it has
                _raise_if_asked_to_end(error)
                why_not = repr(error)
        if why_not:
            log.info("engine.fastokens_not_used", extra={"reason": why_not})
        return cls(tokenizer, None if why_not else quick)

    @property
    def is_quick(self) -> bool:
        """Whether fastokens is used."""
        return self._quick is not None

    def encode(self, text: str) -> list[int]:
        """The tokens that tokenizers gives."""
        if self._quick is not None and _LONG_S not in text:
            try:
                return _tokens_of(text, self._quick)
            except BaseException as error:  # noqa: BLE001  # of a compiled library: whatever it has
                _raise_if_asked_to_end(error)
                log.warning("engine.fastokens_failed", extra={"error": repr(error)[:200]})
        # A batch of one, for that lets other threads go on meanwhile; "fast" leaves out where in
        # the text each token was.
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        tokens: list[int] = encoding.ids
        return tokens


def difference(tokenizer: Tokenizer, quick: Fastokens) -> str:
    """A text that has other tokens, in a sentence; empty where none was found."""
    texts = [*_HARD, *_texts(tokenizer)]
    told = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    for text, encoding in zip(texts, told, strict=True):
        if _LONG_S not in text and _tokens_of(text, quick) != encoding.ids:
            return f"it gives other tokens for {text!r}"
    return ""


def _tokens_of(text: str, quick: Fastokens) -> list[int]:
    tokens: list[int] = quick.encode(text, add_special_tokens=False).ids
    return tokens


def _raise_if_asked_to_end(error: BaseException) -> None:
    """Whatever else it is, tokenizers have the last word: a panic of Rust's is no `Exception`."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error


def _looks_around(tokenizer: Tokenizer) -> str:
    """Which added token depends on what stands beside it, if one does."""
    for token in tokenizer.get_added_tokens_decoder().values():
        if token.lstrip or token.rstrip or token.single_word:
            return f"the added token {token.content!r} depends on what stands beside it"
    return ""


def _texts(tokenizer: Tokenizer) -> Iterator[str]:
    """Some, made of what the vocabulary has, the same each time."""
    chance = random.Random(0)  # noqa: S311  # nobody is to be kept from guessing
    size = tokenizer.get_vocab_size()
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    for _ in range(_TEXTS):
        pieces = []
        for _ in range(_PIECES):
            ids = chance.choices(range(size), k=chance.randrange(1, 8))
            pieces.append(tokenizer.decode(ids, skip_special_tokens=False))
            pieces.append(chance.choice(_HARD))
            if added and chance.random() < 1 / _PIECES:
                pieces.append(chance.choice(added))
        yield "".join(pieces)
