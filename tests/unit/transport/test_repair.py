"""Repair characters of a document, never its structure, and report the repairs."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async import UnexpectedContent
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.repair import MAX_AMPERSANDS, MAX_REPAIRED, repair
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1.reading import Content, read_response

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
NOTICE = (
    "<br />\n<b>Deprecated</b>:  Dynamic property X::$y in <b>/var/www/api.php</b> on line <b>12</b><br />\n"
)


def document(notes: str, *, before: str = DECLARATION, after: str = "\n") -> str:
    return f"{before}<response><n>{notes}</n><m>Éloïse</m><status>2001</status></response>{after}"


def read(body: bytes | str, **response: object) -> Content:
    sent = body.encode() if isinstance(body, str) else body
    return run_steps(read_response(ServiceResponse(200, sent, **response)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("notes", "expected", "repaired"),
    [
        ("A\x0bB", "AB", {"characters": 1}),
        ("\x00A\x1aB\x08\x1f", "AB", {"characters": 4}),
        ("A\ufffeB\uffff", "AB", {"characters": 2}),
        ("A&#11;B&#x1F;&#0;&#xFFFE;&#xd800;&#1114112;", "AB", {"characters": 6}),
        ("&eacute;t&eacute;&nbsp;&euro;5&hellip;", "été\u00a05€5…".replace("5€", "€"), {"entities": 5}),
        ("&eacute;&amp;&lt;&gt;&quot;&apos;&#233;&#xE9;", "é&<>\"'éé", {"entities": 1}),
        ("&XE9;&#XE9;\x0b", "&XE9;é", {"ampersands": 1, "characters": 1, "entities": 1}),
        ("&LT;b&GT;&AMP;", "<b>&", {"entities": 3}),
        ("R&D", "R&D", {"ampersands": 1}),
        ("A & B && C&", "A & B && C&", {"ampersands": 4}),
        ("?a=1&b=2&copy=3", "?a=1&b=2&copy=3", {"ampersands": 2}),
        ("&unknown; &;", "&unknown; &;", {"ampersands": 2}),
        ("<![CDATA[R&D &eacute; \x0b]]>&eacute;", "R&D &eacute; é", {"characters": 1, "entities": 1}),
        ("<!-- R&D \x0b -->x&y", "x&y", {"ampersands": 1, "characters": 1}),
    ],
)
def test_wrong_characters_cost_one_value_at_most(notes: str, expected: str, repaired: dict[str, int]) -> None:
    content = read(document(notes))
    assert content.children == {"n": expected.strip(" "), "m": "Éloïse", "status": "2001"}
    assert content.repaired == repaired


@pytest.mark.parametrize(
    ("notes", "expected", "count"),
    [
        (b"Caf\xe9", "Café", 1),
        (b"\x93quoted\x94 \x80 \x85", "“quoted” € …", 4),
        (b"\x81\x8d", "\x81\x8d", 2),
        (b"\xc3", "Ã", 1),
        (b"Caf\xe9 \xc3\xa9", "Café é", 1),
        (b"\xe9\x0b", "é", 1),
    ],
)
def test_bytes_that_are_no_utf_8_are_windows_1252(notes: bytes, expected: str, count: int) -> None:
    content = read(document("@").encode().replace(b"@", notes))
    assert content.children["n"] == expected
    assert content.children["m"] == "Éloïse"
    assert content.repaired["bytes"] == count


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n" + DECLARATION, ""),
        ("  \r\n" + DECLARATION, ""),
        ("\n\ufeff" + DECLARATION, ""),
        ("\ufeff\ufeff\ufeff" + DECLARATION, ""),
        (NOTICE + DECLARATION, ""),
        (DECLARATION, NOTICE),
        (NOTICE + DECLARATION, NOTICE),
        ("Notice: Undefined variable x in /a.php on line 3\n" + DECLARATION, ""),
        (DECLARATION, "Warning: a & b\x0b"),
        ("PHP <1> " + DECLARATION, ""),
    ],
)
def test_output_of_php_around_a_document_is_left_out(before: str, after: str) -> None:
    content = read(document("x", before=before, after=after))
    assert content.children == {"n": "x", "m": "Éloïse", "status": "2001"}
    assert content.repaired["surroundings"] >= 1


@pytest.mark.parametrize(
    "body",
    [
        document("x"),
        document("x", before="\ufeff" + DECLARATION),
        document("&amp;&#233;<![CDATA[&]]>", after="\n<!-- c -->\n"),
        document("x", before=""),
    ],
)
def test_a_good_document_is_not_repaired(body: str) -> None:
    assert read(body).repaired == {}


BROKEN = {
    "a raw less-than": document("a < b\x0b"),
    "a cut document": document("a\x0b")[:-20],
    "a cut with a notice": document("a\x0b", after="")[:-20] + NOTICE,
    "a character in a tag": document("x").replace("<m>", "<m\x0b>"),
    "a character that would close": document("x").replace("</n>", "<\x0b/n>"),
    "mis-nested": document("a\x0b<b><c></b></c>"),
    "two documents": document("a\x0b") + document("b"),
    "another element before": "<wrapper>" + document("a\x0b", before=""),
    "a document type": "x<!DOCTYPE response [<!ENTITY e 'x'>]>" + document("&e;", before=""),
    "another root": "<response>\x0b</response>",
    "nothing of it": "Invalid login \x0b",
    "too large": document("a\x0b" + "x" * MAX_REPAIRED),
    "too much to do": document("& " * (MAX_AMPERSANDS + 1)),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_the_structure_is_never_guessed(body: str) -> None:
    with pytest.raises(UnexpectedContent):
        read(body)


def test_it_can_be_turned_off_and_needs_a_complete_body() -> None:
    for response in ({"repair": False}, {"framed": False}):
        with pytest.raises(UnexpectedContent):
            read(document("A\x0bB"), **response)


@pytest.mark.parametrize(
    ("body", "retryable"),
    [
        (document("a < b"), False),
        (document("x")[:-20], True),
        ("Invalid username or password.", False),
        ('{"error": "Invalid API key"}', False),
        ("", False),
        (" \r\n", False),
        ("<response/>", False),
    ],
)
def test_only_a_document_that_was_cut_is_worth_a_second_try(body: str, *, retryable: bool) -> None:
    with pytest.raises(UnexpectedContent) as caught:
        read(body)
    assert caught.value.retryable is retryable


def test_the_log_mentions_a_repair_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    read(document("secret\x0b &eacute;"))
    (record,) = caplog.records
    assert record.getMessage().endswith("characters 1, entities 1")
    assert "secret" not in caplog.text


@given(text=st.text(max_size=200))
def test_carelessly_escaped_text_is_read_back(text: str) -> None:
    """A service that escapes only some characters, with HTML's names, is read nevertheless."""
    written = "".join(
        f"&{name};" if (name := html.entities.codepoint2name.get(ord(character))) else character
        for character in text
    )
    found = repair(document(written).encode("utf-8", "replace"), "response")
    assert found is not None
    kept = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
    kept = kept.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    assert read(found[0]).children["n"] == kept.strip(" \t\r\n")


@pytest.mark.parametrize(
    "unit", [b"\xe9", b"\x0b", b"&#11;", b"&eacute;", b"& ", b"<!--x-->", b"&#", b"<!--"]
)
def test_hostile_documents_take_little_time(unit: bytes) -> None:
    body = document("@").encode().replace(b"@", b"\x01" + unit * (MAX_REPAIRED // len(unit) - 100))
    started = time.thread_time()
    repair(body, "response")
    assert time.thread_time() - started < 2  # About 0.3 s on a quiet machine.
