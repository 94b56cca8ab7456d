"""A `Secret` never shows its value."""

from __future__ import annotations

import copy
import html
import json
import pickle
import traceback
import urllib.parse

import pytest

from publitrac_async import ConfigurationError, PublitracClient, Secret
from publitrac_async.transport.auth import Authorization, Token
from publitrac_async.transport.secret import seal

MARK = "c4n4ry"


class Hidden:
    """Holds a value whose ``repr`` shows nothing, so that the test's own frame is clean."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Hidden"


BAD = [
    Hidden(f"{MARK}\n{MARK}"),
    Hidden(f"{MARK}\r\nX-Evil: {MARK}"),
    Hidden(f"{MARK}\0"),
    Hidden(f"{MARK}\x1b[31m"),
    Hidden(f"{MARK}\x7f{MARK}"),
    Hidden(f"{MARK}\ud800"),
    Hidden(f"{MARK}é"),
    Hidden(f"{MARK}\u2028{MARK}"),
    Hidden(f"{MARK}\x85{MARK}"),
    Hidden(MARK * 1000),
    Hidden(" \t\n "),
    Hidden(""),
    Hidden(MARK.encode()),
    Hidden([MARK]),
]


def told(error: BaseException) -> str:
    """Everything that a report of `error` could show, including locals."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    parts += traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=True)
    parts.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(parts)


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.fault("F37")
def test_a_bad_secret_is_refused_without_being_shown(bad: Hidden) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Secret(bad.value, "api_key", header=True)  # type: ignore[arg-type]
    assert MARK not in told(caught.value)
    assert "api_key" in str(caught.value)
    returned = seal(bad.value, "api_key", header=True)  # type: ignore[arg-type]
    assert isinstance(returned, ConfigurationError)
    assert MARK not in told(returned)


@pytest.mark.parametrize("name", ["api_key", "username", "password"])
@pytest.mark.parametrize("bad", BAD[:5] + BAD[9:])
@pytest.mark.fault("F37")
def test_a_client_refuses_a_bad_credential_without_showing_any(bad: Hidden, name: str) -> None:
    hidden = Hidden({"api_key": f"{MARK}1", "username": f"{MARK}2", "password": f"{MARK}3", name: bad.value})
    with pytest.raises(ConfigurationError) as caught:
        PublitracClient(**hidden.value)  # type: ignore[arg-type]
    assert MARK not in told(caught.value)
    assert name in str(caught.value)


def test_line_breaks_around_it_are_removed() -> None:
    assert Secret(" key\r\n").reveal() == "key"
    assert Secret(Secret("key")).reveal() == "key"


def test_text_beyond_ascii_is_fine_outside_headers() -> None:
    assert Secret("pässword").reveal() == "pässword"


def test_its_representation_shows_no_secret() -> None:
    secret = Secret(MARK)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        "%s %r" % (secret, secret),  # noqa: UP031  (that is how logging formats)
        "{}".format(secret),  # noqa: UP032
        repr([secret]),
        repr({"key": secret}),
    ]
    assert not any(MARK in text for text in shown)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_does_not_pickle(protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(Secret(MARK), protocol)
    assert MARK not in str(caught.value)


def test_it_is_not_copied_either() -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(Secret(MARK))


def test_equality_and_hash() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@pytest.mark.parametrize(
    ("name", "header"),
    [("password", False), ("api_key", True)],
)
def test_a_secret_has_a_maximum_length(name: str, header: bool) -> None:
    assert len(Secret("x" * 4096, name, header=header).reveal()) == 4096
    with pytest.raises(ConfigurationError, match="4097"):
        Secret("x" * 4097, name, header=header)


@pytest.mark.parametrize(
    "quoted",
    [
        *(
            'pass word"9&',
            "pass+word%229%26",
            "pass%20word%229%26",
            "PASS%20WORD%229%26",
            "pass word&quot;9&amp;",
        ),
        *(
            'pass word\\"9&',
            "pass\\u0020word\\u00229\\u0026",
            "pass\\x20word\\x229\\x26",
            "pass&#32;word&#34;9&#x26;",
        ),
    ],
)
def test_it_is_masked_in_every_spelling(quoted: str) -> None:
    secret = Secret('pass word"9&')
    assert secret.masked_in(f"wrong: {quoted}!") == "wrong: **********!"
    assert secret.masked_in(f"x{quoted}x{quoted}x") == "x**********x**********x"


@pytest.mark.parametrize(
    "ending", ["pass…", "pass word…", "pass+wor…", "pass%…", "pass%2…", "pass word&qu…", "PASS…"]
)
def test_it_is_masked_where_the_message_is_cut(ending: str) -> None:
    masked = Secret('pass word"9&').masked_in(f"wrong: {ending}")
    assert masked.startswith("wrong: **********")
    assert "pass" not in masked.lower()


def test_a_long_credential_takes_no_time() -> None:
    """Tokens have a thousand characters and more, and a service may quote any part of them."""
    value = "".join(f"{number:x}-%&" for number in range(500))
    secret = Secret(value)
    for text in (
        f"wrong: {value[:900]}…",
        "\\" * 1000 + "…",
        value[:4] * 250 + "…",
        value * 2,
        "x" * 1000 + "…",
    ):
        masked = secret.masked_in(text)
        assert value[:30] not in masked
    assert secret.masked_in(f"{value[:900]}…") == "**********"
    assert Secret("aaaab").masked_in("a" * 2000) == "a" * 2000


@pytest.mark.parametrize("value", ["p%25w", "a&amp;b", "a\\\\b\\", "\\u0041bc", "++  ++"])
def test_a_credential_that_looks_escaped_is_masked(value: str) -> None:
    for text in (value, value.replace("\\", "\\\\"), urllib.parse.quote(value), html.escape(value)):
        assert Secret(value).masked_in(f"wrong: {text}!") == "wrong: **********!"


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_it_is_masked_in_nested_json(levels: int) -> None:
    text = 'wrong: pass word"9&'
    for _ in range(levels):
        text = json.dumps(text)
    assert "pass" not in Secret('pass word"9&').masked_in(text)


def test_text_other_than_the_credential_stays() -> None:
    secret = Secret('pass word"9&')
    for text in ("pass", "the password is wrong", "pas…", "a pass is needed", "pass word", ""):
        assert secret.masked_in(text) == text
    assert Secret("abc").masked_in("abc abcd…") == "abc abcd…", "too short to tell from other words"
    assert Secret("abcd").masked_in("abcd") == "**********"


def test_credentials_of_a_request_are_all_masked() -> None:
    token = Token(value=Secret("the-token"), ttl=1, expires_at=1)
    headers = (("Token", Secret("the-header")),)
    authorization = Authorization(parameters=(("a", Secret("the-key")),), headers=headers, token=token)
    assert authorization.masked_in("the-key the-token the-header x") == "********** ********** ********** x"
    assert Authorization(headers=headers).masked_in("the-header x") == "********** x"


def test_a_format_is_applied_to_the_mask() -> None:
    assert f"{Secret(MARK):>12}" == "  **********"


def test_sealing_makes_the_checks_of_a_secret() -> None:
    assert seal("key", "key") == Secret("key")
    assert isinstance(seal("é", "key", header=True), ConfigurationError)
    assert isinstance(seal("é", "key"), Secret)
    assert "password" in str(seal("", "password"))


def test_the_length_of_a_url_counts_a_secret_as_it_is_written_there() -> None:
    parameters = (("user name", Secret("a/b")),)
    assert Authorization(parameters=parameters).url_length == len("&user%20name=a%2Fb")
