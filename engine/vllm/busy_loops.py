"""A vLLM plugin: the engine core and its workers use huge pages soon after they are up.

A process is up when it goes into the loop in which it works until its end; what it has in memory
then, it has for good (`engine.huge_pages`).
"""

import multiprocessing
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from engine import huge_pages

# What is left of the start comes before: the server's first request, and whoever waits for it.
_START_S = 5.0


def use_huge_pages() -> None:
    """Have each process of the engine move in, soon after the beginning of its loop."""
    if multiprocessing.parent_process() is None:
        return
    # Not above: the server need not import them.
    core: Any = import_module("vllm.v1.engine.core")
    executor: Any = import_module("vllm.v1.executor.multiproc_executor")
    for owner, name in (
        (core.EngineCoreProc, "run_busy_loop"),
        (core.DPEngineCoreProc, "run_busy_loop"),
        (executor.WorkerProc, "worker_busy_loop"),
    ):
        setattr(owner, name, _moving_in(getattr(owner, name)))


def _moving_in(loop: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(loop)
    def run(*arguments: Any, **named: Any) -> Any:
        huge_pages.use(after_s=_START_S)
        return loop(*arguments, **named)

    return run
