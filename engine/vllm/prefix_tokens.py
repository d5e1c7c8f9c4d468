"""Tokens of what conversations begin with, kept from one turn to the next.

A chat is sent whole each time. A fast tokenizer cuts the text at certain added tokens, such as
those around a turn, before anything else, and works on each piece between two of them as if it were
alone. So the tokens of a text are those of its pieces, one after the other, and a piece that was
seen before need not be tokenized again.

A piece is looked up together with all that stood before it. By itself it would be found whoever had
sent it; this way the time of an answer tells of others' prompts no more than the engine's prefix
cache does. What the accounts of two requests keep apart there is kept apart here.
"""

import json
import re
import sys
import threading
from array import array
from collections.abc import Iterable
from itertools import count, pairwise
from typing import Any, NamedTuple, Self

from cachetools import LRUCache
from tokenizers import Tokenizer, models
from transformers import TokenizersBackend
from vllm.renderers.base import BaseRenderer
from vllm.tokenizers.hf import ThreadSafeHFTokenizerMixin
from vllm.utils.async_utils import make_async

from engine.account import cache_salt
from engine.vllm.quick_tokens import QuickTokens

_BYTES = 64 << 20
# Each call of the tokenizer costs as much as a hundred characters.
_SHORTEST = 1000
# What Python needs for an entry besides its text and its tokens.
_ENTRY_BYTES = 500
_MODELS = (models.BPE, models.Unigram, models.WordLevel, models.WordPiece)
# Those that look at nothing but the piece itself; normalizers all do.
_PRE_TOKENIZERS = {
    "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
    "Sequence", "Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit",
}  # fmt: skip


class _Known(NamedTuple):
    name: int
    """Stands for the piece and all before it."""

    tokens: "array[int]"
    size_bytes: int


class PrefixTokens:
    """Tokenizes texts, without special tokens around them. Threads may share it."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        marks: Iterable[str],
        capacity_bytes: int,
        shortest: int,
    ) -> None:
        """`marks` are the added tokens that the tokenizer cuts at first."""
        self._quick = QuickTokens.of(tokenizer)
        self._shortest = shortest
        # As the tokenizer does: the leftmost, and of those the longest.
        longest_first = sorted(marks, key=len, reverse=True)
        self._mark = re.compile("|".join(map(re.escape, longest_first)))
        self._known: LRUCache[tuple[int | str, str], _Known] = LRUCache(
            capacity_bytes, getsizeof=lambda known: known.size_bytes
        )
        self._names = count(1)
        self._lock = threading.Lock()

    @classmethod
    def of(
        cls, tokenizer: object, *, capacity_bytes: int = _BYTES, shortest: int = _SHORTEST
    ) -> Self | None:
        """None for a tokenizer of which it is not certain that it works in pieces.

        `shortest` is how many characters a piece has at least, if others follow.
        """
        if not isinstance(tokenizer, TokenizersBackend) or not _is_plain(tokenizer):
            return None
        inner = tokenizer.backend_tokenizer
        marks = _marks(inner) if _works_in_pieces(inner) else None
        return cls(_unlimited(tokenizer), marks, capacity_bytes, shortest) if marks else None

    def encode(self, text: str, salt: str = "") -> list[int]:
        """The same tokens as the tokenizer's; those of another `salt` are not made use of."""
        if len(text) < self._shortest:  # nothing begins with it, for whoever goes on is longer
            return self._quick.encode(text)
        pieces = self._pieces(text)
        tokens: list[int] = []
        path: list[tuple[int | str, str]] = []
        before: int | str = salt
        with self._lock:
            for piece in pieces:
                known = self._known.get((before, piece))
                if known is None:
                    break
                path.append((before, piece))
                tokens.extend(known.tokens)
                before = known.name
        new = []
        for piece in pieces[len(path) :]:
            found = self._quick.encode(piece)
            tokens.extend(found)
            size_bytes = sys.getsizeof(piece) + 4 * len(found) + _ENTRY_BYTES
            new.append((piece, _Known(next(self._names), array("i", found), size_bytes)))
        with self._lock:
            for piece, known in new:
                if known.size_bytes > self._known.maxsize:
                    break
                path.append((before, piece))
                self._known[path[-1]] = known
                before = known.name
            # Without its beginning the rest of a path is lost: the beginning goes last.
            for place in reversed(path):
                self._known.get(place)
        return tokens

    def _pieces(self, text: str) -> list[str]:
        """The text, cut before a mark wherever that makes a piece long enough."""
        edges = [0]
        for found in self._mark.finditer(text):
            if found.start() - edges[-1] >= self._shortest:
                edges.append(found.start())
        return [text[a:b] for a, b in pairwise([*edges, len(text)])]


def remember_prefixes(renderer: BaseRenderer[Any]) -> None:
    """Let a renderer tokenize chats by what it knows of them, if its tokenizer allows that."""
    known = PrefixTokens.of(renderer.tokenizer)
    if known is None:
        return
    tokenize_whole = renderer._tokenize_prompt

    def tokenize_for(salt: str, prompt: Any, params: Any) -> Any:
        options = params.get_encode_kwargs()
        if options["add_special_tokens"] or renderer._wants_offsets(prompt, params):
            return tokenize_whole(prompt, params)
        tokens = known.encode(prompt["prompt"], salt)
        if options["truncation"] and len(tokens) > options["max_length"]:
            return tokenize_whole(prompt, params)
        return renderer._build_tokens_prompt(tokens, prompt)

    in_thread = make_async(tokenize_for, executor=renderer._executor)
    vars(renderer).update(
        _tokenize_prompt=lambda *prompt: tokenize_for(cache_salt(), *prompt),
        # The thread does not know whose request it is.
        _tokenize_prompt_async=lambda *prompt: in_thread(cache_salt(), *prompt),
    )


def _unlimited(tokenizer: TokenizersBackend) -> Tokenizer:
    """The tokenizer within, if it is never changed, or a copy, without limits and padding.

    Transformers sets both for each call; vLLM has copies of its own for such calls.
    """
    inner: Tokenizer = tokenizer.backend_tokenizer
    is_shared = not isinstance(tokenizer, ThreadSafeHFTokenizerMixin)
    if is_shared or inner.truncation is not None or inner.padding is not None:
        inner = Tokenizer.from_str(inner.to_str())
        inner.no_truncation()
        inner.no_padding()
    return inner


def _is_plain(tokenizer: TokenizersBackend) -> bool:
    """Whether it does nothing to a text but hand it to the tokenizer within."""
    kind = type(tokenizer)
    theirs = ("vllm.", "transformers.", "builtins")  # and not a model's own code
    return (
        all(cls.__module__.startswith(theirs) for cls in kind.__mro__)
        and kind._encode_plus is TokenizersBackend._encode_plus
        and not tokenizer.split_special_tokens
        and isinstance(tokenizer.backend_tokenizer, Tokenizer)  # vLLM can put another one there
    )


def _works_in_pieces(tokenizer: Tokenizer) -> bool:
    """Whether nothing but the added tokens looks beyond a piece, and chance has no part."""
    return (
        isinstance(tokenizer.model, _MODELS)
        and not getattr(tokenizer.model, "dropout", None)
        and not tokenizer.encode_special_tokens
        and all(map(_looks_at_piece, _pre_tokenizers(tokenizer)))
    )


def _pre_tokenizers(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """As tokenizer.json has them, without nesting."""
    if tokenizer.pre_tokenizer is None:
        return []
    flat = []
    nested = [json.loads(tokenizer.pre_tokenizer.__getstate__())]
    while nested:
        flat.append(nested.pop())
        nested += flat[-1].get("pretokenizers", [])
    return flat


def _looks_at_piece(pre_tokenizer: dict[str, Any]) -> bool:
    # It would mark the first word of the text, and of a piece that is alone.
    is_first_of_all = pre_tokenizer.get("prepend_scheme") == "first"
    return pre_tokenizer["type"] in _PRE_TOKENIZERS and not is_first_of_all


def _marks(tokenizer: Tokenizer) -> list[str] | None:
    """The added tokens that are looked for before normalization; None if one looks around."""
    added = tokenizer.get_added_tokens_decoder().values()
    marks = [token for token in added if not token.normalized]
    if any(mark.lstrip or mark.rstrip or mark.single_word for mark in marks):
        return None
    return [mark.content for mark in marks if mark.content]
