"""Asks a chat template how an answer begins: inside a thought, behind one, or with neither.

Only rendering tells: switches have other names and other defaults in every family.
"""

import re
from dataclasses import dataclass
from enum import Enum

from jinja2.exceptions import TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

_QUESTION = "A question that no template has in it?"
_OPENING, _CLOSING = "<think>", "</think>"
# A block that marks what training is to learn; what is rendered does not depend on it.
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


class Thought(Enum):
    """Where an answer stands when the model begins to write it."""

    OPEN = "inside a thought"
    CLOSED = "behind a thought that is over, or was skipped"
    SILENT = "the model decides"


@dataclass(frozen=True, slots=True)
class Thinking:
    """How answers begin by default, and with the switch that requests have for it set to on or off.

    A template that does not know the switch begins all three in the same way.
    """

    default: Thought
    on: Thought
    off: Thought


def knows_tools(template: str) -> bool:
    """Whether the template tells the model of tools at all; raises `TemplateError`."""
    return "tools" in find_undeclared_variables(_environment().parse(_plain(template)))


def thinking(template: str) -> Thinking | None:
    """How answers begin; None if the template cannot be rendered."""
    try:
        compiled = _environment().from_string(_plain(template))
        texts = [
            compiled.render(
                messages=[{"role": "user", "content": _QUESTION}],
                add_generation_prompt=True,
                bos_token="",
                eos_token="",
                **switches,
            )
            for switches in (
                {},
                {"enable_thinking": True, "thinking": True},
                {"enable_thinking": False, "thinking": False},
            )
        ]
    except Exception:  # noqa: BLE001  # a template is a program: it may raise anything
        return None
    return Thinking(*(_beginning(text) for text in texts))


def _beginning(prompt: str) -> Thought:
    answer = prompt.rpartition(_QUESTION)[2]
    opened, closed = answer.rfind(_OPENING), answer.rfind(_CLOSING)
    if opened == closed:
        return Thought.SILENT
    return Thought.OPEN if opened > closed else Thought.CLOSED


def _plain(template: str) -> str:
    return _GENERATION.sub("", template)


def _environment() -> ImmutableSandboxedEnvironment:
    """As transformers renders chat templates: in a sandbox, with a few names of its own."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": str}
    return environment


def _refuse(message: str) -> None:
    raise TemplateError(message)
