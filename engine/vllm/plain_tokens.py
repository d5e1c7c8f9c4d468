"""Tokens of which nothing comes but text: processed here, and not one by one by vLLM.

Its loop makes twenty calls for a token, of which such a token needs a few (`Shortcut.take`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.metrics.stats import IterationStats


class Taker(Protocol):
    """Has the text of one request to write."""

    request_id: str

    def take(
        self,
        output: EngineCoreOutput,
        timestamp: float | None,
        stats: IterationStats | None,
        weight_version: str | None,
    ) -> bool:
        """Process an output, with vLLM's arguments for it, or leave it to vLLM."""


class PlainTokens:
    """Those of one engine; and their texts, which each stream writes at the end of a turn.

    When the event loop is behind, a turn has several steps of the engine, whose texts leave
    together.
    """

    def __init__(self) -> None:
        self._takers: dict[str, Taker] = {}
        self._due: list[Callable[[], None]] = []

    def open(self, taker: Taker) -> None:
        """From now on it gets its tokens here."""
        self._takers[taker.request_id] = taker

    def close(self, taker: Taker) -> None:
        """From now on all is vLLM's again."""
        self._takers.pop(taker.request_id, None)

    def write_at_end(self, write: Callable[[], None]) -> None:
        """Call `write` at the end of this turn of the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._end)
        self._due.append(write)

    def stand_before(self, processor: OutputProcessor) -> None:
        """From now on, vLLM processes what is left over."""
        process = processor.process_outputs

        def process_rest(
            outputs: list[EngineCoreOutput],
            timestamp: float | None = None,
            stats: IterationStats | None = None,
            weight_version: str | None = None,
        ) -> Any:
            rest = self._take(outputs, timestamp, stats, weight_version)
            return process(rest, timestamp, stats, weight_version)

        # As AsyncLLM alone calls it.
        processor.process_outputs = process_rest  # type: ignore[method-assign,assignment]

    def _take(
        self,
        outputs: Iterable[EngineCoreOutput],
        timestamp: float | None,
        stats: IterationStats | None,
        weight_version: str | None,
    ) -> list[EngineCoreOutput]:
        rest = []
        takers = self._takers
        for output in outputs:
            taker = takers.get(output.request_id)
            if taker is None or not taker.take(output, timestamp, stats, weight_version):
                rest.append(output)
        return rest

    def _end(self) -> None:
        due, self._due = self._due, []
        for write in due:
            write()
