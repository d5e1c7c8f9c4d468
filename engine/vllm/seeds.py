"""A vLLM plugin: on a CPU, a seeded prompt that is read in several steps does not end the engine.

A step that reads a part of a prompt samples a token nobody wants. vLLM then sets the request's
random generator back, which torch can do on a GPU only: on a CPU it raises "CPU Generator does not
use offset", and the engine ends, for all its requests. Here such a request has no generator of its
own while the step samples, so that there is nothing to set back. Seen with vLLM 0.32.0.
"""

import multiprocessing
from functools import wraps
from importlib import import_module
from typing import Any

import numpy as np
from vllm.platforms import current_platform


def keep_seeds() -> None:
    """Have what will be thrown away sampled without a seed, where the model runs."""
    if not current_platform.is_cpu() or multiprocessing.parent_process() is None:
        return
    # Not above: the server need not import it.
    runner: Any = import_module("vllm.v1.worker.cpu_model_runner").CPUModelRunner
    sample_tokens = runner.sample_tokens

    @wraps(sample_tokens)
    def sample_without(self: Any, *arguments: Any, **named: Any) -> Any:
        batch = self.input_batch
        generators = batch.generators
        unwanted = np.flatnonzero(self.discard_request_mask.np[: batch.num_reqs]).tolist()
        kept = {row: generators.pop(row) for row in unwanted if row in generators}
        try:
            return sample_tokens(self, *arguments, **named)
        finally:
            generators.update(kept)

    runner.sample_tokens = sample_without
