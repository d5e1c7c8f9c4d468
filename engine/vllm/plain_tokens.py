"""Tokens of which nothing comes but text: processed here, and not one by one by vLLM.

Its loop makes twenty calls for a token, of which such a token needs a few (`Shortcut.take`).
"""

import asyncio
from typing import TYPE_CHECKING, Any

from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.metrics.stats import IterationStats

if TYPE_CHECKING:
    from engine.vllm.shortcut import Shortcut


class PlainTokens:
    """Those of one engine; and their texts, which each stream writes at the end of a turn.

    When the event loop is behind, a turn has several steps of the engine, whose texts leave
    together.
    """

    def __init__(self) -> None:
        self._open: dict[str, Shortcut] = {}
        self._due: list[Shortcut] = []

    def open(self, shortcut: "Shortcut") -> None:
        """From now on it gets its tokens here."""
        self._open[shortcut.request_id] = shortcut

    def close(self, shortcut: "Shortcut") -> None:
        """From now on all is vLLM's again."""
        self._open.pop(shortcut.request_id, None)

    def write_at_end(self, shortcut: "Shortcut") -> None:
        """Let it write its text at the end of this turn of the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._end)
        self._due.append(shortcut)

    def stand_before(self, processor: OutputProcessor) -> None:
        """From now on, vLLM processes what is left over."""
        process = processor.process_outputs

        def process_rest(
            outputs: list[EngineCoreOutput],
            timestamp: float | None = None,
            stats: IterationStats | None = None,
            weight_version: str | None = None,
        ) -> Any:
            rest = []
            for output in outputs:
                shortcut = self._open.get(output.request_id)
                if shortcut is None or not shortcut.take(output, timestamp, stats, weight_version):
                    rest.append(output)
            return process(rest, timestamp, stats, weight_version)

        # As AsyncLLM alone calls it.
        processor.process_outputs = process_rest  # type: ignore[method-assign,assignment]

    def _end(self) -> None:
        due, self._due = self._due, []
        # What is sent wakes its reader, who may be given this core at once, and its caches. So all
        # frames are made before the first is sent.
        frames = [(shortcut, frame) for shortcut in due if (frame := shortcut.pack())]
        for shortcut, frame in frames:
            shortcut.send(frame)
