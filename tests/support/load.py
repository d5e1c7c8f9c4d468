"""What a server has to do at the moment, and what it has done, by its own count."""

import re

from tests.support.server import Server

_QUEUES = re.compile(r"^vllm:num_requests_(running|waiting)\{.*\} ([0-9.]+)$", re.MULTILINE)
_PROMPT_TOKENS = re.compile(r"^vllm:prompt_tokens_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


def engine_load(server: Server) -> dict[str, float]:
    """Requests running and waiting in the engine."""
    return {name: float(value) for name, value in _QUEUES.findall(_metrics(server))}


def in_flight(server: Server) -> int:
    """Requests that clients wait for."""
    count: int = server.get("/v1/health/ready").json()["requests"]
    return count


def is_idle(server: Server) -> bool:
    return set(engine_load(server).values()) == {0.0} and in_flight(server) == 0


def prompt_tokens(server: Server) -> float:
    """Tokens of prompts that the engine has computed since it was started."""
    return sum(map(float, _PROMPT_TOKENS.findall(_metrics(server))))


def _metrics(server: Server) -> str:
    return server.get("/v1/metrics").text
