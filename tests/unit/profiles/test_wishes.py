"""What the user asks for in the engine's own words, and models at the edge."""

import pytest

from profiles.derive import derive
from profiles.errors import NoProfileFitsError
from profiles.memory import Fit, read_model
from profiles.selection import select
from profiles.selection.request import Request
from tests.support.machines import machine
from tests.support.models import selected


@pytest.mark.parametrize("spelled", ["32k", "32K", "25.6k", "32000"])
def test_a_context_may_be_asked_for_as_vllm_spells_it(spelled: str) -> None:
    """29 000 tokens fit: what the user asks for is not shortened behind his back."""
    request = Request(arguments={"--max-model-len": spelled})
    if spelled == "25.6k":
        selection = selected("llama-3.1-8b-instruct", machine("l4"), request)
        assert selection.tier is Fit.RUNNABLE
        return
    with pytest.raises(NoProfileFitsError, match="--max-model-len="):
        selected("llama-3.1-8b-instruct", machine("l4"), request)


def test_a_context_that_is_left_to_the_engine_may_be_shortened() -> None:
    request = Request(arguments={"--max-model-len": "auto"})
    assert selected("llama-3.1-8b-instruct", machine("l4"), request).tier is Fit.LOW_MEMORY


@pytest.mark.parametrize("share", ["5", "0", "-1", "nan", "x"])
def test_a_share_that_cannot_be_is_for_the_engine_to_refuse(share: str) -> None:
    request = Request(arguments={"--gpu-memory-utilization": share})
    assert selected("llama-3.1-8b-instruct", machine("h100"), request).tier is Fit.RUNNABLE


def test_a_quantization_by_its_letter_is_planned_with() -> None:
    by_letter = selected("llama-3.1-8b-instruct", machine("l4"), Request(arguments={"-q": "fp8"}))
    plain = selected("llama-3.1-8b-instruct", machine("l4"))
    assert by_letter.estimate is not None
    assert plain.estimate is not None
    assert by_letter.estimate.longest_model_len > 2 * plain.estimate.longest_model_len


@pytest.mark.parametrize("flag", ["--data-parallel-size", "--data_parallel_size", "-dp"])
def test_each_engine_of_several_has_gpus_of_its_own(flag: str) -> None:
    request = Request(arguments={flag: "2"})
    hardware = machine("h100", 8, busy=(1,))
    assert selected("llama-3.1-70b-instruct", hardware, request).gpu_indices == (0, 2, 3, 4)
    with pytest.raises(NoProfileFitsError, match="needs 2 GPUs"):
        selected("llama-3.1-8b-instruct", machine("h100"), request)


def test_a_model_that_is_next_to_nothing_is_not_cut_up_unasked() -> None:
    config = {
        "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "hidden_size": 1024,
        "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
        "vocab_size": 250002, "max_position_embeddings": 8194,
    }  # fmt: skip
    hardware, facts = machine("h100", 8), read_model(config)
    selection = select(derive(facts, hardware), facts, hardware, Request())
    assert selection.profile.name == "vllm-bf16-tp1-pp1"
    asked = Request(tp=4)
    assert select(derive(facts, hardware), facts, hardware, asked).profile.tp == 4


def test_a_reason_that_many_share_is_said_once_to_people_and_each_time_to_programs() -> None:
    selection = selected("llama-3.1-8b-instruct", machine("h100", 8))
    lines = [line for line in selection.explanation() if "it is tuned for H200" in line]
    assert len(lines) == 1
    assert lines[0].startswith("- 8 profiles (vllm-h200-fp8-tp2-pp1-latency, ")
    reasons = [entry["reason"] for entry in selection.as_dict()["rejected"]]
    assert sum("it is tuned for H200" in reason for reason in reasons) == 8
