"""Unusable settings and credentials are reported at construction, without any secret."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from publitrac_async import ConfigurationError, PublitracClient, Rate, RetryPolicy, Timeout
from publitrac_async.config import parse_rate
from publitrac_async.marketo import MarketoClient
from publitrac_async.vitec import VitecClient
from tests.support.four_vendors import CLIENTS


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": "30"},
        {"timeout": True},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"concurrency": "3"},
        {"concurrency": 0},
        {"concurrency": 2.0},
        {"rate_limit": 1.5},
        {"rate_limit": 0},
        {"rate_limit": True},
        {"retry": 3},
        {"base_url": None},
        {"base_url": ""},
        {"base_url": "http://example.com"},
        {"credentials_in": "header"},
        {"username": "user"},
        {"password": "word"},
        {"hooks": print},
        {"hooks": ["print"]},
        {"shared": 5},
    ],
    ids=str,
)
def test_an_unusable_setting_is_a_configuration_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PublitracClient(**{"api_key": "key", **settings})


@pytest.mark.parametrize(
    "figures",
    [
        *({"attempts": value} for value in (0, "4", 2.5, True)),
        *({"base": value} for value in (-1.0, float("nan"), "1")),
        {"budget": -1},
    ],
)
def test_a_retry_policy_without_sense_is_refused(figures: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(**figures)


@pytest.mark.parametrize(
    "seconds",
    [{"total": 0}, {"connect": -1}, {"read": 0.0}, {"total": "30"}, {"queue": True}, {"read": float("nan")}],
)
def test_a_timeout_without_sense_is_refused(seconds: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="or None for no limit"):
        Timeout(**seconds)


def test_no_timeout_means_no_total_and_the_default_has_one() -> None:
    assert PublitracClient(api_key="key", timeout=None)._transport._timeout == Timeout(total=None)
    assert PublitracClient(api_key="key", timeout=5)._transport._timeout == Timeout(total=5)
    assert PublitracClient(api_key="key")._transport._timeout == Timeout()
    assert Timeout(queue=None, total=None, connect=None, read=None).total is None


@pytest.mark.parametrize(
    ("calls", "options"),
    [
        (0, {}),
        (-1, {}),
        (1.5, {}),
        (True, {}),
        ("35", {}),
        (35, {"per": 0.0}),
        (35, {"per": float("nan")}),
        (35, {"per": float("inf")}),
        (35, {"pace": "slow"}),
    ],
)
def test_a_rate_without_sense_is_refused(calls: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Rate(calls, **options)


def test_a_number_is_the_same_rate_for_every_client() -> None:
    clients = [build("https://vendor.test", rate_limit=10) for build in CLIENTS.values()]
    assert {client._transport._limiter.rate for client in clients} == {Rate(10)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "rate"), [("35", Rate(35)), ("50/20", Rate(50, per=20)), (" 3 / 0.5 ", Rate(3, per=0.5))]
)
def test_a_rate_can_be_written_as_text(text: str, rate: Rate) -> None:
    assert parse_rate(text, "X") == rate


@pytest.mark.parametrize("text", ["", "lots", "35/", "/20", "1.5", "0", "35/0", "35/nan", "50/20/3"])
def test_text_that_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="X_RATE_LIMIT must be"):
        parse_rate(text, "X_RATE_LIMIT")


BAD = "bad\nsecret-9f1c"
GOOD = "other-secret-77aa"


def recorded(error: BaseException) -> str:
    """The locals of all frames but the caller's, as a tool records them."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack[1:]
    return "\n".join(f"{frame.line} {frame.locals}" for frame in frames)


@pytest.mark.parametrize(
    ("client", "environment"),
    [
        (PublitracClient, {"PUBLITRAC_API_KEY": GOOD, "PUBLITRAC_USERNAME": "u", "PUBLITRAC_PASSWORD": BAD}),
        (PublitracClient, {"PUBLITRAC_USERNAME": "u", "PUBLITRAC_PASSWORD": GOOD}),
        (VitecClient, {"VITEC_USERNAME": "u", "VITEC_PASSWORD": GOOD, "VITEC_PASSWORD_M1": BAD}),
        (VitecClient, {"VITEC_PASSWORD": GOOD}),
        (
            MarketoClient,
            {
                "MARKETO_BASE_URL": "https://example.mktorest.com",
                "MARKETO_CLIENT_ID": GOOD,
                "MARKETO_CLIENT_SECRET": BAD,
            },
        ),
        (MarketoClient, {"MARKETO_CLIENT_SECRET": GOOD}),
    ],
)
def test_a_bad_environment_shows_no_credential(client: Any, environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client.from_env(environment)
    shown = f"{caught.value} {caught.value!r} {recorded(caught.value)}"
    assert "secret-9f1c" not in shown
    assert GOOD not in shown


def test_a_file_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(ConfigurationError, match="PUBLITRAC_API_KEY_FILE") as caught:
        PublitracClient.from_env({"PUBLITRAC_API_KEY_FILE": str(missing)})
    assert str(missing) not in str(caught.value)


@pytest.mark.parametrize("client", [PublitracClient, MarketoClient, VitecClient])
def test_a_variable_and_its_file_exclude_each_other(client: Any, tmp_path: Path) -> None:
    names = {
        "PublitracClient": "PUBLITRAC_API_KEY",
        "MarketoClient": "MARKETO_CLIENT_ID",
        "VitecClient": "VITEC_USERNAME",
    }
    name = names[client.__name__]
    file = tmp_path / "secret"
    file.write_text("b", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"{name} and {name}_FILE are both set: unset one"):
        client.from_env({name: "a", f"{name}_FILE": str(file)})


def test_files_hold_credentials_and_line_breaks_at_their_end_do_not_matter(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("the-key\n", encoding="utf-8")
    client = PublitracClient.from_env(
        {"PUBLITRAC_API_KEY_FILE": str(key), "PUBLITRAC_BASE_URL": "http://127.0.0.1:9"}
    )
    assert repr(client) == "PublitracClient(http://127.0.0.1:9)"
