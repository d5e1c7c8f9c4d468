"""Grammars that were looked at before: an application sends the same few schemas again and again.

vLLM makes a grammar of a request's schema only to see whether it can, in the event loop, and a
tool's schema is looked at once more to name the tool (`renderer`): two milliseconds and more of a
request, in which nobody else is heard. Whether a text makes a grammar depends on nothing but it.
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from vllm.sampling_params import SamplingParams, StructuredOutputsParams
from vllm.v1.structured_output import backend_xgrammar

# A hundred bytes each.
_MOST = 4096


class SoundGrammars:
    """Remembers what has passed; what is refused is looked at each time, and told by who does."""

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}

    def look_at(self, kind: str, text: str | bytes, look: Callable[[], object]) -> None:
        """Call `look` unless it has returned for that text; it raises what is wrong with it."""
        data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        name = sha256(b"%b\0%b" % (kind.encode(), data)).digest()
        if name in self._known:
            return
        look()
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)))
        self._known[name] = None


SOUND = SoundGrammars()


def remember_grammars() -> None:
    """From now on vLLM looks at a schema, a structural tag or a grammar only if it is new."""
    validate = backend_xgrammar.validate_xgrammar_grammar
    if not isinstance(validate, partial):
        remembering: Any = partial(_validate, validate)
        backend_xgrammar.validate_xgrammar_grammar = remembering


def _validate(validate: Callable[[SamplingParams], None], params: SamplingParams) -> None:
    asked = params.structured_outputs
    kind, text = _text_of(asked) if asked is not None else ("", None)
    if text is None:
        validate(params)
    else:
        SOUND.look_at(kind, text, partial(validate, params))


def _text_of(asked: StructuredOutputsParams) -> tuple[str, str | bytes | None]:
    """All that vLLM would look at; None where it changes what it looks at, or is quick."""
    if asked.regex or asked.choice:
        return "", None
    if asked.json:
        if isinstance(asked.json, str):
            return "JSON", asked.json
        try:
            return "schema", orjson.dumps(asked.json)
        except TypeError:  # a number of more than 64 bits, say
            return "", None
    if asked.grammar:
        return "grammar", asked.grammar
    tag: Any = asked.structural_tag  # whatever a client has sent
    return "tag", tag if isinstance(tag, str) else None
