"""Settings: read, refused, warned about."""

import pytest

from app.nim_variables import NOT_SUPPORTED, TOLERATED
from app.settings import BadSettingsError, Settings, names_of, read


def test_the_first_variable_of_a_setting_wins() -> None:
    resolved = read({"NIM_HTTP_API_PORT": "1", "NIM_SERVER_PORT": "2"})
    assert resolved.settings.port == 2
    assert resolved.sources["port"] == "NIM_SERVER_PORT"


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read({"NIM_SERVER_PORT": ""}).settings.port == 8000


@pytest.mark.parametrize("word", ["1", "true", "True", "YES", "on"])
def test_booleans_are_read_as_operators_write_them(word: str) -> None:
    assert read({"NIM_TRUST_CUSTOM_CODE": word}).settings.trust_custom_code


@pytest.mark.parametrize(("word", "level"), [("debug", "DEBUG"), ("DEFAULT", "INFO")])
def test_log_levels_are_read_in_any_case(word: str, level: str) -> None:
    assert read({"NIM_LOG_LEVEL": word}).settings.log_level == level


def test_every_wrong_value_is_named_and_none_is_shown() -> None:
    with pytest.raises(BadSettingsError) as caught:
        read({"NIM_SERVER_PORT": "secret-port", "NIM_MAX_MODEL_LEN": "secret-length"})
    assert "NIM_SERVER_PORT" in str(caught.value)
    assert "NIM_MAX_MODEL_LEN" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_misspelt_variable_is_warned_about_with_the_nearest_name() -> None:
    (warning,) = read({"NIM_SEVER_PORT": "1"}).warnings
    assert "NIM_SEVER_PORT" in warning
    assert "NIM_SERVER_PORT" in warning


def test_a_misspelt_variable_is_an_error_in_strict_mode() -> None:
    with pytest.raises(BadSettingsError, match="UNIGATE_DRAIN_DELAY_S"):
        read({"UNIGATE_DRAIN_DELAI_S": "1", "UNIGATE_STRICT_ENV": "1"})


def test_a_variable_without_effect_says_what_to_do() -> None:
    (warning,) = read({"NIM_KVCACHE_PERCENT": "0.5"}).warnings
    assert "--gpu-memory-utilization" in warning


def test_a_key_that_nobody_checks_is_not_passed_over_in_silence() -> None:
    (warning,) = read({"VLLM_API_KEY": "secret"}).warnings
    assert "UNIGATE_API_KEYS_PATH" in warning
    assert "secret" not in warning


def test_what_operators_inject_is_not_worth_a_word() -> None:
    assert read(dict.fromkeys(TOLERATED, "1")).warnings == ()


def test_no_variable_is_in_two_lists() -> None:
    known = {name for setting in Settings.model_fields for name in names_of(setting)}
    assert not known & NOT_SUPPORTED.keys()
    assert not known & TOLERATED
    assert not TOLERATED & NOT_SUPPORTED.keys()


def test_a_token_is_never_printed() -> None:
    settings = read({"HF_TOKEN": "hf_secret"}).settings
    assert "hf_secret" not in repr(settings)
    assert "hf_secret" not in str(settings.hf_token)


def test_served_names_are_separated_by_commas() -> None:
    assert read({"NIM_SERVED_MODEL_NAME": "a, b,"}).settings.served_names == ("a", "b")


@pytest.mark.parametrize("rank", ["0", "20", "x", "1024"])
def test_a_rank_that_the_engine_has_not_is_refused(rank: str) -> None:
    with pytest.raises(BadSettingsError, match="NIM_MAX_LORA_RANK"):
        read({"NIM_MAX_LORA_RANK": rank})


def test_settings_of_adapters_without_adapters_are_warned_about() -> None:
    environment = {"NIM_PEFT_REFRESH_INTERVAL": "30", "NIM_MAX_LORA_RANK": "64"}
    assert len(read(environment).warnings) == 2
    assert read({**environment, "NIM_PEFT_SOURCE": "/loras"}).warnings == ()


def test_networks_are_separated_by_commas_and_judged() -> None:
    name = "UNIGATE_MEDIA_PRIVATE_NETWORKS"
    networks = read({name: "10.1.0.0/16, fd12::/64,"}).settings.media_private_networks
    assert [str(network) for network in networks] == ["10.1.0.0/16", "fd12::/64"]
    for wrong in ("10.1.0.0/33", "example.com", "10.1.0.1/16"):
        with pytest.raises(BadSettingsError, match=name):
            read({name: wrong})


def test_what_configures_vllms_own_fetching_is_said_to_do_nothing() -> None:
    (warning,) = read({"VLLM_IMAGE_FETCH_TIMEOUT": "9"}).warnings
    assert "UNIGATE_MEDIA_TIMEOUT_S" in warning


@pytest.mark.parametrize("word", ["mtls", "MTLS", "Mtls"])
def test_encryption_is_chosen_in_any_case(word: str) -> None:
    files = ("NIM_SSL_KEY_PATH", "NIM_SSL_CERT_PATH", "NIM_SSL_CA_CERTS_PATH")
    settings = read({"NIM_SSL_MODE": word, **dict.fromkeys(files, "/some/file")}).settings
    assert settings.ssl_mode == "MTLS"
    assert str(settings.ssl_certs_path) == "/some/file"


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"NIM_SSL_MODE": "TLS"}, "NIM_SSL_KEY_PATH and NIM_SSL_CERTS_PATH"),
        ({"NIM_SSL_MODE": "TLS", "NIM_SSL_KEY_PATH": "k"}, "NIM_SSL_CERTS_PATH"),
        (
            {"NIM_SSL_MODE": "MTLS", "NIM_SSL_KEY_PATH": "k", "NIM_SSL_CERTS_PATH": "c"},
            "NIM_SSL_CA_CERTS_PATH",
        ),
        ({"NIM_SSL_MODE": "on"}, "NIM_SSL_MODE"),
        ({"UNIGATE_CORS_ALLOW_CREDENTIALS": "1"}, "NIM_CORS_ALLOW_ORIGINS"),
        (
            {"UNIGATE_CORS_ALLOW_CREDENTIALS": "1", "NIM_CORS_ALLOW_ORIGINS": "https://a, *"},
            "NIM_CORS_ALLOW_ORIGINS",
        ),
    ],
)
def test_what_belongs_together_is_asked_for(environment: dict[str, str], missing: str) -> None:
    with pytest.raises(BadSettingsError, match=missing) as caught:
        read(environment)
    assert "Value error" not in str(caught.value)


def test_certificates_that_nobody_uses_are_warned_about() -> None:
    (warning,) = read({"NIM_SSL_KEY_PATH": "/some/key"}).warnings
    assert warning == "NIM_SSL_KEY_PATH has no effect without NIM_SSL_MODE"


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, False),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}, True),
        ({"SAGEMAKER_MULTI_MODEL": "true", "NIM_SAGEMAKER_MODE": "0"}, False),
        ({"SAGEMAKER_MULTI_MODEL": "true", "NIM_SAGEMAKER_MODE": ""}, True),
        ({"SAGEMAKER_BASE_DIR": ""}, False),
        # Of a notebook, in which somebody tries the server out.
        ({"SAGEMAKER_DOMAIN_ID": "d-1"}, False),
        ({"NIM_SAGEMAKER_MODE": "1"}, True),
    ],
)
def test_sagemaker_is_known_by_its_variables(environment: dict[str, str], mode: bool) -> None:
    assert read(environment).settings.sagemaker_mode is mode
    assert read(environment).warnings == ()


def test_a_mode_of_sagemaker_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(BadSettingsError, match="NIM_SAGEMAKER_MODE"):
        read({"NIM_SAGEMAKER_MODE": "auto", "SAGEMAKER_BASE_DIR": "/opt/ml"})
