"""What is done once before READY, so that no request has to wait for it.

vLLM makes several things when a request first needs them, and all others wait meanwhile. Measured
on two cores, with a vocabulary of 128,000: the tokenizer as grammars need it, 1.2 s. On a GPU,
Triton's kernels of whatever vLLM's own warm-up has left out.
"""

import asyncio
import logging
from collections.abc import Awaitable

from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.utils import random_uuid

from engine.vllm.client import EngineClient
from engine.vllm.serving import Serving

log = logging.getLogger(__name__)

# Nothing that only saves time may take more of it than this.
_PATIENCE_S = 60.0


async def prove(client: EngineClient, serving: Serving) -> None:
    """Do once what the model is for; raises whatever keeps it from that."""
    if serving.embeds:
        await serving.embeddings.embed(b'{"input": "warm up"}')
    if serving.scores:
        await serving.scoring.score(b'{"text_1": "warm up", "text_2": "warm up"}')
    if serving.hears:
        await serving.speech.warm_up()
    if serving.generates_text:
        await _generate(client, SamplingParams(temperature=0.0))


async def hurry(client: EngineClient, serving: Serving) -> None:
    """Let the engine make what it makes lazily; raises only if it ends."""
    if not serving.generates_text:
        return
    sampling = SamplingParams(
        top_k=8,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        repetition_penalty=1.1,
        logprobs=0,  # the token's own, and with it its rank
    )
    attempts = [attempt("sampling", _generate(client, sampling))]
    if client.renderer.tokenizer is not None:
        grammar = SamplingParams(structured_outputs=StructuredOutputsParams(json_object=True))
        attempts.append(attempt("structured outputs", _generate(client, grammar)))
    await asyncio.gather(*attempts)
    if client.errored:
        raise client.dead_error


async def attempt(what: str, work: Awaitable[None], patience_s: float = _PATIENCE_S) -> None:
    """Wait for `work`, and say so if it fails: whoever needs it first is told, or waits."""
    try:
        await asyncio.wait_for(work, patience_s)
    except Exception:  # none of it is needed for being ready
        log.warning("engine.warm_up_failed", extra={"what": what}, exc_info=True)


async def _generate(client: EngineClient, params: SamplingParams) -> None:
    params.max_tokens = 1
    params.output_kind = RequestOutputKind.FINAL_ONLY
    prompt = {"type": "token", "prompt_token_ids": [0]}
    async for _ in client.generate(prompt, params, f"warm-up-{random_uuid()}"):
        pass
