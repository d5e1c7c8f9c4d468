"""Fields that clients of other servers send: put into vLLM's words, or refused by name.

vLLM takes no notice of a field that it does not know. Where such a field would change the answer,
silence gives an answer that the client did not ask for.
"""

from typing import Any

from engine.errors import InvalidRequestError

# NIM 1.x and vLLM before 0.12 → the keys of vLLM's `structured_outputs`.
_GUIDED = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
    "guided_whitespace_pattern": "whitespace_pattern",
}
# What NIM 1.x's `nvext` may hold, by vLLM's names for it.
_NVEXT: dict[str, str] = {
    name: name
    for name in (
        *_GUIDED,
        "top_k", "min_p", "repetition_penalty", "length_penalty", "ignore_eos", "min_tokens",
        "stop_token_ids", "include_stop_str_in_output", "skip_special_tokens", "bad_words",
    )
} | {"max_thinking_tokens": "thinking_token_budget"}  # fmt: skip
# Which backend compiles is the server's to choose, and the answer is the same.
_WITHOUT_EFFECT = ("guided_decoding_backend",)

# Field → the values that ask for nothing, and what to do instead.
_REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "functions": ((None, []), "Send them as tools."),
    "function_call": ((None, "none", "auto"), "Send it as tool_choice."),
    "audio": ((None,), "The model answers in text."),
    "modalities": ((None, ["text"]), "The model answers in text."),
    "web_search_options": ((None,), "The server searches nothing."),
    "best_of": ((None, 1), "Ask for n answers, and choose."),
}


NAMES = frozenset({"nvext", *_GUIDED, *_WITHOUT_EFFECT, *_REFUSED})
"""All of them."""


def translate_fields(request: dict[str, Any]) -> None:
    """Put the request into vLLM's words, in place.

    Raises:
        InvalidRequestError: naming a field that would change the answer and has no meaning here.
    """
    _flatten(request)
    for field in _WITHOUT_EFFECT:
        request.pop(field, None)
    for field, (harmless, instead) in _REFUSED.items():
        if request.get(field) not in harmless:
            raise InvalidRequestError(f"{field} is not supported. {instead}", field)
    _guide(request)


def _flatten(request: dict[str, Any]) -> None:
    """Take what is in `nvext` to the top, where what is there already wins."""
    extra = request.pop("nvext", None) or {}
    if not isinstance(extra, dict):
        raise InvalidRequestError("nvext must be an object.", "nvext")
    for name, value in extra.items():
        if name in _WITHOUT_EFFECT:
            continue
        if name not in _NVEXT:
            raise InvalidRequestError(f"nvext.{name} is not supported.", f"nvext.{name}")
        request.setdefault(_NVEXT[name], value)


def _guide(request: dict[str, Any]) -> None:
    asked = {key: request.pop(name, None) for name, key in _GUIDED.items()}
    guided = {key: value for key, value in asked.items() if value is not None}
    if not guided:
        return
    if request.get("structured_outputs") is not None:
        raise InvalidRequestError(
            "guided_* and structured_outputs say the same thing; send one of them.",
            "structured_outputs",
        )
    request["structured_outputs"] = guided
