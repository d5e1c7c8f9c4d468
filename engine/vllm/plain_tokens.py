"""Tokens of which nothing comes but text: processed here, and not one by one by vLLM.

Its loop makes twenty calls for a token, of which such a token needs a few (`Shortcut.take`).
"""

import asyncio
from typing import TYPE_CHECKING

from vllm.v1.engine import EngineCoreOutput
from vllm.v1.metrics.stats import IterationStats

from engine.vllm.token_texts import Vocabularies

if TYPE_CHECKING:
    from engine.vllm.shortcut import Shortcut


class PlainTokens:
    """Those of one engine; and their texts, which each stream writes at the end of a turn.

    When the event loop is behind, a turn has several steps of the engine, whose texts leave
    together.
    """

    is_held = False
    """Whether somebody calls `write` before this turn ends."""

    def __init__(self) -> None:
        self._open: dict[str, Shortcut] = {}
        self._due: list[Shortcut] = []
        self._weight_version: str | None = None
        self.vocabularies = Vocabularies()

    def open(self, shortcut: "Shortcut") -> None:
        """From now on it gets its tokens here."""
        self._open[shortcut.request_id] = shortcut

    def close(self, shortcut: "Shortcut") -> None:
        """From now on all is vLLM's again."""
        self._open.pop(shortcut.request_id, None)

    def take(
        self,
        outputs: list[EngineCoreOutput],
        timestamp: float | None,
        stats: IterationStats | None,
        weight_version: str | None,
    ) -> list[EngineCoreOutput]:
        """Process those that are nothing but text; returns the rest, which is vLLM's.

        As `OutputProcessor.process_outputs` gets them.
        """
        if weight_version == self._weight_version:
            weight_version = self._weight_version  # the same object, as it is compared by all
        else:
            self._weight_version = weight_version
        rest = []
        for output in outputs:
            shortcut = self._open.get(output.request_id)
            if shortcut is None or not shortcut.take(output, timestamp, stats, weight_version):
                rest.append(output)
        return rest

    def write_at_end(self, shortcut: "Shortcut") -> None:
        """Let it write its text at the end of this turn of the event loop."""
        if not self._due and not self.is_held:
            asyncio.get_running_loop().call_soon(self.write)
        self._due.append(shortcut)

    def write(self) -> None:
        """Let all write that are due."""
        due, self._due = self._due, []
        for shortcut in due:
            shortcut.write()
