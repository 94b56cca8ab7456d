from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, PublitracClient
from publitrac_async.profile import read_profile
from publitrac_async.v1 import V1Shapes
from publitrac_async.v1.shapes import comma_separated_keys, empty_elements

KEY = {"PUBLITRAC_API_KEY": "the-key", "PUBLITRAC_USERNAME": "u", "PUBLITRAC_PASSWORD": "p"}
PROFILE = """
[client]
api_key_parameter = "apiKey"
credentials_in = "body"
rate_limit = 7
base_url = "https://appca.publitrac.com"
[client.v1_shapes]
token_id_parameter = "tok"
unicity_keys = "text"
options_place = "after"
[found]
credentials_in = "body"
[probe]
date = "2026-11-28"
[evidence.key]
calls = []
"""


class Spy(PublitracClient):
    """Keeps the arguments of its constructor."""

    def __init__(self, **options: Any) -> None:
        self.options = options


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "profile.toml"
    path.write_text(PROFILE)
    return path


def test_settings_of_a_profile(path: Path) -> None:
    profile = read_profile(path)
    shapes = V1Shapes(token_id_parameter="tok", unicity_keys=comma_separated_keys, options_place="after")
    assert profile.client["v1_shapes"] == shapes
    assert profile.client["credentials_in"] == "body"
    assert profile.found == {"credentials_in": "body"}
    assert empty_elements(["a", "b"]) == {"a": "", "b": ""}


@pytest.mark.parametrize("by_environment", [False, True])
def test_from_env_takes_a_profile(path: Path, by_environment: bool) -> None:
    if by_environment:
        client = Spy.from_env(KEY | {"PUBLITRAC_PROFILE": str(path)})
    else:
        client = Spy.from_env(KEY, profile=path)
    assert (client.options["api_key_parameter"], client.options["rate_limit"]) == ("apiKey", 7)
    assert client.options["base_url"] == "https://appca.publitrac.com"


def test_environment_and_arguments_win_over_the_profile(path: Path) -> None:
    environment = KEY | {
        "PUBLITRAC_PROFILE": str(path),
        "PUBLITRAC_RATE_LIMIT": "9",
        "PUBLITRAC_BASE_URL": "https://app.publitrac.com",
    }
    client = Spy.from_env(environment, credentials_in="query", v1_shapes=None)
    assert client.options["credentials_in"] == "query"
    assert client.options["v1_shapes"] is None
    assert client.options["rate_limit"].calls == 9
    assert client.options["base_url"] == "https://app.publitrac.com"
    assert client.options["api_key_parameter"] == "apiKey"


def test_an_argument_names_another_profile_than_the_environment(path: Path) -> None:
    assert Spy.from_env(KEY | {"PUBLITRAC_PROFILE": "/nowhere"}, profile=path).options["rate_limit"] == 7


def test_without_a_profile_nothing_changes() -> None:
    assert "api_key_parameter" not in Spy.from_env(KEY).options
    assert "api_key_parameter" not in Spy.from_env(KEY | {"PUBLITRAC_PROFILE": ""}).options


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[client]\napi_key_parm = 'x'",
            "client.api_key_parm is unknown; known: api_key_parameter, credentials_in",
        ),
        ("[client]\napi_key = 'x'", "client.api_key is unknown"),
        ("[clients]\n", "clients is unknown; known: client, found, evidence, probe"),
        ("client = 7", "client is unknown"),
        ("[client]\ncredentials_in = 7", "client.credentials_in must be a string"),
        ("[client]\nrate_limit = true", "client.rate_limit must be a whole number"),
        ("[client]\nv1_shapes = 'x'", "client.v1_shapes must be a table"),
        ("[client.v1_shapes]\nx = 'y'", "client.v1_shapes.x is unknown"),
        ("[client.v1_shapes]\nemail_parameter = ''", "client.v1_shapes.email_parameter must be a string"),
        (
            "[client.v1_shapes]\nunicity_keys = 'x'",
            "unicity_keys must be one of children, text, names, not 'x'",
        ),
        ("[client.v1_shapes]\noptions_place = 'x'", "options_place must be"),
        ("[client", "is not TOML"),
        ("\xff", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ("a = " + "9" * 5000, "is not TOML"),
    ],
)
def test_a_profile_that_is_not_understood_is_refused_in_one_line(text: str, problem: str, path: Path) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"^profile profile\.toml") as raised:
        read_profile(path)
    assert problem in raised.value.message
    assert "\n" not in raised.value.message


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match=r"profile none\.toml cannot be read: No such file"):
        PublitracClient.from_env(KEY, profile="/nowhere/none.toml")
