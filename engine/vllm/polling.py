"""A vLLM plugin: on a CPU, its processes wait for each other by sleeping, not by `sched_yield`.

vLLM's engine core and workers poll shared memory and call `sched_yield` between two looks. Measured
with Linux 6.18.44, two cores, one request: a second process on the worker's core got its first turn
after 168 s; with this plugin after 0.02 s. That `sched_yield` is what does it was seen by switching
it alone. The likely cause, not proved, is what the kernel's "sched/fair: Fix zero_vruntime tracking
fix" (1319ea57529e) describes; two bare processes that only yield did not show it.

On a GPU the processes that poll have cores to spare, and the 50 microseconds of a sleep would be
felt in each step, so nothing is changed there.
"""

import vllm.distributed.utils
from vllm.platforms import current_platform


def sleep_while_polling() -> None:
    """Choose the way of waiting that vLLM itself has for Pythons whose `sched_yield` is no good."""
    if current_platform.is_cpu():
        vllm.distributed.utils.USE_SCHED_YIELD = False
