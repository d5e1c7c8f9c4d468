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
