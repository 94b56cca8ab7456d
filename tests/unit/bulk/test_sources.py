from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from publitrac_async.bulk import BulkError, ColumnMapping, Row, SourceError, read_leads, sync_leads
from tests.support.sinks import RecordingSink
from tests.support.sources import read

EXAMPLE = Path(__file__).parents[3] / "examples" / "leads.csv"
NOT_UTF_8 = "not utf-8: declare the file's encoding; a file from Excel may need --encoding cp1252"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_the_example_is_the_output_of_its_script(tmp_path: Path) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    exec(
        compile((EXAMPLE.parent / "make_leads_csv.py").read_text("utf-8"), "make_leads_csv.py", "exec"),
        namespace,
    )
    namespace["write"](tmp_path / "leads.csv")
    assert (tmp_path / "leads.csv").read_bytes() == EXAMPLE.read_bytes()


def test_rows_know_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'email,notes\na@x.io,"one\ntwo\n\nthree"\n\nb@x.io,\n')
    assert read(path) == [
        Row(2, {"email": "a@x.io", "notes": "one\ntwo\n\nthree"}),
        Row(7, {"email": "b@x.io", "notes": ""}),
    ]


def test_the_example_agrees_with_its_own_lines() -> None:
    lines = EXAMPLE.read_text("utf-8").split("\n")
    rows = read(EXAMPLE)
    assert len(rows) == 1000
    for row in rows:
        assert lines[row.line - 1].startswith(row.fields["email"])


@pytest.mark.parametrize(
    ("name", "encoding", "options"),
    [
        ("a.csv", "utf-8", {}),
        ("a.csv", "utf-8-sig", {}),
        ("a.csv", "utf-8-sig", {"encoding": "utf-8-sig"}),
        ("a.csv", "cp1252", {"encoding": "cp1252"}),
        ("a.csv", "utf-16", {"encoding": "utf-16"}),
        ("a.CSV", "latin-1", {"encoding": "ISO-8859-1"}),
    ],
)
def test_declared_encodings_are_read(
    tmp_path: Path, name: str, encoding: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / name, "email,city\r\na@x.io,Göteborg\r\n", encoding)
    assert read(path, **options) == [Row(2, {"email": "a@x.io", "city": "Göteborg"})]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.tsv", "email\tcity\na@x.io\tÅ, b\n", {}),
        ("a.csv", "email;city\na@x.io;Å, b\n", {"delimiter": ";"}),
        ("a.txt", "email|city\na@x.io|Å, b\n", {"delimiter": "|"}),
        ("a.jsonl", '{"email": "a@x.io", "city": "Å, b"}\n', {}),
        ("a.jsonl", '\ufeff\n{"email": "a@x.io", "city": "Å, b"}', {}),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, text: str, options: dict[str, str]) -> None:
    (row,) = read(write(tmp_path / name, text), **options)
    assert row.fields == {"email": "a@x.io", "city": "Å, b"}
    assert row.problem is None


def test_columns_of_result_files_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "rejected.csv", "email,publitrac_line,publitrac_reason\na@x.io,7,bad\n")
    source = read_leads(path)
    assert [row.fields for row in source] == [{"email": "a@x.io"}]
    assert source.columns == ["email"]
    lines = write(tmp_path / "rejected.jsonl", '{"email": "a@x.io", "publitrac_line": 7}\n')
    assert [row.fields for row in read(lines)] == [{"email": "a@x.io"}]


def test_rows_that_do_not_fit_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"email,city\nshort@x.io\nlong@x.io,b,c,d\nempty@x.io,b,,\nlatin@x.io,\xe5\nfine@x.io,b\n"
    )
    short, long, empty, latin, fine = read(path)
    assert (short.fields, short.problem) == ({"email": "short@x.io"}, None)
    assert long.problem == "4 cells for 2 columns"
    assert long.fields["publitrac_text"] == "c,d"
    assert (empty.fields, empty.problem) == ({"email": "empty@x.io", "city": "b"}, None)
    assert latin.problem == NOT_UTF_8
    assert fine == Row(6, {"email": "fine@x.io", "city": "b"})


def test_lines_that_are_no_json_object_are_refused_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"email": "a@x.io"}\n{"email": \n["email"]\n{"email": "\xe5@x.io"}\n\n{"email": "b@x.io"}\n'
    )
    problems = {row.line: row.problem for row in read(path)}
    assert problems == {
        1: None,
        2: "not JSON: expecting value",
        3: "not a JSON object",
        4: NOT_UTF_8,
        6: None,
    }


def test_two_values_of_one_name_are_refused_and_kept_for_correction(tmp_path: Path) -> None:
    text = '{"email": "a@x.io", "city": "Lund", "city": "Ystad"}'
    for name, content in (("a.jsonl", text), ("a.json", f"[{text}]")):
        path = tmp_path / name
        path.write_text(content)
        (row,) = read(path)
        assert row.problem == "two values are named city"
        assert "Ystad" in str(row.fields)
        if name == "a.jsonl":
            assert row.fields == {"publitrac_text": text}


@pytest.mark.parametrize(
    "text",
    [
        '{"email": "a@x.io", "city": "says \\"x\\":1"}',
        '{"email" : "a@x.io", "city"\t:"b"}',
        '{"email": "a@x.io", "tags": [{"a": 1}]}',
        '{"email": "a@x.io", "score": NaN}',
        '{"email": "a@x.io", "big": 123456789012345678901234567890}',
    ],
)
def test_lines_that_are_read_with_care_are_read_as_they_are(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    (row,) = read(path)
    assert row.problem is None
    assert repr(row.fields) == repr(json.loads(text))


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ("ada@example.com,Ada,Lovelace", False),
        ("Ada,Lovelace,+46 70 123 45 67", False),
        ("Lovelace,1815-12-10,Ada", False),
        ("name,phone 2,address 12345", True),
    ],
)
async def test_a_first_row_is_not_quoted_as_a_header(tmp_path: Path, first: str, shown: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\n{first}\n")
    mapping = ColumnMapping.from_dict({"fields": {"email": "E-post"}})
    for each in (None, mapping):
        with pytest.raises(BulkError) as caught:
            await sync_leads(read_leads(path), RecordingSink(), mapping=each)
        assert (first.split(",", maxsplit=1)[0] in caught.value.message) is shown
        assert ("add a header above it" in caught.value.message) is not shown


def test_a_cell_that_is_too_long_is_not_called_a_quote(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("email,city\na@x.io," + "x" * 1_100_000 + "\nb@x.io,c\n")
    long, other = read(path)
    assert long.problem == "a cell is longer than 1,048,576 characters"
    assert other.fields == {"email": "b@x.io", "city": "c"}


@pytest.mark.parametrize("suffix", [".zip", ".zst", ".bz2"])
def test_a_packed_file_that_is_not_read_has_to_be_unpacked(suffix: str) -> None:
    with pytest.raises(SourceError, match="unpack the file first"):
        read_leads(f"leads.csv{suffix}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('email,city\na@x.io,"open\nb@x.io,c\n', "line 2: unexpected end of data"),
        ('email,city\na@x.io,"b" c"\n', "line 2: ',' expected after '\"'"),
        ("email,city,email\n", "two columns are named email"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_as_a_whole(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(SourceError, match=complaint):
        read(write(tmp_path / "a.csv", text))


def test_an_undecodable_header_and_a_wrong_wide_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("email,vÿlle\n".encode("cp1252"))
    with pytest.raises(SourceError, match="line 1: not utf-8: declare"):
        read(path)
    path.write_bytes(b"email,city\na\n")
    with pytest.raises(SourceError, match="not utf-16: declare"):
        read(path, encoding="utf-16")


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for name, options in [
        ("a.doc", {}),
        ("a", {}),
        ("a.csv", {"delimiter": ";;"}),
        ("a.csv", {"delimiter": '"'}),
        ("a.csv", {"encoding": "utf-99"}),
        ("a.csv", {"sheet": "One"}),
        ("a.jsonl", {"delimiter": ";"}),
    ]:
        with pytest.raises(SourceError):
            read_leads(tmp_path / name, **options)
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read(tmp_path / "missing.csv")


def test_the_fingerprint_changes_with_size_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    seen = set()
    for text in ("a" * 200_000, "b" + "a" * 199_999, "a" * 199_999 + "b", "a" * 200_001):
        path.write_text(text)
        seen.add(read_leads(path).source_hash())
    assert len(seen) == 4


def test_the_example_is_as_awkward_as_promised() -> None:
    with EXAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = EXAMPLE.read_text("utf-8")
    assert len(rows) == 1000
    assert '""' in text
    assert any("\n" in value for row in rows for value in row.values())
    assert {row["phone"][:3] for row in rows} == {"+1 ", "+46"}
    assert not text.isascii()
    assert "carColor" in rows[0]
    assert "number_of_participants" in rows[0]
    assert any(value == "" for row in rows for value in row.values())
    assert len({row["email"].casefold() for row in rows}) == 998
