"""What the user wants served, and who said so."""

import json
from pathlib import Path

import pytest

from app.plan import Plan, plan
from app.settings import BadSettingsError, read


def planned(words: str, **environment: str) -> Plan:
    return plan(read(environment), words.split())


def test_the_command_line_wins_over_passthrough_over_variables() -> None:
    environment = {
        "NIM_MODEL_PATH": "/models/variable",
        "NIM_MAX_MODEL_LEN": "1",
        "NIM_TENSOR_PARALLEL_SIZE": "2",
        "NIM_PASSTHROUGH_ARGS": "--max-model-len 3 --tensor-parallel-size 4 --model /models/text",
    }
    made = planned("--max-model-len 5", **environment)
    assert {item.flag: item.values for item in made.arguments} == {
        "--max-model-len": ("5",),
        "--tensor-parallel-size": ("4",),
    }
    assert made.source.name == "text"
    assert planned("/models/word", **environment).source.name == "word"


@pytest.mark.parametrize(
    ("words", "environment", "names"),
    [
        ("/models/llama", {}, ("llama",)),
        ("hf://org/llama", {}, ("org/llama",)),
        ("/models/llama", {"NIM_SERVED_MODEL_NAME": "a,b"}, ("a", "b")),
        ("/m --served-model-name c d", {"NIM_SERVED_MODEL_NAME": "a"}, ("c", "d")),
    ],
)
def test_the_served_name_is_never_a_path(
    words: str, environment: dict[str, str], names: tuple[str, ...]
) -> None:
    assert planned(words, **environment).served_names == names


def test_host_and_port_are_understood_as_vllm_writes_them() -> None:
    made = planned("/m --host ::1 --port 0", NIM_SERVER_PORT="9")
    assert (made.host, made.port) == ("::1", 0)
    assert made.arguments == ()


@pytest.mark.parametrize(
    ("line", "environment", "port", "source"),
    [
        ("/m", {}, 8000, "default"),
        ("/m", {"NIM_SAGEMAKER_MODE": "1"}, 8080, "NIM_SAGEMAKER_MODE"),
        ("/m", {"SAGEMAKER_BASE_DIR": "/opt/ml"}, 8080, "SAGEMAKER_BASE_DIR"),
        ("/m", {"SAGEMAKER_BIND_TO_PORT": "9001"}, 9001, "SAGEMAKER_BIND_TO_PORT"),
        ("/m", {"SAGEMAKER_BIND_TO_PORT": "9001", "NIM_SAGEMAKER_MODE": "0"}, 8000, "default"),
        ("/m", {"NIM_SAGEMAKER_MODE": "1", "NIM_SERVER_PORT": "8000"}, 8000, "NIM_SERVER_PORT"),
        ("/m", {"NIM_SAGEMAKER_MODE": "1", "NIM_HTTP_API_PORT": "9"}, 9, "NIM_HTTP_API_PORT"),
        ("/m --port 9", {"NIM_SAGEMAKER_MODE": "1"}, 9, "command line"),
    ],
)
def test_sagemakers_port_counts_where_no_other_is_set(
    line: str, environment: dict[str, str], port: int, source: str
) -> None:
    made = planned(line, **environment)
    assert (made.port, made.sources["port"]) == (port, source)


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_an_impossible_port_is_refused(port: str) -> None:
    with pytest.raises(BadSettingsError, match="--port"):
        planned(f"/m --port {port}")


def test_no_model_says_how_to_name_one() -> None:
    with pytest.raises(BadSettingsError, match="NIM_MODEL_PATH"):
        planned("")


def write_runtime_config(directory: Path, value: object) -> None:
    (directory / "runtime_config.json").write_text(json.dumps(value))


def test_a_models_runtime_config_is_below_the_variables(tmp_path: Path) -> None:
    write_runtime_config(
        tmp_path,
        {
            "max_model_len": 1,
            "max-num-seqs": 2,
            "enforce_eager": True,
            "enable-prefix-caching": False,
            "limit_mm_per_prompt": {"image": 1},
            "dtype": None,
            "NIM_PASSTHROUGH_ARGS": "--max-num-seqs 3 --seed 4",
        },
    )
    made = planned(str(tmp_path), NIM_MAX_MODEL_LEN="5")
    assert {item.flag: item.values for item in made.arguments} == {
        "--max-num-seqs": ("2",),
        "--seed": ("4",),
        "--max-model-len": ("5",),
        "--enforce-eager": (),
        "--no-enable-prefix-caching": (),
        "--limit-mm-per-prompt": ('{"image": 1}',),
    }
    sources = {item.flag: item.source for item in made.arguments}
    assert sources["--seed"] == "runtime_config.json"
    assert sources["--max-model-len"] == "NIM_MAX_MODEL_LEN"


@pytest.mark.parametrize(
    "value", [[], "text", {"NIM_PASSTHROUGH_ARGS": 3}, {"NIM_PASSTHROUGH_ARGS": "'"}]
)
def test_a_runtime_config_that_is_none_is_refused(tmp_path: Path, value: object) -> None:
    write_runtime_config(tmp_path, value)
    with pytest.raises(BadSettingsError, match=r"runtime_config\.json"):
        planned(str(tmp_path))


ADAPTERS = ("--enable-lora", "--max-lora-rank", "--max-loras", "--max-cpu-loras")


@pytest.mark.parametrize(
    ("environment", "words", "values"),
    [
        ({}, "", ("", "32", "8", "16")),
        ({"NIM_MAX_GPU_LORAS": "20"}, "", ("", "32", "20", "20")),
        ({"NIM_MAX_LORA_RANK": "64", "NIM_MAX_CPU_LORAS": "9"}, "", ("", "64", "8", "9")),
        ({"NIM_MAX_LORA_RANK": "64"}, "--max-lora-rank 8", ("", "8", "8", "16")),
    ],
)
def test_a_source_of_adapters_switches_lora_on(
    tmp_path: Path, environment: dict[str, str], words: str, values: tuple[str, ...]
) -> None:
    made = planned(f"/m {words}", NIM_PEFT_SOURCE=str(tmp_path), **environment)
    given = {item.flag: " ".join(item.values) for item in made.arguments}
    assert tuple(given[flag] for flag in ADAPTERS) == values


def test_without_adapters_lora_is_off() -> None:
    assert planned("/m", NIM_MAX_LORA_RANK="64").arguments == ()


@pytest.mark.parametrize(
    ("environment", "words", "named"),
    [
        ({"NIM_PEFT_SOURCE": "/no/such/place"}, "", "NIM_PEFT_SOURCE"),
        ({"NIM_PEFT_SOURCE": "/"}, "--no-enable-lora", "--no-enable-lora"),
        (
            {"NIM_PEFT_SOURCE": "/", "NIM_MAX_GPU_LORAS": "4", "NIM_MAX_CPU_LORAS": "2"},
            "",
            "NIM_MAX_CPU_LORAS",
        ),
    ],
)
def test_adapters_that_cannot_be_served_end_the_start(
    environment: dict[str, str], words: str, named: str
) -> None:
    with pytest.raises(BadSettingsError, match=named):
        planned(f"/m {words}", **environment)
