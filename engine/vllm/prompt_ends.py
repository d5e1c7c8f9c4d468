"""Detokenizes behind the end of a long prompt, not behind all of it.

vLLM gives a request's stream of texts the whole prompt, which is decoded from its beginning with
the first token, and with each until one has a text: 4 ms of the event loop for ten thousand tokens.
In a vocabulary of bytes nothing but an incomplete letter reaches from one token to the next (as in
`token_texts`), so that a few tokens do.
"""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders
from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer

from engine.vllm.added_requests import Added
from engine.vllm.token_texts import NO_LETTER

_MOST = 16
# A shorter one is decoded as fast as its end is looked at.
_LONG = 256


def begin_behind_end(added: Added) -> None:
    """Let its text begin with no more of its prompt, if that is long."""
    token_ids, detokenizer = added.request.prompt_token_ids, added.state.detokenizer
    if token_ids is None or len(token_ids) < _LONG:
        return
    if isinstance(detokenizer, FastIncrementalDetokenizer):
        skips = detokenizer.skip_special_tokens
        end = end_of(token_ids, detokenizer.tokenizer, skip_special_tokens=skips)
        if end is not None:
            detokenizer.stream = decoders.DecodeStream(ids=end, skip_special_tokens=skips)


def end_of(
    token_ids: Sequence[int], tokenizer: Tokenizer, *, skip_special_tokens: bool
) -> list[int] | None:
    """The last tokens of a prompt, if what comes next has the same text behind them alone."""
    if not isinstance(tokenizer.decoder, decoders.ByteLevel):
        return None
    end = [*token_ids[-_MOST:]]
    text = tokenizer.decode(end, skip_special_tokens=skip_special_tokens)
    # Without a text the stream would take the first token for the beginning.
    return end if text and not text.endswith(NO_LETTER) else None
