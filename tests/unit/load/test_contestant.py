"""Contestants that do not start, and what is said of it."""

from pathlib import Path

import pytest

from load.contestant import ContestantError, find_nginx, nginx_configuration, unigate


def test_nginx_that_is_missing_is_said_with_the_way_to_it(tmp_path: Path) -> None:
    with pytest.raises(ContestantError, match="apt-get install nginx-light"):
        find_nginx(str(tmp_path))


def test_nginx_is_found_on_the_path(tmp_path: Path) -> None:
    program = tmp_path / "nginx"
    program.touch(mode=0o755)
    assert find_nginx(str(tmp_path)) == str(program)


def test_nginx_is_told_where_to_listen_and_whom_to_ask() -> None:
    configuration = nginx_configuration("/somewhere", 8001, 8002)
    assert "listen 127.0.0.1:8001;" in configuration
    assert "server 127.0.0.1:8002;" in configuration
    assert configuration.count("{") == configuration.count("}") == 5
    assert "pid /somewhere/nginx.pid;" in configuration


def test_one_that_ends_instead_of_starting_is_quoted(tmp_path: Path) -> None:
    model = str(tmp_path / "nothing-here")
    with (
        pytest.raises(ContestantError, match=r"(?s)unigate ended with \d+:.*nothing-here"),
        unigate(model, []),
    ):
        pass
