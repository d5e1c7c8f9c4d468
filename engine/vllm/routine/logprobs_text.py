"""Writes `logprobs` as vLLM's models of them are written, without making the models.

With five `top_logprobs` those are eight objects of Pydantic's for each token, which were 40 % of
what such a token took; what a token says is the same each time, and only its logprob is new.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import islice

import orjson
from pydantic import BaseModel
from vllm.logprobs import Logprob, LogprobsOnePosition
from vllm.outputs import CompletionOutput

# Some MiB.
_MOST_TOKENS = 1 << 15
# OpenAI's, for what is all but impossible.
_LEAST = -9999.0


class _UnusualError(Exception):
    """Something is there that seldom is, or is missing."""


class LogprobsText:
    """Those of chats that ask for as many."""

    def __init__(
        self, top_logprobs: int | None, model_of: Callable[[CompletionOutput], BaseModel]
    ) -> None:
        """`top_logprobs` is the request's; `model_of` is vLLM's, for what is unusual."""
        self._most = sys.maxsize if top_logprobs == -1 else top_logprobs or 0
        self._model_of = model_of

    def of(self, completion: CompletionOutput) -> bytes:
        """The value of `logprobs` for the tokens that have come."""
        try:
            each = zip(completion.token_ids, completion.logprobs or (), strict=True)
            entries = b",".join([self._entry(token_id, position) for token_id, position in each])
        except _UnusualError:
            return self._model_of(completion).model_dump_json(exclude_unset=True).encode()
        return b'{"content":[%b]}' % entries

    def _entry(self, token_id: int, position: LogprobsOnePosition | None) -> bytes:
        if not position or token_id not in position:
            raise _UnusualError
        likely = b",".join([b"{%b}" % _said(it) for it in islice(position.values(), self._most)])
        return b'{%b,"top_logprobs":[%b]}' % (_said(position[token_id]), likely)


def _said(logprob: Logprob) -> bytes:
    if logprob.decoded_token is None:
        raise _UnusualError
    token, in_bytes = _texts_of(logprob.decoded_token)
    return b'"token":%b,"logprob":%b,"bytes":%b' % (
        token,
        orjson.dumps(max(logprob.logprob, _LEAST)),
        in_bytes,
    )


@lru_cache(_MOST_TOKENS)
def _texts_of(token: str) -> tuple[bytes, bytes]:
    """A token as JSON, and its bytes."""
    return orjson.dumps(token), orjson.dumps(list(token.encode()))
