"""What `engine.vllm.forkserver` imports, so that the engine's processes need not."""

from engine import garbage
from engine.vllm import environment, forkserver

# Forks share what nobody writes to, and the collector writes to what it looks at: what is there
# at the end of this is never looked at again.
with garbage.only_young():
    environment.configure_logging()
    forkserver.use()

    import vllm.v1.engine.core
    import vllm.v1.executor.multiproc_executor
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        import vllm.v1.worker.cpu_worker
    else:
        import vllm.v1.worker.gpu_worker  # noqa: F401
