from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publitrac_async.transport.masking import Masking, shape_of
from publitrac_async.transport.secret import Secret

MASKING = Masking(lambda text: text)
KEEPING = Masking(Secret("s3cret-key").masked_in, messages=True)


def test_length_and_shape_stay() -> None:
    assert shape_of("Ada Lovelace, +46 70-123") == "Xxx Xxxxxxxx, +00 00-000"
    assert shape_of("ada.l@example.com") == "xxx.x@xxxxxxx.xxx"
    assert shape_of("Élise Ångström 山田\x0b") == "éxxxx éxxxxxéx éé\x0b"


def test_names_and_the_vendors_own_values_stay_in_xml() -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<response><leads><lead><id>2001</id>'
        "<email>ada@example.com</email><carColor>Red &amp; one &#233;&nbsp;</carColor><zip/></lead></leads>"
        "<status>2001</status><message>Got Ada.</message><paging><page>3</page><total>41</total></paging>"
        "<errors><error>9005 - Lead (ada@example.com) does not exist.</error></errors></response>"
    )
    assert MASKING.body(document) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<response><leads><lead><id>0000</id>'
        "<email>xxx@xxxxxxx.xxx</email><carColor>Xxx &amp; xxx é&nbsp;</carColor><zip/></lead></leads>"
        "<status>2001</status><message>Xxx Xxx.</message><paging><page>3</page><total>41</total></paging>"
        "<errors><error>9005 - Xxxx (xxx@xxxxxxx.xxx) xxxx xxx xxxxx.</error></errors></response>"
    )


def test_fields_of_a_lead_are_never_taken_for_the_envelopes() -> None:
    document = "<response><leads><lead><status>2001</status><page>7</page></lead></leads></response>"
    assert "2001" not in MASKING.body(document)
    assert "7" not in MASKING.body(document)


@pytest.mark.parametrize(
    ("document", "masked"),
    [
        ("<response><name>R&D <Ada></name>", "<response><name>X&X <Xxx></name>"),
        ("<response><n><![CDATA[Ada <b> ]]></n>", "<response><n><![CDATA[Xxx <x> ]]></n>"),
        ("<response><n><![CDATA[Ada", "<response><x><![CDATA[Xxx"),
        ("<!-- Ada --><response/>", "<!-- Xxx --><response/>"),
        ('<response a="Ada" b=Ada Ada>', '<response a="Xxx" x=Xxx Xxx>'),
        ("<response><notes>Ad", "<response><xxxxx>Xx"),
        ("<?php Ada ?><response/>", "<?xxx Xxx ?><response/>"),
        ("<n>&#65;&#x64;&#97;</n>", "<n>Xxx</n>"),
        ("< Ada", "< Xxx"),
        ("<", "<"),
        ("", ""),
    ],
)
def test_odd_markup_is_masked(document: str, masked: str) -> None:
    assert MASKING.body(document) == masked


def test_json_stays_json() -> None:
    document = {
        "status": "success",
        "code": 201,
        "token": "abc-123",
        "leadInfo": {"email": "ada@example.com", "score": 120, "status": "new", "flag": True, "x": None},
        "errors": [{"code": "1004", "message": "Lead Ada not found"}, {"code": "1005"}],
        "ada@example.com": 1.5e3,
        "quoted": 'a"\\\n\u00e9',
    }
    assert json.loads(MASKING.body(json.dumps(document))) == {
        "status": "success",
        "code": 201,
        "token": "********** (7 characters)",
        "leadInfo": {"email": "xxx@xxxxxxx.xxx", "score": 111, "status": "xxx", "flag": True, "x": None},
        "errors": [{"code": "1004", "message": "Xxxx Xxx xxx xxxxx"}, {"code": "1005"}],
        "xxx@xxxxxxx.xxx": 1111.1,
        "quoted": 'x"\\\né',
    }


@pytest.mark.parametrize(
    ("document", "masked"),
    [
        ('{"email":"ada@ex', '{"email":"xxx@xx'),
        ("{'status': 'success', 'name': 'Ada'}", "{'xxxxxx': 'xxxxxxx', 'xxxx': 'Xxx'}"),
        ('{"a":"\\u0041\\u0064a\\u0020"}', '{"a":"Xxx\\u0020"}'),
        ('{"a" 12 Ada "b":}', '{"x" 11 Xxx "b":}'),
        ('["Ada", 7, [true]]', '["Xxx", 1, [true]]'),
        ('{"a":"Ada\\', '{"a":"Xxx\\'),
        ("{Ada", "{Xxx"),
    ],
)
def test_odd_json_is_masked(document: str, masked: str) -> None:
    assert MASKING.body(document) == masked


def test_parameters_are_masked_by_name() -> None:
    pairs = [("method", "getLead"), ("page", "2"), ("email", "ada@example.com"), ("password", "hunter2")]
    assert MASKING.parameters(pairs) == [
        ["method", "getLead"],
        ["page", "2"],
        ["email", "xxx@xxxxxxx.xxx"],
        ["password", "********** (7 characters)"],
    ]
    query = "<request><queries><query><field>lastName</field><operator>like</operator><value>Ada</value>"
    ends = "</query></queries></request>"
    assert MASKING.parameters([("query", query + ends)]) == [["query", query.replace("Ada", "Xxx") + ends]]
    assert MASKING.parameters([("page", "Ada"), ("ada@example.com", "")]) == [
        ["page", "Xxx"],
        ["xxx@xxxxxxx.xxx", ""],
    ]


def test_headers_are_masked_by_name() -> None:
    pairs = [
        ("Content-Type", "text/xml; charset=UTF-8"),
        ("Set-Cookie", "id=Ada"),
        ("X-Person", "Ada"),
        ("Server", "ada@example.com"),
    ]
    assert MASKING.headers(pairs) == [
        ["Content-Type", "text/xml; charset=UTF-8"],
        ["Set-Cookie", "********** (6 characters)"],
        ["X-Person", "Xxx"],
        ["Server", "xxx@xxxxxxx.xxx"],
    ]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("Invalid login (Ada) for ada@example.com", "Invalid login (Xxx) for xxx@xxxxxxx.xxx"),
        ("Wrong key s3cret-key.", "Wrong key **********."),
        ("Wrong key s3cret%2Dkey.", "Wrong key **********."),
        ('{"error":"No \\"Ada\\" here"}', '{"error":"No \\"Xxx\\" here"}'),
        (
            "<response><message>No &quot;Ada&quot; here</message></response>",
            '<response><message>No "Xxx" here</message></response>',
        ),
        ('No "x"ada@example.com and (a b)ada@b', 'No "x"xxx@xxxxxxx.xxx and (x x)xxx@x'),
        ("<response><name>Wrong key</name></response>", "<response><name>Xxxxx xxx</name></response>"),
    ],
)
def test_messages_are_kept_on_request_without_what_they_quote(body: str, shown: str) -> None:
    assert KEEPING.body(body) == shown


_WORD = st.sampled_from(["ada", "ADA", "a42b", "Élise"])
_GLUE = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "/>",
        "<a>",
        "</a>",
        "<response>",
        "<![CDATA[",
        "]]>",
        '"',
        "\\",
        "{",
        "}",
        ":",
        ",",
        "&",
    ]
) | st.sampled_from([";", "&#", "<!--", "-->", "<?xml", "?>", "=", "[", "]", '"code":'])


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORD | _GLUE, max_size=30), st.sampled_from(["<response>", "{", "[", "", "<", '{"a":']))
def test_no_secret_survives_in_any_body(parts: list[str], start: str) -> None:
    text = start + "".join(f" {part} " if part.isalnum() else part for part in parts)
    masked = MASKING.body(text)
    # A word is a name if it looks like one: between "<" and ">" with an end tag, or before a colon in quotes.
    names = {*re.findall(r"</?([A-Za-z]\w*)", text), *re.findall(r'"(\w+)"\s*:', text)}
    for word in {"ada", "ADA", "a42b", "Élise"} - names:
        assert not re.search(rf"(?<!\w){word}(?!\w)", masked), (text, masked)


def test_a_large_hostile_body_takes_no_time() -> None:
    for piece in ("<a", "<a ", "<![CDATA[", "&#", '"', '{"', "\\", "<a b=", "(", "<!--"):
        MASKING.body((piece * 30_000)[:60_000])
        MASKING.body("{" + (piece * 30_000)[:60_000])
    for piece in ("a", "«", "(", '\\"', "'", "\\\\", "@", "\\u0041"):
        text = piece * 8_000
        KEEPING.body('{"message":"' + text + '"}')
        KEEPING.body(f"<response><message>{text}</message></response>")
    MASKING.body("<a>" * 20_000 + "</b>" * 20_000)
