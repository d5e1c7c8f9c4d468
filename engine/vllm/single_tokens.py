"""A tokenizer that decodes a token on its own once: each of a request's `logprobs` is one.

Transformers goes through thirty calls for it, and vLLM asks for each of the most likely tokens of
each step. What a token says on its own depends on nothing else.
"""

from copy import copy
from functools import lru_cache
from typing import Any

from transformers import PreTrainedTokenizerBase

# A few MiB.
_MOST = 1 << 15


def remember_single_tokens(tokenizer: Any) -> Any:
    """A copy of vLLM's tokenizer that does; itself if it is none of Transformers', or None."""
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    decode = tokenizer.decode
    single = lru_cache(_MOST)(lambda token_id: decode([token_id]))

    class Remembering(type(tokenizer)):  # type: ignore[misc]  # the class is known when it runs
        def decode(self, token_ids: Any, *arguments: Any, **options: Any) -> Any:
            is_list = type(token_ids) is list and len(token_ids) == 1
            if is_list and type(token_ids[0]) is int and not arguments and not options:
                return single(token_ids[0])
            return decode(token_ids, *arguments, **options)

    remembering: Any = copy(tokenizer)
    remembering.__class__ = Remembering
    return remembering
