"""From the engine's message about a step to the wires, in one call of the event loop.

vLLM has two tasks on that way, with a queue between them: one takes messages from the socket, one
processes them. Each has to be woken, so that a token is three turns of the loop old before it is
written. Here a message is processed by what the socket calls, and its texts are written before that
call ends. What has to wait in between goes through vLLM's queue, and all behind it, too.
"""

import asyncio
import time
import weakref
from collections.abc import Sequence

import zmq
from vllm.logger import init_logger
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core import EngineCoreProc
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.metrics.stats import IterationStats

from engine.vllm.engine_socket import LONGEST_TURN_S
from engine.vllm.plain_tokens import PlainTokens
from engine.vllm.unread import Unread

log = init_logger("vllm.v1.engine.async_llm")  # whose failure it would be

# Outputs between two looks at the clock: one with many logprobs takes half a millisecond.
_AT_ONCE = 4

_Begun = tuple[EngineCoreOutputs, IterationStats | None, list[EngineCoreOutput]]
"""A step whose plain tokens are taken, its statistics, and its outputs that are left."""


class StepOutputs:
    """Does what the output handler of vLLM's client does, which has no other then."""

    def __init__(
        self,
        client: AsyncLLM,
        core: AsyncMPClient,
        plain: PlainTokens,
        unread: Unread,
        turn_s: float = LONGEST_TURN_S,
    ) -> None:
        """`unread` is told of prompts that the engine has read."""
        # Neither would be let go of otherwise: the finalizer of a client has its sockets.
        self._client, self._core = weakref.ref(client), weakref.ref(core)
        self._processor = client.output_processor
        self._renderer = client.renderer
        self._log_stats = client.log_stats
        self._plain = plain
        self._unread = unread
        # With several engines vLLM looks at all that comes, to share requests out.
        self._is_direct = not hasattr(type(core), "process_engine_outputs")
        self._is_idle = False
        self._begun: _Begun | None = None
        self._turn_s = turn_s
        self._aborting: set[asyncio.Task[None]] = set()

    def take(self, message: Sequence[zmq.Frame]) -> bool:
        """Process a message now; False if it has to go through vLLM's queue."""
        core = self._core()
        # Behind what is in there it has to stay.
        if core is None or not (self._is_direct and self._is_idle and core.outputs_queue.empty()):
            return False
        if len(message) == 1 and message[0].buffer == EngineCoreProc.ENGINE_CORE_DEAD:
            return False
        try:
            return self._take(core, core.decoder.decode(message))
        except Exception as error:  # noqa: BLE001  # it is for `handle` to tell
            core.outputs_queue.put_nowait(error)
            return True

    def _take(self, core: AsyncMPClient, outputs: EngineCoreOutputs) -> bool:
        if outputs.utility_output:
            return False
        if not outputs.outputs and not outputs.scheduler_stats:
            return True
        self._plain.is_held = True
        _, stats, rest = self._begin(outputs)
        aborted, left = self._process_some(outputs, stats, rest)
        if aborted:
            self._abort(core, aborted)
        if left:
            self._begun = outputs, stats, left
            core.outputs_queue.put_nowait(outputs)
        else:
            self._end(outputs, stats)
        return True

    def end_turn(self) -> None:
        """Write the texts of all messages that were taken."""
        self._plain.is_held = False
        self._plain.write()

    async def handle(self) -> None:
        """Process what comes through the queue, for ever; tells all requests when that fails."""
        core = self._core()
        assert core is not None  # whoever calls this has it
        try:
            while True:
                self._is_idle = True
                outputs = await core.get_output_async()
                self._is_idle = False
                begun, self._begun = self._begun or self._begin(outputs), None
                _, stats, left = begun
                while left:
                    aborted, left = self._process_some(outputs, stats, left)
                    if aborted:
                        await core.abort_requests_async(aborted)
                    if left:
                        await asyncio.sleep(0)
                self._end(outputs, stats)
        except Exception as error:
            log.exception("AsyncLLM output_handler failed.")
            self._processor.propagate_error(error)
        finally:
            self._is_idle = False

    def _begin(self, outputs: EngineCoreOutputs) -> _Begun:
        stats = IterationStats() if self._log_stats and outputs.outputs else None  # type: ignore[no-untyped-call]  # vLLM's
        rest = self._plain.take(outputs.outputs, outputs.timestamp, stats, outputs.weight_version)
        for output in rest:
            if output.prefill_stats is not None:  # the first of its request
                state = self._processor.request_states.get(output.request_id)
                if state is not None:
                    self._unread.remove(state.external_req_id)
        return outputs, stats, rest

    def _process_some(
        self,
        outputs: EngineCoreOutputs,
        stats: IterationStats | None,
        rest: list[EngineCoreOutput],
    ) -> tuple[list[str], list[EngineCoreOutput]]:
        """Process what a turn has time for; returns whom the engine has to stop, and the rest."""
        until_s = time.monotonic() + self._turn_s
        aborted: list[str] = []
        for start in range(0, len(rest), _AT_ONCE):
            if start and time.monotonic() > until_s:
                return aborted, rest[start:]
            aborted += self._process(outputs, stats, rest[start : start + _AT_ONCE])
        return aborted, []

    def _process(
        self,
        outputs: EngineCoreOutputs,
        stats: IterationStats | None,
        some: list[EngineCoreOutput],
    ) -> list[str]:
        """Let vLLM process a part of a step; returns whom the engine has to stop."""
        processed = self._processor.process_outputs(
            some, outputs.timestamp, stats, weight_version=outputs.weight_version
        )
        cache = self._renderer.mm_processor_cache
        if cache is not None:
            for output in some:
                # The engine does not have what we take it to have; the client sends it again.
                for mm_hash in output.mm_cache_miss_hashes or ():
                    cache.invalidate(mm_hash)
        return processed.reqs_to_abort

    def _end(self, outputs: EngineCoreOutputs, stats: IterationStats | None) -> None:
        self._processor.update_scheduler_stats(outputs.scheduler_stats)
        client = self._client()
        if client is not None and client.logger_manager is not None:
            client.logger_manager.record(
                engine_idx=outputs.engine_index,
                scheduler_stats=outputs.scheduler_stats,
                iteration_stats=stats,
                mm_cache_stats=self._renderer.stat_mm_cache(),
            )

    def _abort(self, core: AsyncMPClient, request_ids: list[str]) -> None:
        aborting = asyncio.ensure_future(core.abort_requests_async(request_ids))
        self._aborting.add(aborting)
        aborting.add_done_callback(self._aborting.discard)
