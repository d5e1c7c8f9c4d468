"""Requests get ids of our own, whatever the client says."""

import os
from typing import Any


class OwnIds:
    """Mixed into vLLM's serving classes, before them."""

    @staticmethod
    def _base_request_id(raw_request: Any, default: str | None = None) -> str:
        # A client that chooses the engine's id could abort or collide with somebody else's request.
        del raw_request, default
        return os.urandom(16).hex()
