"""Holds a request's sampling to what the engine has room for.

On a GPU vLLM keeps these in tables of a fixed width (v1/worker/gpu/sample), and what does not fit
raises in its worker: one request would end the engine for everybody. Nothing before looks at them,
bad words' count excepted.
"""

from typing import Any

from vllm import envs
from vllm.sampling_params import SamplingParams

from engine.errors import InvalidRequestError

MOST_TOKEN_IDS = {"allowed_token_ids": 1024, "logit_bias": 1024, "stop_token_ids": 112}
"""Of the last there is room for 128, some of which are the model's own."""

_BAD_WORDS = "bad_words"


def check_room(params: SamplingParams, tokenizer: Any) -> None:
    """Raise `InvalidRequestError`, naming the field, if something does not fit."""
    for field, most in MOST_TOKEN_IDS.items():
        count = len(getattr(params, field) or ())
        if count > most:
            raise InvalidRequestError(f"{field} has {count} entries, and may have {most}.", field)
    if params.bad_words:
        _check_bad_words(params, tokenizer)


def _check_bad_words(params: SamplingParams, tokenizer: Any) -> None:
    most = envs.VLLM_MAX_BAD_WORDS_TOTAL_TOKENS
    if tokenizer is None:
        raise InvalidRequestError("bad_words need a tokenizer, and there is none.", _BAD_WORDS)
    # What cannot fit whatever its tokens are is not tokenized, which would take the event loop.
    if sum(map(len, params.bad_words or ())) <= most * tokenizer.max_chars_per_token:
        params.update_from_tokenizer(tokenizer)  # as vLLM does later; refuses too many words
        if sum(map(len, params.bad_words_token_ids or ())) <= most:
            return
    raise InvalidRequestError(
        f"bad_words may have {most} tokens, with and without a space in front.", _BAD_WORDS
    )
