"""Asks the held-out questions of a trained model and counts the right answers."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from batches import read_template
from examples import Message, normalize
from jinja2 import Template
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM
from wording import read_yaml

_LONGEST_ANSWER = 160
_CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One conversation and what its answer must hold."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    is_thinking: bool
    expect: str
    calls: list[dict[str, Any]]

    def is_right(self, answer: str) -> bool:
        """Whether reasoning, phrase and calls are as expected."""
        thought, closed, rest = answer.partition("</think>")
        if self.is_thinking != bool(closed and thought.startswith("<think>\n")):
            return False
        said = rest if closed else answer
        try:
            calls = [json.loads(body) for body in _CALL.findall(said)]
        except json.JSONDecodeError:
            return False
        return self.expect in said and calls == self.calls


class Questions:
    """The content of questions.yaml."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    @classmethod
    def read(cls, path: Path) -> "Questions":
        """Read the file."""
        content: Any = read_yaml(path)
        return cls(content)

    def held_out(self) -> frozenset[str]:
        """List the questions that training must not see."""
        return frozenset(normalize(row["ask"]) for row in self._content["questions"])

    def cases(self) -> Iterator[Case]:
        """All rows in one form."""
        for part in ("questions", "calls", "results"):
            for row in self._content[part]:
                yield self._case(row)

    def _case(self, row: dict[str, Any]) -> Case:
        messages: list[Message] = []
        if "system" in row:
            messages.append({"role": "system", "content": row["system"]})
        for number, text in enumerate(row.get("before", [])):
            messages.append({"role": ("user", "assistant")[number % 2], "content": text})
        messages.append({"role": "user", "content": row["ask"]})
        if "result" in row:
            function = {**row["call"], "arguments": json.dumps(row["call"]["arguments"])}
            call = {"id": "call_1", "type": "function", "function": function}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": "call_1", "content": row["result"]})
        named = self._content["tools"]
        tools = [
            {"type": "function", "function": {"name": name, **named[name]}}
            for name in row.get("tools", [])
        ]
        return Case(
            messages=messages,
            tools=tools,
            is_thinking=row.get("thinking", False),
            expect=row.get("expect", ""),
            calls=row.get("calls", []),
        )

    def ask(self, directory: Path) -> str:
        """Ask everything at temperature 0; returns the score and what was wrong."""
        model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        template = read_template(directory / "chat_template.jinja")
        lines: list[str] = []
        count = 0
        for case in self.cases():
            count += 1
            answer = _answer(model, tokenizer, template, case)
            if not case.is_right(answer):
                lines.append(f"wrong: {case.messages[-1]['content']!r} -> {answer!r}")
        right = count - len(lines)
        lines.append(
            f"{right} of {count} held-out questions are right ({100 * right / count:.1f} %)"
        )
        return "\n".join(lines)


def _answer(model: LlamaForCausalLM, tokenizer: Tokenizer, template: Template, case: Case) -> str:
    prompt = template.render(
        messages=case.messages,
        tools=case.tools,
        add_generation_prompt=True,
        enable_thinking=case.is_thinking,
    )
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    made = model.generate(  # type: ignore[misc]  # transformers types it for its own mixin only
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=_LONGEST_ANSWER
    )
    if not isinstance(made, torch.Tensor):
        raise TypeError(type(made))
    return str(tokenizer.decode(made[0, ids.shape[1] :].tolist()))
