"""Detokenizes behind the end of a long prompt, not behind all of it.

vLLM gives a request's stream of texts the whole prompt, which is decoded from its beginning with
the first token, and with each until one has a text: 4 ms of the event loop for ten thousand tokens.
In a vocabulary of bytes nothing but an incomplete letter reaches from one token to the next (as in
`token_texts`), so that a few tokens do.
"""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders
from vllm.v1.engine.detokenizer import FastIncrementalDetokenizer
from vllm.v1.engine.output_processor import OutputProcessor

from engine.vllm.token_texts import NO_LETTER

_MOST = 16
# A shorter one is decoded as fast as its end is looked at.
_LONG = 256


def begin_behind_ends(processor: OutputProcessor) -> None:
    """From now on, requests that are added to it begin with no more of their prompts."""
    add = processor.add_request

    def add_and_shorten(request: Any, *rest: Any, **options: Any) -> None:
        add(request, *rest, **options)
        token_ids = request.prompt_token_ids
        if token_ids is None or len(token_ids) < _LONG:
            return
        detokenizer = processor.request_states[request.request_id].detokenizer
        if isinstance(detokenizer, FastIncrementalDetokenizer):
            skips = detokenizer.skip_special_tokens
            end = end_of(token_ids, detokenizer.tokenizer, skip_special_tokens=skips)
            if end is not None:
                detokenizer.stream = decoders.DecodeStream(ids=end, skip_special_tokens=skips)

    processor.add_request = add_and_shorten  # type: ignore[method-assign]  # all calls go through it


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
