"""Parameters counted from a config alone, against the published counts."""

import pytest

from profiles.memory import read_model
from tests.unit.profiles.memory.configs import KNOWN, LLAMA_8B, Config
from tests.unit.profiles.memory.observations import configs


@pytest.mark.parametrize(("config", "parameters"), KNOWN.values(), ids=KNOWN)
def test_a_config_is_enough_to_count_its_parameters(config: Config, parameters: int) -> None:
    assert read_model(config).parameters == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    "name", [name for name, config in configs().items() if config["total_params"]]
)
def test_the_measured_models_are_counted_too(name: str) -> None:
    config = configs()[name]
    assert read_model(config).weights.total_elements == pytest.approx(
        config["total_params"], rel=0.01
    )


def test_a_text_model_inside_another_is_found() -> None:
    wrapped = {
        "architectures": ["XForConditionalGeneration"],
        "thinker_config": {"text_config": LLAMA_8B},
    }
    assert read_model(wrapped).parameters == read_model(LLAMA_8B).parameters


def test_a_known_count_corrects_a_config_that_says_too_little() -> None:
    facts = read_model({"architectures": ["MysteryForCausalLM"]}, parameters=12_000_000_000)
    assert facts.weights.total_elements == pytest.approx(12_000_000_000, rel=1e-6)
    assert facts.is_guess


def test_a_count_that_only_rounds_is_not_believed_more_than_the_config() -> None:
    facts = read_model(LLAMA_8B, parameters=8_000_000_000)
    assert facts.weights.total_elements == pytest.approx(8_030_261_248, rel=1e-4)


@pytest.mark.parametrize("known", ["parameters", "index_bytes"])
def test_a_sum_with_mtp_layers_is_recognized(known: str) -> None:
    """What a checkpoint holds, and what vLLM loads of it."""
    config = {**LLAMA_8B, "num_hidden_layers": 4, "num_nextn_predict_layers": 1}
    counted = read_model(config).weights
    if known == "parameters":
        facts = read_model(config, parameters=counted.total_elements * 5 // 4)
    else:
        facts = read_model(config, index_bytes=round(counted.total_bytes * 5 / 4))
    assert facts.weights.total_elements == pytest.approx(counted.total_elements, rel=0.001)


def test_the_index_knows_the_size_best() -> None:
    facts = read_model(LLAMA_8B, index_bytes=9_000_000_000)
    assert facts.weights.total_bytes == pytest.approx(9_000_000_000, rel=1e-6)


# What google/gemma-3-4b-it and llava-hf/llava-1.5-7b-hf have in their config.json.
_GEMMA_3_4B: Config = {
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
    "mm_tokens_per_image": 256,
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
        "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    },
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 896,
        "intermediate_size": 4304, "num_hidden_layers": 27, "patch_size": 14,
    },
}  # fmt: skip
_LLAVA: Config = {
    "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
    "text_config": {"model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32064},
    "vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336,
        "intermediate_size": 4096, "num_hidden_layers": 24, "patch_size": 14,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "parameters", "length", "kv_heads"),
    [(_GEMMA_3_4B, 4.30e9, 131072, 4), (_LLAVA, 7.06e9, 4096, 32)],
    ids=["gemma-3-4b", "llava-1.5-7b"],
)
def test_what_an_inner_section_leaves_out_is_what_transformers_takes_for_granted(
    config: Config, parameters: float, length: int, kv_heads: int
) -> None:
    facts = read_model(config)
    assert facts.parameters == pytest.approx(parameters, rel=0.01)
    assert facts.max_model_len == length
    assert facts.num_key_value_heads == kv_heads
    assert not facts.is_guess


def test_a_config_of_its_own_has_no_defaults() -> None:
    assert read_model({"model_type": "gemma3_text", "hidden_size": 2560}).is_guess


def test_a_window_that_is_null_is_switched_off() -> None:
    inner = {"model_type": "mistral", "hidden_size": 5120, "sliding_window": None}
    layers = read_model({"model_type": "mistral3", "text_config": inner}).model.layers
    assert all(getattr(layer.mixer, "window", None) is None for layer in layers)


@pytest.mark.parametrize(
    ("name", "config", "parameters"),
    [
        (
            "modernbert-base",
            {
                "architectures": ["ModernBertForMaskedLM"], "model_type": "modernbert",
                "hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22,
                "num_attention_heads": 12, "vocab_size": 50368, "max_position_embeddings": 8192,
            },
            149e6,
        ),
        (
            "mamba-2.8b",
            {
                "architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 2560,
                "num_hidden_layers": 64, "state_size": 16, "time_step_rank": 160, "expand": 2,
                "intermediate_size": 5120, "conv_kernel": 4, "vocab_size": 50280,
            },
            2.768e9,
        ),
    ],
)  # fmt: skip
def test_families_whose_head_is_their_table_unless_they_say_no(
    name: str, config: Config, parameters: float
) -> None:
    assert read_model(config).parameters == pytest.approx(parameters, rel=0.01), name


def test_mistrals_own_config_has_other_words() -> None:
    """params.json of Mistral Small 24B."""
    params = {
        "dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 32768, "n_heads": 32,
        "n_kv_heads": 8, "vocab_size": 131072, "max_seq_len": 32768,
    }  # fmt: skip
    facts = read_model(params)
    assert facts.parameters == pytest.approx(23.57e9, rel=0.01)
    assert (facts.num_key_value_heads, facts.max_model_len) == (8, 32768)
    assert facts.architecture == "MistralForCausalLM"
    assert not facts.is_guess


def test_mistrals_own_config_has_experts_and_images_too() -> None:
    params = {
        "dim": 4096, "n_layers": 4, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32,
        "n_kv_heads": 8, "vocab_size": 32768,
        "moe": {"num_experts": 8, "num_experts_per_tok": 2},
        "vision_encoder": {
            "hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096,
            "num_attention_heads": 16, "image_size": 1024, "patch_size": 16,
        },
        "quantization": {"qformat_weight": "fp8_e4m3"},
    }  # fmt: skip
    facts = read_model(params)
    assert facts.is_moe
    assert facts.tower.elements > 300e6
    assert facts.precision == "fp8"
