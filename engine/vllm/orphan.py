"""A vLLM plugin: ends the engine core when the server is gone, however it went.

vLLM's workers notice that their engine core died, but an engine core whose parent was killed with
SIGKILL (the OOM killer's way) waits for ever and keeps its GPU. vLLM loads the entry points of
`vllm.general_plugins` in each of its processes; this one watches the parent from a thread.
"""

import multiprocessing
import os
import signal
import threading


def end_with_parent() -> None:
    """Start the watch; does nothing in the server itself, which has no multiprocessing parent."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="unigate-parent-watch", daemon=True).start()
