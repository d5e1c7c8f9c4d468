"""What the engine is started with, and who said so."""

import pytest

from app.compose import Plan, plan
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


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_an_impossible_port_is_refused(port: str) -> None:
    with pytest.raises(BadSettingsError, match="--port"):
        planned(f"/m --port {port}")


def test_no_model_says_how_to_name_one() -> None:
    with pytest.raises(BadSettingsError, match="NIM_MODEL_PATH"):
        planned("")
