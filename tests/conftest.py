"""What all tiers share: one real server per session, and a clean environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import minilm as minilm_model
from tests.support import wait
from tests.support.caller import Caller
from tests.support.keys import KeysFile
from tests.support.media_origin import Authority
from tests.support.server import Server

if TYPE_CHECKING:
    from openai import OpenAI

CONFIGS = Path(__file__).parent / "data" / "configs"
TONE_WHISPER = CONFIGS.with_name("tone-whisper")
GUARDRAILS = Path(__file__).parents[1] / "deploy" / "examples" / "guardrails"
POLICIES = Path(__file__).with_name("support") / "policies.py"
DEMO = Path(__file__).parents[1] / "deploy" / "demo" / "unigate-demo"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow-factor",
        type=float,
        default=1.0,
        help="Stretches every time limit: for machines slower than two ordinary cores.",
    )


def pytest_configure(config: pytest.Config) -> None:
    wait.slow_factor = config.getoption("--slow-factor")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ends a server that others share comes behind them, and what looks at all, last."""
    late = ("ends_shared_server", "comes_last")
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in late[::-1]])


@pytest.fixture(scope="session")
def slow(request: pytest.FixtureRequest) -> float:
    factor: float = request.config.getoption("--slow-factor")
    return factor


@pytest.fixture(scope="session")
def demo() -> Path:
    """The built-in model's directory."""
    return DEMO


@pytest.fixture(scope="session")
def server(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with the built-in model, shared by all tests that leave it as it was."""
    log = tmp_path_factory.mktemp("server") / "log"
    # Few sequences at a time, so that a test can fill the engine.
    arguments = ("--max-num-seqs", "4", "--scheduling-policy", "priority")
    # Whatever has to be compiled would be missed here, as in an image without a compiler.
    environment = {"CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(log.parent / "inductor")}
    with Server(str(demo), *arguments, log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def hasty_server(
    demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A real server that gives requests little time, shared like `server`."""
    log = tmp_path_factory.mktemp("hasty-server") / "log"
    environment = {"UNIGATE_REQUEST_TIMEOUT_S": "3"}
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def caller(demo: Path, slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Of a real server as SageMaker runs it, with keys and middleware of its own."""
    place = tmp_path_factory.mktemp("sagemaker")
    keys = KeysFile(place / "keys.toml")
    keys.put("team")
    shutil.copy(POLICIES, place / "policies_of_ours.py")
    config = place / "middleware.yaml"
    config.write_text(
        "middleware:\n"
        "  - class: policies_of_ours.Policy\n"
        "    arguments: {forbidden: [dynamite]}\n"
        "  - class: policies_of_ours.Stamp\n"
        "    arguments: {stamp: seen}\n"
        "  - class: text_guardrail.Guardrail\n"
        "    arguments: {prompts: ['(?i)nitroglycerin'], answers: [swordfish]}\n"
    )
    environment = {
        "SAGEMAKER_BASE_DIR": "/opt/ml",
        "UNIGATE_API_KEYS_PATH": str(keys.path),
        "NIM_MIDDLEWARE_CONFIG_PATH": str(config),
        "PYTHONPATH": os.pathsep.join([str(GUARDRAILS), os.environ.get("PYTHONPATH", "")]),
        "NIM_PROXY_CLIENT_MAX_BODY_SIZE": "1m",
    }
    log = place / "log"
    with Server(str(demo), log=log, slow=slow, environment=environment) as running:
        assert running.get("/ping").status_code == 503  # before anything is loaded
        running.wait_until_ready()
        yield Caller(running, keys.header("team"))


@pytest.fixture
def client(server: Server) -> "OpenAI":
    """OpenAI's SDK, unmodified, that asks once."""
    from openai import OpenAI  # noqa: PLC0415  # half a second that unit tests need not wait for

    return OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The directory of a real embedding model, all-MiniLM-L6-v2, out of a package."""
    return minilm_model.directory()


@pytest.fixture(scope="session")
def embedding_server(slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with the embedding model, shared like `server`."""
    log = tmp_path_factory.mktemp("embedding-server") / "log"
    with minilm_model.serve(log=log, slow=slow) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def cross_encoder(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small reranker."""
    # Of all tests only a few need torch, which takes seconds to import.
    from tests.support.cross_encoder import make_cross_encoder  # noqa: PLC0415

    place = tmp_path_factory.mktemp("models") / "tiny-reranker"
    make_cross_encoder(minilm, place)
    return place


@pytest.fixture(scope="session")
def reranker(
    cross_encoder: Path, slow: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A real server with the reranker, shared like `server`."""
    log = tmp_path_factory.mktemp("reranker") / "log"
    # Few pairs at a time, so that a test can leave before many are done.
    arguments = ("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "4")
    with Server(str(cross_encoder), log=log, slow=slow, engine_arguments=arguments) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def speech_server(slow: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with a small Whisper, shared like `server`; it hears `tests.support.tones`."""
    log = tmp_path_factory.mktemp("speech-server") / "log"
    environment = {
        "NIM_SERVED_MODEL_NAME": "tones",
        "UNIGATE_MAX_AUDIO_MIB": "2",
        "UNIGATE_MAX_AUDIO_S": "400",
    }
    engine = ("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "2")
    with Server(
        str(TONE_WHISPER), log=log, slow=slow, environment=environment, engine_arguments=engine
    ) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who is trusted by the servers of tests that speak TLS with others."""
    return Authority()


@pytest.fixture(scope="session")
def vision_server(
    demo: Path, slow: float, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A real server with a model that sees, shared like `server`; it may fetch from here."""
    model = tmp_path_factory.mktemp("vision-server")
    writer = "tests.support.vision_model"
    subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-m", writer, str(model), str(demo)],
        check=True, cwd=Path(__file__).parents[1], capture_output=True,
    )  # fmt: skip
    environment = {
        "NIM_SERVED_MODEL_NAME": "eyes",
        "NIM_MAX_IMAGES_PER_PROMPT": "3",
        "UNIGATE_MEDIA_PRIVATE_NETWORKS": "127.0.0.1/32",
        "UNIGATE_MEDIA_TIMEOUT_S": f"{3 * slow:g}",
        "UNIGATE_MEDIA_MIB": "1",
        "UNIGATE_IMAGE_MEGAPIXELS": "1",
        "UNIGATE_IMAGE_REQUEST_MEGAPIXELS": "1.5",
        "SSL_CERT_FILE": str(authority.write(model / "authority.pem")),
    }
    plain = ("--dtype", "float32", "--enforce-eager")
    with Server(
        str(model), log=model / "log", slow=slow, environment=environment, engine_arguments=plain
    ) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def llama_70b(tmp_path: Path) -> Path:
    """A directory that says it is Llama 3.1 70B; nobody reads its weights before the choice."""
    model = tmp_path / "llama-3.1-70b-instruct"
    model.mkdir()
    shutil.copy(CONFIGS / "llama-3.1-70b-instruct.json", model / "config.json")
    return model
