"""Reading XML: repairs, encodings, and refused documents."""

from __future__ import annotations

import codecs
import gc
import socket
import time
from typing import Any

import pytest

from publitrac_async import UnexpectedContent
from publitrac_async.transport.operation import ServiceResponse
from publitrac_async.transport.steps import run_steps
from publitrac_async.v1.reading import children, number_of, read_response, text_of
from tests.support.v1 import sample

RESPONSE = (
    "<response><leads><lead><firstName>Zoë</firstName></lead></leads>"
    "<status>2002</status><message>Fertig.</message></response>"
)


def content_of(body: bytes, **response: Any) -> dict[str, Any]:
    return run_steps(read_response(ServiceResponse(200, body, **response))).children


def first_name(body: bytes) -> str:
    return content_of(body)["leads"]["lead"]["firstName"]


def refused(body: bytes, **response: Any) -> UnexpectedContent:
    with pytest.raises(UnexpectedContent) as caught:
        run_steps(read_response(ServiceResponse(200, body, **response)))
    return caught.value


class TestShape:
    def test_elements_become_text_dicts_and_lists(self):
        content = content_of(
            b"<response><a>1</a><b/><c></c><d>x</d><d>y</d><d><e> z </e></d>\n<f>\t 1 \r\n</f></response>"
        )
        assert content == {"a": "1", "b": "", "c": "", "d": ["x", "y", {"e": "z"}], "f": "1"}

    def test_cdata_comments_and_entities(self):
        content = content_of(
            b"<response><a><![CDATA[<b>&amp;]]></a><b>x<!-- no -->y</b><c>&lt;&#233;&#xe9;</c>"
            b"<?pi x?></response>"
        )
        assert content == {"a": "<b>&amp;", "b": "xy", "c": "<éé"}

    def test_only_white_space_of_xml_is_stripped(self):
        assert content_of("<response><a>\n\u00a0x\u2003 </a></response>".encode()) == {"a": "\u00a0x\u2003"}

    def test_none_one_and_many(self):
        assert children({"a": "x"}, "b") == children("text", "a") == children(None, "a") == []
        assert children({"a": "x"}, "a") == ["x"]
        assert children({"a": ["x", {}]}, "a") == ["x", {}]
        assert text_of({"a": [" x ", "y"]}, "a") == "x"
        assert text_of({"a": {"b": ""}}, "a") == ""

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("1", 1),
            (" 1\n ", 1),
            ("-1", -1),
            ("", None),
            ("²", None),
            ("1_0", None),
            ("--1", None),
            ("9" * 19, None),
        ],
    )
    def test_numbers_are_read_or_missing(self, text, number):
        assert number_of({"n": text}, "n") == number


class TestMending:
    def test_the_sample_of_get_list_is_repaired(self):
        body = sample("v1/get_list_response.xml")
        assert not body.rstrip().endswith(b"</response>")
        assert content_of(body)["leads"]["lead"]["email"] == "johnsmith@publipage.com"

    def test_not_where_the_end_was_not_announced(self):
        error = refused(sample("v1/get_list_response.xml"), framed=False)
        assert error.retryable

    def test_only_the_closing_tag_may_be_missing(self):
        whole = RESPONSE.encode()
        mended = []
        for length in range(len(whole)):
            try:
                content = content_of(whole[:length])
            except UnexpectedContent:
                continue
            mended.append(length)
            assert content["status"] == "2002"
        # After </status> or </message> everything that belongs to a success has been read.
        ends = [whole.index(b"</status>") + len(b"</status>"), len(whole) - len(b"</response>")]
        assert mended == ends

    @pytest.mark.parametrize(
        "body",
        [
            b"<response><status>2001</status></wrong>",
            b"<response><status>2001</status><a></b></response>",
            b"<response><status>2001</status><a>",
            b"<response><status>2001</status>&",
            b"<response><status>2001</status></response",
            b"<response><status>2001</status></response><again/>",
            b"<response><status>2001</status></response><response><status>9000</status></response>",
            b"<response><leads></leads>",
            b"<x><response><status>2001</status></response>",
        ],
    )
    def test_nothing_else_is_repaired(self, body):
        refused(body)


class TestEncodings:
    @pytest.mark.parametrize(
        ("declared", "encoding"),
        [
            (None, "utf-8"),
            ("UTF-8", "utf-8"),
            ("utf8", "utf-8"),
            ("ISO-8859-1", "latin-1"),
            ("iso-8859-15", "iso-8859-15"),
            ("windows-1252", "cp1252"),
            ("latin-1", "latin-1"),
        ],
    )
    def test_declared_encodings_are_decoded(self, declared, encoding):
        declaration = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
        assert first_name((declaration + RESPONSE).encode(encoding)) == "Zoë"

    @pytest.mark.parametrize(
        ("mark", "encoding"),
        [
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (codecs.BOM_UTF32_LE, "utf-32-le"),
        ],
    )
    @pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="utf-16"?>'])
    def test_a_byte_order_mark_is_believed(self, mark, encoding, declaration):
        assert first_name(mark + (declaration + RESPONSE).encode(encoding)) == "Zoë"

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("before", ["", "\n", '<?xml version="1.0" encoding="utf-16"?>'])
    def test_utf_16_needs_no_mark(self, encoding, before):
        assert first_name((before + RESPONSE).encode(encoding)) == "Zoë"

    @pytest.mark.parametrize("declared", [None, "UTF-8", "ISO-8859-1", "windows-1252", "klingon", "utf-16"])
    @pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=iso-8859-1", "; charset=x"])
    def test_valid_utf_8_is_read_as_utf_8_whatever_is_declared(self, declared, charset):
        declaration = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
        content = content_of(
            (declaration + RESPONSE).encode(), content_type=f"text/xml{charset}", repair=False
        )
        assert content["leads"]["lead"]["firstName"] == "Zoë"

    @pytest.mark.parametrize("charset", ["iso-8859-1", '"ISO-8859-1"', "latin1", "windows-1252"])
    @pytest.mark.parametrize("declared", [None, "UTF-8", "iso-8859-5"])
    def test_the_header_comes_before_the_declaration(self, charset, declared):
        declaration = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
        body = (declaration + RESPONSE).encode("latin-1")
        content = content_of(body, content_type=f"text/xml; charset={charset}", repair=False)
        assert content["leads"]["lead"]["firstName"] == "Zoë"

    def test_iso_8859_1_is_read_as_windows_1252_as_browsers_do(self):
        text = RESPONSE.replace("Zoë", "“Zoë” 5 €")
        body = b"<?xml version='1.0' encoding='ISO-8859-1'?>" + text.encode("cp1252")
        assert first_name(body) == "“Zoë” 5 €"

    @pytest.mark.parametrize(
        "body",
        [
            RESPONSE.encode("latin-1"),
            b"<?xml version='1.0' encoding='utf-8'?>" + RESPONSE.encode("latin-1"),
            b"<?xml version='1.0' encoding='us-ascii'?>" + RESPONSE.encode("latin-1"),
            b"<?xml version='1.0' encoding='klingon'?>" + RESPONSE.encode("latin-1"),
            b"<?xml version='1.0' encoding='utf-7'?>" + RESPONSE.encode("utf-7"),
            b"<?xml version='1.0' encoding='unicode_escape'?>" + RESPONSE.encode("unicode_escape"),
            codecs.BOM_UTF16_LE + RESPONSE.encode("utf-16-le")[:-1],
            codecs.BOM_UTF16_LE + b"\x00\xd8" * 4,
            codecs.BOM_UTF8 + RESPONSE.encode("latin-1"),
            RESPONSE.replace("Zoë", "Zo\x00").encode(),
            RESPONSE.replace("Zoë", "Zo\x01").encode(),
            RESPONSE.replace("Zoë", "Zo&#0;").encode(),
            RESPONSE.replace("Zoë", "Zo&#xd800;").encode(),
            RESPONSE.encode().replace(b"\xc3\xab", b"\xed\xa0\x80"),
            RESPONSE.encode().replace(b"\xc3\xab", b"\xc0\xaf"),
            RESPONSE.encode().replace(b"\xc3\xab", b"\xc3"),
        ],
    )
    def test_bytes_that_fit_no_encoding_are_a_typed_error(self, body):
        refused(body, repair=False)


def _nested(head: bytes, unit: bytes, count: int) -> bytes:
    return b"<response>" + head + unit * count + b"<status>2001</status></response>"


HOSTILE = {
    "a document type": b'<!DOCTYPE response SYSTEM "http://127.0.0.1:9/x.dtd"><response><status>1</status></response>',
    "an internal subset": b"<!DOCTYPE response [<!ELEMENT response ANY>]><response/>",
    "billion laughs": b"<!DOCTYPE r [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><response>&a9;</response>",
    "an external entity": b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><response>&x;</response>',
    "a document type in UTF-16 without a mark": (
        "<!DOCTYPE r [<!ENTITY a 'ha'>]><response>&a;</response>".encode("utf-16-le")
    ),
    "a document type in UTF-16": "\ufeff <!-- c --><?p?><!DOCTYPE r><response>&a;</response>".encode(
        "utf-16-be"
    ),
    "a document type after a comment": b"<?xml version='1.0'?><!-- - -> -->\n<!DOCTYPE r []><response/>",
    "an external parameter entity": b'<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/">%x;]><response/>',
    "depth": b"<response>" + b"<a>" * 1_000_000,
    "depth that ends": b"<response>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</response>",
    "a long text": _nested(b"<a>", b"x", 4 * 2**20),
    "a long text in pieces": _nested(b"<a>", b"x<!---->", 2 * 2**20),
    "a long CDATA section": _nested(b"<a><![CDATA[", b"x", 4 * 2**20),
    "a long attribute": _nested(b'<a x="', b"x", 4 * 2**20) + b'"/>',
    "a long attribute that ends": b'<response><a x="'
    + b"x" * 4 * 2**20
    + b'"/><status>1</status></response>',
    "a long name": b"<response><" + b"x" * 4 * 2**20 + b"/><status>1</status></response>",
    "a long name of an attribute": b"<response><a "
    + b"x" * 4 * 2**20
    + b'="1"/><status>1</status></response>',
    "many attributes": b"<response><a "
    + b" ".join(b"a%d=''" % number for number in range(1_000_000))
    + b"/><status>1</status></response>",
    "many small attributes": b"<response>" + b"<a b='' c=''/>" * 100_000 + b"<status>1</status></response>",
    "many elements": _nested(b"", b"<a/>", 8_000_000),
    "a long declaration": b"<?xml " + b"a" * 4 * 2**20,
    "nothing but spaces": b" " * 4 * 2**20,
    "angle brackets": b"<response>" + b"<" * 4 * 2**20,
    "many names": _nested(b"", b"".join(b"<n%06d%b/>" % (n, b"x" * 90) for n in range(12_000)), 1),
    "many bytes of windows-1252": b'<?xml version="1.0" encoding="windows-1252"?>'
    + _nested(b"", b"<a>" + b"\x80" * 500_000 + b"</a>", 9),
    "many bytes of UTF-16": ("<response>" + "<a>中</a>" * 300_000 + "</response>").encode("utf-16"),
    "namespaces": b'<response xmlns="' + b"x" * 4 * 2**20 + b'"><status>1</status></response>',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.fault("F25")
def test_hostile_documents_are_refused_at_once(body, monkeypatch):
    def touched(*_args, **_options):
        raise AssertionError("a file or the network was touched")

    monkeypatch.setattr("builtins.open", touched)
    monkeypatch.setattr(socket, "socket", touched)
    gc.disable()  # A garbage collection after other tests takes as long.
    try:
        started = time.thread_time()
        error = refused(body)
        assert not error.retryable or b"</response>" not in body
        assert time.thread_time() - started < 0.5  # CPU time of this thread, not wall-clock time.
    finally:
        gc.enable()
    assert len(str(error)) < 200
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "body",
    [b"<response>\n" * 63, _nested(b"", b"<a>x</a>", 70_000), _nested(b"<a>", b"x", 2**20 - 10) + b""],
)
def test_what_is_large_is_not_therefore_hostile(body):
    if body.endswith(b"<response>\n"):
        body = body[: -len(b"\n")] + b"</response>" * 63
        assert content_of(body)
    elif b"</a>" in body:
        assert len(content_of(body)["a"]) == 70_000
    else:
        whole = body.replace(b"<status>", b"</a><status>")
        assert len(content_of(whole)["a"]) == 2**20 - 10
