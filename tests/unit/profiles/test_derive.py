"""Profiles for models that nobody has tuned."""

import pytest

from profiles.derive import derive
from profiles.hardware import Hardware
from profiles.memory import ModelFacts, read_model
from profiles.offer import offer
from profiles.parallelism import cannot_split, gpu_counts, splits_blocks
from tests.support.machines import machine, together
from tests.support.models import config_of, facts_of

MODEL = "llama-3.1-8b-instruct"


def names(model: ModelFacts, hardware: Hardware, **asked: int) -> list[str]:
    return [p.name for p in derive(model, hardware, **asked) if not p.lora and not p.needs_pin]


def altered(**changes: object) -> ModelFacts:
    return read_model(config_of(MODEL) | changes)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, (1, 2, 4, 8)), (1, (1, 2, 4, 8)), (3, (1, 2, 3, 4, 8)), (16, (1, 2, 4, 8, 16))],
)
def test_profiles_are_for_the_usual_numbers_of_gpus_and_for_all_that_are_here(
    count: int, expected: tuple[int, ...]
) -> None:
    assert gpu_counts(machine("h100", count)) == expected


def test_one_gpu_has_no_pipeline_but_the_larger_profiles_are_listed() -> None:
    assert names(facts_of(MODEL), machine("h100")) == [
        "vllm-bf16-tp1-pp1", "vllm-bf16-tp2-pp1", "vllm-bf16-tp4-pp1", "vllm-bf16-tp8-pp1",
    ]  # fmt: skip


def test_four_gpus_have_every_split() -> None:
    assert set(names(facts_of(MODEL), machine("h100", 4))) >= {
        "vllm-bf16-tp1-pp2", "vllm-bf16-tp1-pp4", "vllm-bf16-tp2-pp2", "vllm-bf16-tp4-pp1",
    }  # fmt: skip


def test_three_gpus_make_a_pipeline_where_the_heads_do_not_divide() -> None:
    made = names(facts_of(MODEL), machine("h100", 3))
    assert "vllm-bf16-tp1-pp3" in made
    assert "vllm-bf16-tp3-pp1" not in made


@pytest.mark.parametrize(
    ("heads", "kv_heads", "tp", "sentence"),
    [
        (32, 8, 8, None),
        (32, 8, 16, None),  # copied twice
        (32, 8, 3, "32 attention heads cannot be split over 3 GPUs"),
        (28, 4, 8, "28 attention heads cannot be split over 8 GPUs"),
        (24, 3, 2, "3 key-value heads cannot be split over 2 GPUs, nor copied evenly"),
        (71, 1, 1, None),
        (64, 1, 8, None),
    ],
)
def test_a_split_is_refused_as_the_engine_would(
    heads: int, kv_heads: int, tp: int, sentence: str | None
) -> None:
    model = altered(
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=64, hidden_size=heads * 64
    )
    assert cannot_split(model, tp=tp, pp=1) == sentence


def test_a_pipeline_has_a_layer_for_each_stage() -> None:
    model = altered(num_hidden_layers=2)
    assert cannot_split(model, tp=1, pp=3) == "2 layers cannot make 3 stages of a pipeline"
    assert "vllm-bf16-tp1-pp4" not in names(model, machine("h100", 4))


def test_what_is_asked_for_is_offered_even_if_it_cannot_be() -> None:
    assert "vllm-bf16-tp3-pp2" in names(facts_of(MODEL), machine("h100", 8), tp=3, pp=2)


def test_each_has_a_twin_with_lora() -> None:
    profiles = derive(facts_of(MODEL), machine("h100", 2))
    plain = {p.name for p in profiles if not p.lora}
    assert {p.name.removesuffix("-lora") for p in profiles if p.lora} == plain


@pytest.mark.parametrize(
    ("kind", "precisions"),
    [
        ("h100", {"bf16": False, "fp8": True}),
        ("l4", {"bf16": False, "fp8": True}),
        ("a100", {"bf16": False}),
        ("t4", {"bf16": False, "fp16": False}),
    ],
)
def test_another_precision_than_the_checkpoints_needs_a_pin(
    kind: str, precisions: dict[str, bool]
) -> None:
    profiles = derive(facts_of(MODEL), machine(kind))
    assert {profile.precision: profile.needs_pin for profile in profiles} == precisions


def test_float16_is_not_for_models_that_overflow_in_it() -> None:
    model = altered(model_type="gemma2", architectures=["Gemma2ForCausalLM"])
    assert {p.precision for p in derive(model, machine("t4"))} == {"bf16"}


def test_a_quantized_checkpoint_keeps_its_precision() -> None:
    profiles = derive(facts_of("gpt-oss-120b"), machine("h100", 2))
    assert {profile.precision for profile in profiles} == {"mxfp4"}
    assert not any(profile.arguments for profile in profiles)


def test_ids_do_not_depend_on_the_machine() -> None:
    one = {p.name: p.id for p in derive(facts_of(MODEL), machine("h100", 8))}
    other = {p.name: p.id for p in derive(facts_of(MODEL), machine("l40s", 2))}
    assert one.keys() >= other.keys()
    assert {name: one[name] for name in other} == other


def test_a_mixed_machine_has_the_precisions_of_all_its_gpus() -> None:
    profiles = derive(facts_of(MODEL), together(machine("t4"), machine("h100")))
    assert {profile.precision for profile in profiles} == {"bf16", "fp16", "fp8"}


def test_a_machine_without_a_gpu_has_profiles_of_its_own() -> None:
    plain, lora = derive(facts_of(MODEL), Hardware())
    assert plain.name == "vllm-cpu-fp32-tp1-pp1"
    assert plain.arguments == {"--dtype": "float32", "--enforce-eager": ""}
    assert plain.gpu_count == 0
    assert lora.lora
    quantized, _ = derive(facts_of("gpt-oss-120b"), Hardware())
    assert quantized.name == "vllm-cpu-mxfp4-tp1-pp1"
    assert "--dtype" not in quantized.arguments


FP8_BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}
COMPRESSED = {
    "quant_method": "compressed-tensors",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
}


@pytest.mark.parametrize(
    ("config", "tp", "sentence"),
    [
        # Qwen3-30B-A3B-FP8, Qwen2.5-72B-AWQ: both fail at TP 8 in the engine.
        (
            {"moe_intermediate_size": 768, "quantization_config": FP8_BLOCKS},
            8,
            "moe_intermediate_size 768 in blocks of 128 cannot be split over 8 GPUs",
        ),
        ({"moe_intermediate_size": 768, "quantization_config": FP8_BLOCKS}, 2, None),
        (
            {"intermediate_size": 29568, "quantization_config": AWQ},
            8,
            "intermediate_size 29568 in blocks of 128 cannot be split over 8 GPUs",
        ),
        ({"intermediate_size": 29568, "quantization_config": COMPRESSED}, 8, "cannot be split"),
        ({"intermediate_size": 29568, "quantization_config": COMPRESSED}, 1, None),
        ({"intermediate_size": 29568}, 8, None),
        ({"text_config": {"intermediate_size": 100}, "quantization_config": AWQ}, 2, "of 128"),
        (None, 8, None),
    ],
)
def test_blocks_of_quantized_weights_are_not_split(
    config: dict[str, object] | None, tp: int, sentence: str | None
) -> None:
    found = splits_blocks(config, tp=tp)
    assert (found is None) is (sentence is None)
    assert sentence is None or sentence in str(found)


def test_a_split_that_quantization_forbids_is_offered_only_when_asked_for() -> None:
    config = config_of("deepseek-r1") | {"moe_intermediate_size": 768}
    model = facts_of("deepseek-r1")
    hardware = machine("h200", 8)
    assert {p.tp for p in offer(config, model, hardware, name="x")} == {1, 2}
    assert 8 in {p.tp for p in offer(config, model, hardware, name="x", tp=8)}
