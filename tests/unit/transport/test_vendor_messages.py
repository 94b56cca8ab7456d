"""Messages of a service: in one line, and recognised if they are about credentials."""

from __future__ import annotations

import pytest

from publitrac_async.transport.vendor_messages import (
    MAX_MESSAGE,
    concern_credentials,
    message_of_json,
    message_of_text,
    shortened,
)


@pytest.mark.parametrize(
    "words",
    [
        "Invalid username or password",
        "Invalid API key",
        "invalid api_key",
        "apikey not found",
        "Unauthorized",
        "Authentication failed",
        "Login failed",
        "You are not authorized",
        "Access denied",
        "Account suspended",
        "Your account has been disabled",
        "Mot de passe invalide",
        "Clé API inconnue",
        "Accès refusé",
        "Missing key",
    ],
)
def test_a_refusal_of_credentials_is_recognized_by_its_message(words: str) -> None:
    assert concern_credentials(words)
    assert concern_credentials(words.upper())


@pytest.mark.parametrize(
    "words",
    [
        None,
        "",
        "Email address is invalid for xml lead->email (password)",
        "lead login@example.com was not created",
        'the field "password" is unknown',
        "Tok Id is invalid",
        "List name is required",
        "Create new lead have errors.",
        "the keyboard is missing",
    ],
)
def test_values_that_a_complaint_quotes_are_not_taken_for_credentials(words: str | None) -> None:
    assert not concern_credentials(words)


def test_a_message_is_one_line_without_control_characters() -> None:
    assert shortened(" a\r\n\tb\x1b[2J\x00\x9b ", "", None, "a b", "é\ud800") == "a b [2J; a b; é"
    assert shortened("", " \n", None) is None
    assert len(shortened("x" * 5000) or "") == MAX_MESSAGE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"status": "error", "message": "no"}, "no"),
        ({"error": {"message": "no", "code": 7}}, "no"),
        ({"error": "invalid", "error_description": "why"}, "invalid; why"),
        ({"errors": [{"message": "a"}, {"detail": "b"}, "c"]}, "a; b; c"),
        ({"token": "secret", "ttl": "900"}, None),
        ([], None),
        (None, None),
        ("no", "no"),
    ],
)
def test_the_messages_of_json(content: object, words: str | None) -> None:
    assert message_of_json(content) == words


def test_deep_json_ends() -> None:
    deep: object = "no"
    for _ in range(50):
        deep = {"error": [deep]}
    assert message_of_json(deep) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b" Invalid username or password.\n", "Invalid username or password."),
        (b'{"error":"Invalid API key"}', "Invalid API key"),
        (b'{"error":', '{"error":'),
        (b'{"code": 1}', '{"code": 1}'),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_message_in_a_body(body: bytes, words: str | None) -> None:
    assert message_of_text(body) == words
