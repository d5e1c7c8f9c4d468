"""How many tokens of prompts the engine is handed before it has read them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.observability.metrics import EngineMetrics
from engine.admission import AdmissionRules
from engine.vllm.model import Model
from engine.vllm.unread import Unread

STEP = 2048


def room_of(
    queued_tokens: int | None, unread: int, queued: dict[int, int], device: str = "cuda"
) -> bool:
    """Whether there is room for one more, of an engine that runs 4 at a time."""
    scheduler = SimpleNamespace(max_num_seqs=4, max_num_batched_tokens=STEP, policy="fcfs")
    config = SimpleNamespace(
        scheduler_config=scheduler,
        parallel_config=SimpleNamespace(data_parallel_size=1),
        device_config=SimpleNamespace(device_type=device),
    )
    client = SimpleNamespace(vllm_config=config, unread=Unread(), queued=queued, sequences=1)
    client.unread.add("id", unread)
    rules = SimpleNamespace(
        served_names=("m",),
        utility_timeout_s=1.0,
        adapters=None,
        admission=AdmissionRules(queued_tokens=queued_tokens),
    )
    stand_in: Any = client
    settings: Any = rules
    model = Model(
        stand_in, SimpleNamespace(), settings,  # type: ignore[arg-type]  # not asked for here
        track=lambda: None, scratch=Path(), observer=EngineMetrics(),  # type: ignore[arg-type,return-value]  # as above
    )  # fmt: skip
    return model.room().has_room_for(1)


@pytest.mark.parametrize(
    ("steps", "queued", "expected"),
    [
        (7, {0: 3}, True),
        (8, {0: 3}, False),
        (8, {0: 0}, True),
        (8, {}, True),
        (8, {0: 0, 1: 1}, False),
        (31, {0: 0}, True),
        (32, {0: 0}, False),
    ],
)
def test_there_is_room_for_more_while_nothing_waits_in_the_engine(
    steps: int, queued: dict[int, int], expected: bool
) -> None:
    assert room_of(None, steps * STEP, queued) is expected


@pytest.mark.parametrize("queued", [{}, {0: 0}, {0: 3}], ids=["silent", "idle", "busy"])
def test_on_a_cpu_there_is_room_for_as_much_as_one_step_reads(queued: dict[int, int]) -> None:
    assert room_of(None, STEP - 1, queued, "cpu")
    assert not room_of(None, STEP, queued, "cpu")


@pytest.mark.parametrize("queued", [{}, {0: 0}, {0: 3}], ids=["silent", "idle", "busy"])
def test_a_limit_that_is_set_is_the_limit(queued: dict[int, int]) -> None:
    assert room_of(100, 99, queued)
    assert not room_of(100, 100, queued)
