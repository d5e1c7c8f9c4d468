"""Texts of tokens, where each token has its own.

vLLM has a token decoded behind those before it, some of them again each time, as what it says may
depend on them: a space that is none at the beginning, a letter of several tokens. In a vocabulary
of bytes (GPT-2's way, which Llama 3, Qwen and most others have) it depends on them only while a
letter is incomplete: what is decoded is the bytes of all, one behind the other.
"""

from tokenizers import Tokenizer, decoders
from vllm.v1.engine.detokenizer import BaseIncrementalDetokenizer, FastIncrementalDetokenizer

# What stands for bytes that are no letter, or for a part of one.
NO_LETTER = "\N{REPLACEMENT CHARACTER}"
# A few MiB; those that are used come first.
_MOST = 1 << 15


class TokenTexts(dict[int, str | None]):
    """By token, learned when first asked for; None where those around it have to be known.

    A special token that is skipped has no text, whatever stands around it.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special_tokens: bool) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._skip_special_tokens = skip_special_tokens

    def __missing__(self, token_id: int) -> str | None:
        text: str | None
        try:
            text = self.tokenizer.decode([token_id], skip_special_tokens=self._skip_special_tokens)
        except (OverflowError, TypeError):  # no token at all, which is for vLLM to tell
            return None
        if NO_LETTER in text:
            text = None
        if len(self) < _MOST:
            self[token_id] = text
        return text


class Vocabularies:
    """The texts of the tokenizers of one engine."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bool], TokenTexts] = {}

    def of(self, detokenizer: BaseIncrementalDetokenizer) -> TokenTexts | None:
        """What this one would make of a token; None where it may depend on those before it."""
        if (
            not isinstance(detokenizer, FastIncrementalDetokenizer)
            # Or else it looks whether the one before was special.
            or not detokenizer.spaces_between_special_tokens
        ):
            return None
        tokenizer, skips = detokenizer.tokenizer, detokenizer.skip_special_tokens
        known = self._known.get((id(tokenizer), skips))
        if known is None and isinstance(tokenizer.decoder, decoders.ByteLevel):
            known = TokenTexts(tokenizer, skip_special_tokens=skips)  # has it, so that its id stays
            self._known[id(tokenizer), skips] = known
        return known
