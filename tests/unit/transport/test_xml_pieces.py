"""XML is the same read in pieces or in one; large documents are read in turns with other tasks."""

from __future__ import annotations

import contextlib
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publitrac_async.converters import as_sent
from publitrac_async.transport import xml
from publitrac_async.transport.budget import BUDGET, OverBudget
from publitrac_async.transport.steps import run_steps
from publitrac_async.transport.xml import parse_xml

NAMES = st.sampled_from(["leads", "lead", "email", "status", "n"])
TEXTS = st.sampled_from(
    ["", " ", "x", " ü ", "<![CDATA[<b> ]]>", "&amp;&#233;", "<!-- c -->", "a<!-- > -->b"]
)


def written(name: str, children: list[str], text: str) -> str:
    return f'<{name} a="&gt;">{text}{text.join(children)}</{name}>'


ELEMENTS = st.recursive(
    st.builds(written, NAMES, st.just([]), TEXTS),
    lambda inner: st.builds(written, NAMES, st.lists(inner, max_size=4), TEXTS),
    max_leaves=30,
)


def content(element: ET.Element, depth: int = 1) -> Any:
    """Convert an element the simple way."""
    if not len(element):
        return (element.text or "").strip(" \t\r\n")
    texts = [text for each in element.iter() if len(each) for text in (each.text, *(e.tail for e in each))]
    if depth >= 4 and any(text and text.strip(" \t\r\n") for text in texts):
        return xml._inner_xml(element)
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(child.tag, []).append(content(child, depth + 1))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


@given(document=ELEMENTS, piece=st.integers(1, 50))
def test_pieces_of_any_size_give_the_same_content(document: str, piece: int) -> None:
    body = document.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml, "_PIECE", piece)
        assert run_steps(parse_xml(body)) == (ET.fromstring(document).tag, content(ET.fromstring(document)))


@given(document=ELEMENTS, piece=st.integers(1, 50), end=st.integers(0, 200))
def test_a_cut_document_is_an_error_in_pieces_of_any_size(document: str, piece: int, end: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml, "_PIECE", piece)
        with pytest.raises(ET.ParseError):
            run_steps(parse_xml(document.encode()[: min(end, len(document.encode()) - 1)]))


@given(document=ELEMENTS, piece=st.integers(1, 50))
def test_only_elements_below_children_of_the_root_are_converted_and_each_once(
    document: str, piece: int
) -> None:
    seen: list[tuple[str, str, Any]] = []

    def convert(container: str, element: ET.Element) -> None:
        seen.append((container, element.tag, content(element, 3)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xml, "_PIECE", piece)
        assert run_steps(parse_xml(document.encode(), convert)) == run_steps(parse_xml(document.encode()))
    root = ET.fromstring(document)
    assert seen == [(child.tag, element.tag, content(element, 3)) for child in root for element in child]


def test_results_of_convert_are_in_the_content() -> None:
    body = b"<r><as><a>1</a><b/><a>2</a></as><a>3</a></r>"
    steps = parse_xml(body, lambda container, element: element.text and (container, int(element.text)))
    assert run_steps(steps) == ("r", {"as": {"a": [("as", 1), ("as", 2)], "b": ""}, "a": "3"})


def fed(monkeypatch: pytest.MonkeyPatch, body: bytes) -> list[int]:
    """Sizes of the pieces that the parser is given."""
    sizes: list[int] = []

    class Parser(ET.XMLParser):
        def feed(self, data: Any, /) -> None:
            sizes.append(len(data))
            super().feed(data)

    monkeypatch.setattr(xml.ET, "XMLParser", Parser)
    with contextlib.suppress(OverBudget):
        run_steps(parse_xml(body))
    return sizes


RECORDS = b"<r><list>" + b"<a><b>x</b></a>" * 30_000 + b"</list></r>"


def test_records_are_read_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = fed(monkeypatch, RECORDS)
    assert max(sizes) <= xml._PIECE * 2
    assert sum(sizes) == len(RECORDS)


@pytest.mark.parametrize(
    "token", [b"<!-- > %s -->", b"<?p > %s ?>", b"<a b='> %s'/>", b"<a %s=''/>"], ids=lambda token: token[:3]
)
def test_a_long_token_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch, token: bytes) -> None:
    """Expat starts a token again with each piece until it is complete: quadratic with small pieces."""
    body = b"<r>" + token % (b"x" * 2_000_000) + b"</r>"
    sizes = fed(monkeypatch, body)
    assert sum(sizes) == len(body)
    assert len(sizes) <= 12


INDENT = "\n      "


def indented(field: str, records: int = 500) -> bytes:
    """Return a document whose fields are indented, with an unusual one in the last record."""
    record = f"\n    <lead>{INDENT}<notes>x</notes>{INDENT}<city>y</city>{INDENT}<fax/>\n    </lead>"
    return f"<r>\n  <l>{record * records}\n    <lead>{INDENT}{field}{INDENT}</lead>\n  </l>\n</r>".encode()


class TestIndentation:
    def test_the_parser_does_not_see_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        body = indented("<notes>x</notes>")
        assert sum(fed(monkeypatch, body)) < len(body) * 0.8

    @pytest.mark.parametrize(
        "field",
        [
            f"<notes>x > {INDENT}y</notes>",
            f"<notes><p>one</p>{INDENT}<p>two</p></notes>",
            f"<notes>one <br/>{INDENT}<i>two</i></notes>",
            f"<notes><![CDATA[<p>one</p>{INDENT}<p>two</p>]]></notes>",
            f"<notes>one<!-- -->{INDENT}<!-- -->two</notes>",
            f"<notes>one<?p?>{INDENT}<?p?>two</notes>",
            f"<notes>one<!-- -->{INDENT}</notes>",
        ],
        ids=["text", "nested", "markup", "CDATA", "comments", "instructions", "end"],
    )
    def test_values_keep_theirs(self, field: str) -> None:
        body = indented(field)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(xml, "find_indentation", lambda _: b"")
            whole: Any = run_steps(parse_xml(body))
        found: Any = run_steps(parse_xml(body))
        assert found == whole
        values = [content["l"]["lead"][-1]["notes"] for _, content in (found, whole)]
        assert as_sent(values[0]) == as_sent(values[1])

    def test_errors_name_the_line_of_the_document(self) -> None:
        body = indented("<notes></city>")
        with pytest.raises(ET.ParseError) as caught:
            run_steps(parse_xml(body))
        assert caught.value.position[0] == body[: body.index(b"<notes></city>")].count(b"\n") + 1


class TestTurns:
    def test_a_small_document_is_read_without_a_pause(self) -> None:
        body = b"<r><list>" + b"<a>x</a>" * (xml._STEP // 8 - 10) + b"</list></r>"
        assert len(body) <= xml._STEP
        assert len(list(parse_xml(body))) == 0

    def test_a_large_document_pauses_before_each_step(self) -> None:
        pauses = len(list(parse_xml(RECORDS)))
        assert pauses == -(-len(RECORDS) // xml._STEP)


class TestCaps:
    """They hold in what is taken out of the growing tree, wherever its pieces end."""

    @pytest.mark.parametrize(
        "field",
        [
            b"<b>" + b"x" * (BUDGET.text + 1) + b"</b>",
            b"<b>" + (b"x" * 1024 + b"<!-- -->") * (BUDGET.text // 1024) + b"x</b>",
            b"<b c='" + b"x" * (BUDGET.text + 1) + b"'/>",
            b"<b " + b"c" * (BUDGET.text + 1) + b"=''/>",
            b"<b><c c='" + b"x" * (BUDGET.text + 1) + b"'/></b>",
            b"<" + b"b" * (BUDGET.name + 1) + b"/>",
            b"<b>" * (BUDGET.depth + 1) + b"</b>" * (BUDGET.depth + 1),
        ],
        ids=["text", "text in pieces", "value", "attribute", "deeper", "name", "depth"],
    )
    @pytest.mark.parametrize("before", [0, 5, 5000])
    @pytest.mark.parametrize("levels", [0, 1, 2])
    def test_one_over_a_cap_is_refused(self, field: bytes, before: int, levels: int) -> None:
        record = b"<a>x</a>"
        body = b"<r>" + b"<l>" * levels + record * before + field + record * 5 + b"</l>" * levels + b"</r>"
        with pytest.raises(OverBudget, match=r"longer than|nested"):
            run_steps(parse_xml(body))

    def test_the_longest_text_is_not_refused(self) -> None:
        text = "x" * BUDGET.text
        _, found = run_steps(parse_xml(f"<r><l><a>y</a><a>{text}</a></l><l>{text}</l></r>".encode()))
        assert found == {"l": [{"a": ["y", text]}, text]}

    @pytest.mark.parametrize("element", [b"<a/>", b"<a></a>"])
    def test_elements_are_counted_without_their_ends(self, element: bytes) -> None:
        assert run_steps(parse_xml(b"<r>" + element * (BUDGET.elements - 1) + b"</r>"))
        with pytest.raises(OverBudget, match="elements"):
            run_steps(parse_xml(b"<r>" + element * BUDGET.elements + b"</r>"))

    def test_attributes_are_counted(self) -> None:
        assert run_steps(
            parse_xml(b"<r>" + b"<a b='' c=''/>" * (BUDGET.attributes // 2) + b"=" * 10 + b"</r>")
        )
        with pytest.raises(OverBudget, match="attributes"):
            run_steps(parse_xml(b"<r>" + b"<a b='' c=''/>" * (BUDGET.attributes // 2 + 1) + b"</r>"))
