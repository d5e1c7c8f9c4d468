"""A vLLM plugin: on a CPU, the ranks of tokens are counted by NumPy, and nothing is compiled.

vLLM compiles that one comparison when the first request that wants log probabilities is in a step.
Measured on two cores: 26 s without a compile cache and 3.5 s with one, in which every request of
the server waits, close to the silence that counts as a stall; and where there is no C++ compiler,
as in a slim image, the engine ends. NumPy takes as long as what was compiled: for 64 rows of a
vocabulary of 151,936 4.6 ms against 8.0, and torch without compiling 79.

On a GPU the comparison would need memory if it were not compiled, and the engine's start needs a
compiler anyway; `engine.vllm.warm_up` has it compiled before the first request.
"""

import multiprocessing
from importlib import import_module
from typing import Any

import numpy as np
import torch
from vllm.platforms import current_platform


def count_ranks() -> None:
    """Replace vLLM's function where tokens are sampled, which is not in the server itself."""
    if current_platform.is_cpu() and multiprocessing.parent_process() is not None:
        # Not above: the server need not import it.
        sampler: Any = import_module("vllm.v1.sample.sampler")
        sampler.batched_count_greater_than = at_least


def at_least(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """How many entries of each row of `x` (rows, vocabulary) reach its value in `values` (rows, 1).

    NumPy counts a row of comparisons without a copy of it in wider numbers.
    """
    rows = zip(x.float().numpy(), values.float().numpy(), strict=True)
    counts = [np.count_nonzero(row >= value) for row, value in rows]
    return torch.tensor(counts, dtype=torch.int64)
