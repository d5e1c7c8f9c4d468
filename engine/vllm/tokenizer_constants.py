"""What vLLM borrows a copy of the tokenizer for with each request, though it could do without."""

from typing import Any

from transformers import PreTrainedTokenizerBase, TokenizersBackend
from vllm.renderers.base import BaseRenderer
from vllm.tokenizers.hf import ThreadSafeHFTokenizerMixin


def borrow_less(renderer: BaseRenderer[Any]) -> None:
    """The end of a text stays the same, a template needs no tokenizer but to be filled in, and
    tokens become text by what they are: with `logprobs` vLLM asks six times for each.

    Copies are for what is not for two threads at once; these only read. Tokens of a template are
    made by a copy as before.
    """
    end = renderer.get_eos_token_id()
    vars(renderer)["get_eos_token_id"] = lambda: end
    tokenizer = renderer.tokenizer
    if isinstance(tokenizer, ThreadSafeHFTokenizerMixin):
        pooled: Any = type(tokenizer)
        # Not by setting an attribute, which would be taken for a token.
        vars(tokenizer)["apply_chat_template"] = super(pooled, tokenizer).apply_chat_template
        decode = super(pooled, tokenizer).decode
        if decode.__func__ is PreTrainedTokenizerBase.decode and (
            pooled._decode is TokenizersBackend._decode
        ):
            vars(tokenizer)["decode"] = decode
