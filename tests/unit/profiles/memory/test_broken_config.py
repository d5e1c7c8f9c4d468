"""A config that makes no sense gives a guess and says so; it never ends the program."""

from typing import Any

import pytest

from profiles.memory import EngineOptions, estimate, read_model
from tests.unit.profiles.memory.configs import DEEPSEEK_V3, LLAMA_8B, MAVERICK, QWEN3_NEXT, Config
from tests.unit.profiles.memory.observations import GIB, configs

_NONSENSE: tuple[Any, ...] = (
    None, "x", -1, 0, 10**12, [], {}, [0], ["a", None], {"a": 1}, 1.5, True, float("nan"),
)  # fmt: skip
_MORE_FIELDS = (
    "quantization_config", "layer_types", "rope_scaling", "sliding_window", "text_config",
    "hybrid_override_pattern", "linear_attn_config", "vision_config", "num_experts",
)  # fmt: skip
_VICTIMS = {
    "llama": LLAMA_8B,
    "deepseek": DEEPSEEK_V3,
    "qwen3-next": QWEN3_NEXT,
    "maverick": MAVERICK,
    "gpt-oss": dict(configs()["openai/gpt-oss-20b"]),
    "gemma-4": dict(configs()["cyankiwi/gemma-4-26B-A4B-it-qat-AWQ-INT4"]),
}


@pytest.mark.parametrize("config", _VICTIMS.values(), ids=_VICTIMS)
def test_no_nonsense_in_a_field_is_a_crash(config: Config) -> None:
    options = EngineOptions(
        gpu_memory_bytes=80 * GIB, tensor_parallel_size=3, pipeline_parallel_size=7
    )
    for name in (*config, *_MORE_FIELDS):
        for nonsense in _NONSENSE:
            estimate(read_model({**config, name: nonsense}), options)


@pytest.mark.parametrize(
    "config", [{}, {"architectures": ["NobodyKnowsForCausalLM"]}, {"hidden_size": 4096}]
)
def test_a_guess_is_called_one(config: Config) -> None:
    facts = read_model(config)
    assert facts.is_guess
    assert any("is a guess" in doubt for doubt in facts.doubts)


def test_an_unknown_architecture_with_usual_fields_is_no_guess() -> None:
    config = {**LLAMA_8B, "architectures": ["NobodyKnowsForCausalLM"], "model_type": "nobody"}
    assert not read_model(config).is_guess


@pytest.mark.parametrize("layers", [1001, 10**9])
def test_a_number_of_layers_that_cannot_be_is_cut(layers: int) -> None:
    facts = read_model({**LLAMA_8B, "num_hidden_layers": layers})
    assert facts.num_hidden_layers == 1000
    assert facts.is_guess


def test_an_encoder_and_decoder_is_estimated_with_a_warning() -> None:
    facts = read_model({**LLAMA_8B, "is_encoder_decoder": True})
    assert any("cross-attention" in doubt for doubt in facts.doubts)


@pytest.mark.parametrize("factor", [float("inf"), float("nan"), 1e308, -1.0, "4"])
@pytest.mark.parametrize("kind", ["yarn", "linear"])
def test_a_rope_factor_that_cannot_be_is_none(factor: Any, kind: str) -> None:
    rope = {"type": kind, "factor": factor, "original_max_position_embeddings": 131072}
    assert read_model({**LLAMA_8B, "rope_scaling": rope}).max_model_len == 131072


@pytest.mark.parametrize(
    "section",
    [
        {"quant_method": "gptq", "bits": 0, "group_size": -1},
        {"config_groups": {"group_0": {"weights": {"num_bits": -3}}}},
    ],
)
def test_weights_have_at_least_a_bit(section: Config) -> None:
    facts = read_model({**LLAMA_8B, "quantization_config": section})
    assert facts.weights.total_bytes > 0
    assert facts.precision not in ("int0", "int-3")
