"""Makes batches of token numbers out of the examples of a corpus."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from examples import Corpus, Example
from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from torch import Tensor

_CHUNK = 5000
"""So many examples are drawn at once and sorted by length, so that little is padded."""
_COPYING_FALL = 0.75
"""Training begins with much copying, which all tool calls need, and less in each chunk."""
_WHOLE_SHARE, _START_LENGTH = 0.35, 8
"""Most fixed answers are learned by their first pieces only: the choice is the hard part."""
_LONGEST = 1000
_FARTHEST = 8000
_MOVED_SHARE = 0.1
_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of tokens, and where the next token is learned."""

    tokens: Tensor
    positions: Tensor
    wanted: Tensor
    targets: Tensor


def read_template(path: Path) -> Template:
    """Compile the chat template as transformers does."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(path.read_text(encoding="utf-8"))


def render(template: Template, example: Example) -> tuple[str, str]:
    """Write an example as the prompt that a server makes of it, and the answer to it."""
    prompt = template.render(
        messages=example.messages,
        tools=example.tools,
        add_generation_prompt=True,
        enable_thinking=bool(example.thought),
    )
    thought = f"<think>\n{example.thought}\n</think>\n\n" if example.thought else ""
    return prompt, thought + example.answer + "<|im_end|>"


@dataclass(frozen=True, slots=True)
class _Row:
    ids: list[int]
    learned_from: int
    skip_from: int
    """Positions are moved from here on, to learn that distance does not matter."""


class Batches:
    """An endless supply of batches, the same for the same seed."""

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        template: Template,
        *,
        seed: int,
        size_tokens: int,
        copying_share: float,
    ) -> None:
        self._corpus = corpus
        self._tokenizer = tokenizer
        self._template = template
        self._rng = random.Random(seed)  # noqa: S311  # not for secrets
        self._size_tokens = size_tokens
        self._copying_share = copying_share

    def __iter__(self) -> Iterator[Batch]:
        for number in count():
            copying = self._copying_share * _COPYING_FALL**number
            rows = sorted(self._draw_rows(copying), key=lambda row: len(row.ids))
            groups: list[list[_Row]] = [[]]
            for row in rows:
                if (len(groups[-1]) + 1) * len(row.ids) > self._size_tokens:
                    groups.append([])
                groups[-1].append(row)
            self._rng.shuffle(groups)
            for group in groups:
                yield self._pack(group)

    def _draw_rows(self, copying: float) -> list[_Row]:
        examples = [self._corpus.draw(copying) for _ in range(_CHUNK)]
        texts = [render(self._template, example) for example in examples]
        flat = [part for parts in texts for part in parts]
        coded = [coded.ids for coded in self._tokenizer.encode_batch(flat)]
        rows: list[_Row] = []
        for at in range(0, len(coded), 2):
            prompt, answer = coded[at], coded[at + 1]
            example = examples[at // 2]
            if not (example.tools or example.thought or self._rng.random() < _WHOLE_SHARE):
                answer = answer[:_START_LENGTH]
            if len(prompt) + len(answer) <= _LONGEST:
                given = len(self._tokenizer.encode(example.given).ids)
                jump = self._rng.randrange(len(prompt)) if self._rng.random() < _MOVED_SHARE else 0
                rows.append(_Row(prompt + answer, len(prompt) + given, jump))
        return rows

    def _pack(self, rows: list[_Row]) -> Batch:
        length = max(len(row.ids) for row in rows) - 1
        tokens = torch.zeros(len(rows), length, dtype=torch.long)
        targets = torch.full((len(rows), length), _IGNORED)
        positions = torch.arange(length).repeat(len(rows), 1)
        for number, row in enumerate(rows):
            ids = torch.tensor(row.ids)
            tokens[number, : len(ids) - 1] = ids[:-1]
            targets[number, row.learned_from - 1 : len(ids) - 1] = ids[row.learned_from :]
            if row.skip_from:
                positions[number, row.skip_from :] += self._rng.randrange(_FARTHEST)
        wanted = (targets.flatten() != _IGNORED).nonzero().flatten()
        return Batch(
            tokens=tokens,
            positions=positions,
            wanted=wanted,
            targets=targets.flatten()[wanted],
        )
