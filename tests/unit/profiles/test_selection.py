"""Which profile is chosen, and what is said of the others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from profiles.errors import (
    NoProfileFitsError,
    SelectionError,
    UnexpectedProfileError,
    UnknownProfileError,
)
from profiles.hardware import Hardware
from profiles.memory import Fit
from profiles.profile import Objective, Profile
from profiles.selection import appraise_all, select
from profiles.selection.request import Request
from tests.support.machines import MACHINES, gpu, machine, together
from tests.support.models import facts_of, profiles_of, selected

TABLE = yaml.safe_load((Path(__file__).parents[2] / "data" / "selections.yaml").read_text())
CPU_MEMORY_BYTES = 64 << 30


def cases() -> Iterator[object]:
    for name, row in TABLE.items():
        for model, expected in row.items():
            yield pytest.param(name, model, expected, id=f"{model} on {name}")


@pytest.mark.parametrize(("name", "model", "expected"), list(cases()))
def test_the_table_of_selections(name: str, model: str, expected: str) -> None:
    request = Request(host_memory_bytes=CPU_MEMORY_BYTES)
    if expected.startswith("no: "):
        with pytest.raises(NoProfileFitsError) as raised:
            selected(model, MACHINES[name], request)
        assert expected.removeprefix("no: ") in str(raised.value)
        return
    selection = selected(model, MACHINES[name], request)
    assert selection.profile.name == expected.lstrip("~")
    tier = Fit.LOW_MEMORY if expected.startswith("~") else Fit.RUNNABLE
    assert selection.tier is tier


def test_the_table_has_every_machine() -> None:
    assert TABLE.keys() == MACHINES.keys()


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("model", ["llama-3.1-8b-instruct", "gpt-oss-120b"])
def test_every_profile_that_was_not_chosen_has_a_sentence(name: str, model: str) -> None:
    profiles = profiles_of(model, MACHINES[name])
    try:
        selection = selected(model, MACHINES[name])
    except NoProfileFitsError:
        return
    assert {profile.id for profile, _ in selection.rejected} == {
        profile.id for profile in profiles
    } - {selection.profile.id}
    assert all(why for _, why in selection.rejected)


def test_a_70b_in_bf16_on_one_a100_with_40_gb_names_what_would_fit() -> None:
    with pytest.raises(NoProfileFitsError) as raised:
        selected("llama-3.1-70b-instruct", machine("a100-40gb"))
    message = str(raised.value)
    assert "1 x NVIDIA A100-SXM4-40GB with 39.4 GB" in message
    assert "131.4 of them for weights" in message
    ways = message.partition("What would help: ")[2].split("; or ")
    assert ways == [
        "8 x NVIDIA A100-SXM4-40GB (vllm-a100-bf16-tp8-pp1-latency)",
        "2 x H100 80 GB (vllm-h100-fp8-tp2-pp1-latency)",
        "1 x H200 141 GB (vllm-h200-fp8-tp1-pp1-throughput)",
    ]


def test_a_70b_on_8_h100_takes_all_of_them_in_fp8_and_says_so() -> None:
    selection = selected("llama-3.1-70b-instruct", machine("h100", 8))
    assert selection.profile.name == "vllm-h100-fp8-tp8-pp1-latency"
    assert selection.gpu_indices == tuple(range(8))
    assert selection.arguments["--tensor-parallel-size"] == "8"
    assert selection.arguments["--quantization"] == "fp8"
    assert any("answers differ" in warning for warning in selection.warnings)
    assert selection.summary == (
        f"vllm-h100-fp8-tp8-pp1-latency ({selection.profile.id[:12]}), chosen automatically; "
        "on 8 x NVIDIA H100 80GB HBM3 (0, 1, 2, 3, 4, 5, 6, 7); weights made FP8 while loading"
    )


def test_a_busy_gpu_is_not_used() -> None:
    selection = selected("llama-3.1-70b-instruct", machine("h100", 8, busy=(1, 3)))
    assert selection.gpu_indices == (0, 2, 4, 5)
    why = {profile.name: why for profile, why in selection.rejected}
    assert why["vllm-h100-fp8-tp8-pp1-latency"] == (
        "it needs 8 GPUs, and there are 6 of 8 x NVIDIA H100 80GB HBM3 free (in use: 1, 3)"
    )


def test_the_way_out_may_be_a_gpu_that_is_in_use() -> None:
    with pytest.raises(NoProfileFitsError, match=r"free GPU 1 .NVIDIA H100 80GB HBM3., in use now"):
        selected("llama-3.1-70b-instruct", machine("h100", 2, busy=(1,)))


def test_all_gpus_busy_is_not_a_reason_to_serve_from_the_cpu() -> None:
    with pytest.raises(NoProfileFitsError, match="free GPU 0"):
        selected("llama-3.1-8b-instruct", machine("h100", busy=(0,)))


@pytest.mark.parametrize("model", ["llama-3.1-70b-instruct", "llama-3.1-8b-instruct"])
def test_the_gpus_of_a_profile_are_alike(model: str) -> None:
    hardware = together(machine("l40s", 2), machine("h100", 2))
    selection = selected(model, hardware)
    assert selection.profile.gpu == "h100"
    assert selection.gpu_indices == (2, 3)


def test_slices_of_a_gpu_do_not_work_together() -> None:
    hardware = Hardware(gpus=tuple(gpu("h100", index, mig="3g.40gb") for index in range(2)))
    selection = selected("llama-3.1-8b-instruct", hardware)
    assert selection.profile.tp == 1
    why = {profile.name: why for profile, why in selection.rejected}
    assert why["vllm-h100-fp8-tp2-pp1-latency"] == "slices of a GPU (MIG) cannot work together"


def test_without_a_gpu_it_is_the_cpu_in_float32() -> None:
    selection = selected("llama-3.1-8b-instruct", Hardware())
    assert selection.arguments == {
        "--tensor-parallel-size": "1",
        "--pipeline-parallel-size": "1",
        "--dtype": "float32",
        "--enforce-eager": "",
    }
    assert selection.estimate is None
    assert selection.gpu_indices == ()


def test_a_driver_that_fails_does_not_end_in_serving_from_the_cpu_unasked() -> None:
    hardware = MACHINES["failing driver"]
    with pytest.raises(NoProfileFitsError, match="NIM_MODEL_PROFILE=vllm-cpu-fp32-tp1-pp1"):
        selected("llama-3.1-8b-instruct", hardware)
    pinned = selected("llama-3.1-8b-instruct", hardware, Request(profile="vllm-cpu-fp32-tp1-pp1"))
    assert pinned.profile.gpu == "cpu"


# LoRA


def test_lora_profiles_are_for_when_lora_is_on() -> None:
    off = selected("llama-3.1-8b-instruct", machine("h100"))
    assert not off.profile.lora
    assert "LoRA is off" in {why for profile, why in off.rejected if profile.lora}
    on = selected("llama-3.1-8b-instruct", machine("h100"), Request(lora=True))
    assert on.profile.name == f"{off.profile.name}-lora"
    assert on.arguments["--enable-lora"] == ""
    why = {profile.id: why for profile, why in on.rejected}
    assert why[off.profile.id] == "LoRA is on, and it serves no adapters"


def test_a_pin_without_lora_contradicts_lora() -> None:
    request = Request(lora=True, profile="vllm-h100-fp8-tp1-pp1-throughput")
    with pytest.raises(SelectionError, match="LoRA is on, and it serves no adapters: change one"):
        selected("llama-3.1-8b-instruct", machine("h100"), request)


# Lengths, and what else the user sets


def test_low_memory_shortens_the_context_and_says_so() -> None:
    selection = selected("llama-3.1-8b-instruct", machine("l4"))
    length = int(selection.arguments["--max-model-len"])
    assert 2048 <= length < 131072
    assert selection.estimate is not None
    assert length == selection.estimate.longest_model_len
    assert any("shortened" in warning for warning in selection.warnings)


def test_a_length_that_was_asked_for_is_never_shortened() -> None:
    with pytest.raises(NoProfileFitsError, match=r"What would help: --max-model-len=\d+ \(vllm-"):
        selected("llama-3.1-8b-instruct", machine("l4"), Request(max_model_len=131072))
    shorter = selected("llama-3.1-8b-instruct", machine("l4"), Request(max_model_len=4096))
    assert shorter.tier is Fit.RUNNABLE
    assert "--max-model-len" not in shorter.arguments


def test_the_engine_gets_no_more_than_is_free() -> None:
    crowded = replace(gpu("h100"), free_bytes=60 << 30)
    selection = selected("llama-3.1-8b-instruct", Hardware(gpus=(crowded,)))
    assert selection.arguments["--gpu-memory-utilization"] == "0.75"
    assert any("is not free" in warning for warning in selection.warnings)


def test_a_share_that_the_user_sets_is_left_alone() -> None:
    crowded = replace(gpu("h100"), free_bytes=60 << 30)
    request = Request(arguments={"--gpu_memory_utilization": "0.8"})
    selection = selected("llama-3.1-8b-instruct", Hardware(gpus=(crowded,)), request)
    assert "--gpu-memory-utilization" not in selection.arguments


def test_memory_is_planned_with_the_flags_of_the_user() -> None:
    plain = selected("llama-3.1-8b-instruct", machine("l4"))
    request = Request(arguments={"--kv-cache-dtype": "fp8"})
    smaller = selected("llama-3.1-8b-instruct", machine("l4"), request)
    assert int(smaller.arguments["--max-model-len"]) > int(plain.arguments["--max-model-len"])


def test_tp_and_pp_of_the_user_decide() -> None:
    request = Request(tp=2, pp=2)
    selection = selected("llama-3.1-8b-instruct", machine("h100", 4), request)
    assert (selection.profile.tp, selection.profile.pp) == (2, 2)
    assert len(selection.gpu_indices) == 4


def test_a_tp_that_does_not_divide_the_heads_is_refused_with_the_number() -> None:
    with pytest.raises(NoProfileFitsError, match="32 attention heads cannot be split over 3 GPUs"):
        selected("llama-3.1-8b-instruct", machine("h100", 4), Request(tp=3))


def test_a_wish_for_throughput_comes_before_latency() -> None:
    request = Request(objective=Objective.THROUGHPUT)
    selection = selected("llama-3.1-8b-instruct", machine("h100", 2), request)
    assert selection.profile.name == "vllm-h100-fp8-tp1-pp1-throughput"
    why = {profile.name: why for profile, why in selection.rejected}
    assert why["vllm-h100-fp8-tp2-pp1-latency"].endswith("throughput comes first, as asked for")


def test_a_precision_that_changes_answers_is_not_taken_unasked() -> None:
    """On an L4 nothing is tuned for this model: FP8 would fit better, but is only offered."""
    selection = selected("llama-3.1-8b-instruct", machine("l4"))
    assert selection.profile.precision == "bf16"
    pinned = selected("llama-3.1-8b-instruct", machine("l4"), Request(profile="vllm-fp8-tp1-pp1"))
    assert pinned.profile.arguments["--quantization"] == "fp8"


# Pins


def spellings() -> Iterator[object]:
    (profile,) = [
        profile
        for profile in profiles_of("llama-3.1-8b-instruct", machine("h100"))
        if profile.name == "vllm-bf16-tp1-pp1"
    ]
    texts = {
        "id": profile.id,
        "upper case id": profile.id.upper(),
        "prefix": profile.id[:8],
        "name": "vllm-bf16-tp1-pp1",
        "without pp": "vllm-bf16-tp1",
        "upper case": "VLLM-BF16-TP1-PP1",
        "with gigabytes": "vllm-bf16-tp1-pp1-38.0",
        "line": f"{profile.id} (vllm-bf16-tp1-pp1-38.0) [requires >=38 GB/gpu]",
        "line with bullet": f"  - {profile.id} (vllm-bf16-tp1-pp1-38.0) [requires >=38 GB/gpu]",
        "line without tail": f"{profile.id} (vllm-bf16-tp1-pp1)",
        "line with a stale id": f"{'0' * 64} (vllm-bf16-tp1-pp1-38.0) [requires >=38 GB/gpu]",
        "name with tail": "vllm-bf16-tp1-pp1-38.0 [requires >=38 GB/gpu]",
    }
    for label, text in texts.items():
        yield pytest.param(text, profile.id, id=label)


@pytest.mark.parametrize(("text", "id_"), list(spellings()))
def test_every_spelling_pins(text: str, id_: str) -> None:
    selection = selected("llama-3.1-8b-instruct", machine("h100"), Request(profile=text))
    assert selection.profile.id == id_
    assert selection.is_pinned
    assert "pinned" in selection.summary


@pytest.mark.parametrize("text", ["default", "DEFAULT", "", " ", None])
def test_default_leaves_the_choice_to_us(text: str | None) -> None:
    selection = selected("llama-3.1-8b-instruct", machine("h100"), Request(profile=text))
    assert not selection.is_pinned


def test_a_pin_with_low_memory_gets_the_shorter_context_and_a_warning() -> None:
    selection = selected(
        "llama-3.1-70b-instruct", machine("h100"), Request(profile="vllm-h100-fp8-tp1-throughput")
    )
    assert selection.tier is Fit.LOW_MEMORY
    assert "--max-model-len" in selection.arguments
    assert selection.warnings


def test_a_pin_that_cannot_run_says_why_and_what_would_help() -> None:
    request = Request(profile="vllm-bf16-tp8-pp1")
    with pytest.raises(NoProfileFitsError, match=r"pins .*: .*needs 8 GPUs.*What would help"):
        selected("llama-3.1-8b-instruct", machine("h100"), request)


def test_a_pin_for_another_gpu_runs_with_a_warning() -> None:
    request = Request(profile="vllm-h200-fp8-tp1-pp1-throughput")
    selection = selected("llama-3.1-8b-instruct", machine("h100"), request)
    assert selection.profile.gpu == "h200"
    assert "it was tuned for H200" in selection.warnings


def test_an_unknown_pin_names_the_nearest() -> None:
    request = Request(profile="vllm-bf17-tp1-pp1")
    with pytest.raises(UnknownProfileError, match=r"the nearest are .*vllm-bf16-tp1-pp1"):
        selected("llama-3.1-8b-instruct", machine("h100"), request)


def test_a_pin_that_contradicts_tp_is_refused() -> None:
    request = Request(profile="vllm-bf16-tp1-pp1", tp=2)
    with pytest.raises(SelectionError, match="TP 2 is asked for"):
        selected("llama-3.1-8b-instruct", machine("h100", 2), request)


# Expectations


@pytest.mark.parametrize("expected", ["vllm-h100-fp8-tp8-pp1-latency", "vllm-fp8-tp8", "default"])
def test_an_expectation_that_is_met_says_nothing(expected: str) -> None:
    request = Request(expected=expected)
    selected("llama-3.1-70b-instruct", machine("h100", 8), request)


def test_an_expectation_that_is_not_met_names_both_and_the_reason() -> None:
    request = Request(expected="vllm-fp8-tp8")
    with pytest.raises(UnexpectedProfileError) as raised:
        selected("llama-3.1-70b-instruct", machine("h100", 8, busy=(7,)), request)
    message = str(raised.value)
    assert "expects vllm-fp8-tp8-pp1, and" in message
    assert "the choice is vllm-h100-fp8-tp4-pp1-latency" in message
    assert "in use: 7" in message


def test_an_expectation_that_names_nothing_is_refused() -> None:
    with pytest.raises(UnknownProfileError, match="there is no profile 'vllm-fp9-tp8'"):
        selected("llama-3.1-8b-instruct", machine("h100"), Request(expected="vllm-fp9-tp8"))


# Explanations


def test_the_choice_explains_itself_line_by_line_and_to_programs() -> None:
    selection = selected("llama-3.1-8b-instruct", machine("h100", 2))
    lines = selection.explanation()
    assert lines[0] == selection.summary
    assert selection.profile.source in lines[1]
    assert (
        "- vllm-h100-bf16-tp2-pp1-latency: it fits, but vllm-h100-fp8-tp2-pp1-latency is "
        "preferred: the lower precision comes first (fp8)"
    ) in lines
    facts = selection.as_dict()
    assert facts["profile"] == selection.profile.id
    assert facts["gpus"] == [0, 1]
    assert len(facts["rejected"]) == len(selection.rejected)


def test_the_order_of_the_profiles_does_not_matter() -> None:
    hardware = machine("h100", 8)
    profiles = profiles_of("qwen3-32b", hardware)
    one = select(profiles, facts_of("qwen3-32b"), hardware, Request())
    other = select(profiles[::-1], facts_of("qwen3-32b"), hardware, Request())
    assert one.profile.id == other.profile.id


def test_profiles_are_appraised_best_first() -> None:
    hardware = machine("h100", 2)
    profiles = profiles_of("llama-3.1-8b-instruct", hardware)
    appraisals = appraise_all(profiles, facts_of("llama-3.1-8b-instruct"), hardware, Request())
    orders = [appraisal.order for appraisal in appraisals]
    assert orders == sorted(orders)


def test_a_profile_with_weights_of_its_own_is_planned_with_their_precision() -> None:
    hardware = MACHINES["1xH200"]
    same = Profile(precision="bf16", tp=1)
    other = Profile(precision="fp8", tp=1, weights="hf://org/llama-3.1-70b-instruct-fp8")
    facts = facts_of("llama-3.1-70b-instruct")
    full, half = (
        appraise_all([profile], facts, hardware, Request())[0] for profile in (same, other)
    )
    assert full.estimate is not None
    assert half.estimate is not None
    assert half.estimate.weights_bytes < 0.55 * full.estimate.weights_bytes
