"""What `engine.vllm.forkserver` imports, so that the engine's processes need not."""

import gc

from engine.vllm import forkserver

forkserver.use()

import vllm.v1.engine.core  # noqa: E402  # after `use`
import vllm.v1.executor.multiproc_executor  # noqa: E402
from vllm.platforms import current_platform  # noqa: E402

if current_platform.is_cpu():
    import vllm.v1.worker.cpu_worker
else:
    import vllm.v1.worker.gpu_worker  # noqa: F401

# Forks share what nobody writes to, and the garbage collector writes to what it looks at.
gc.freeze()
