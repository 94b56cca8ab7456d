"""Sources that tests read: a workbook as Excel writes it."""

from __future__ import annotations

from pathlib import Path

from publitrac_async.bulk import Row, read_leads


def read(path: Path, **options: str) -> list[Row]:
    return list(read_leads(path, **options))


def workbook() -> bytes:
    """A small workbook, written by hand: two sheets, the first with empty rows before and between."""
    import io
    import zipfile

    def cell(reference: str, value: object) -> str:
        if isinstance(value, bool):
            return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
        if isinstance(value, float | int):
            return f'<c r="{reference}"><v>{value}</v></c>'
        return f'<c r="{reference}" t="inlineStr"><is><t>{value}</t></is></c>'

    def sheet(rows: dict[int, list[object]]) -> str:
        body = "".join(
            f'<row r="{line}">'
            + "".join(cell(f"{'ABCDE'[at]}{line}", value) for at, value in enumerate(cells) if value != "")
            + "</row>"
            for line, cells in rows.items()
        )
        return f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{TYPES}</Types>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r0" Target="xl/workbook.xml" '
            f'Type="{OFFICE}/officeDocument"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="One" sheetId="1" r:id="r1"/>'
            '<sheet name="Two" sheetId="2" r:id="r2"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">'
            + "".join(
                f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml" Type="{OFFICE}/worksheet"/>'
                for n in (1, 2)
            )
            + "</Relationships>",
        )
        first = {
            2: ["email", "phone", "revenue", "birth", "isCustomer"],
            3: ["å@x.io", 4631123.0, 1.5, "", True],
            5: ["b@x.io"],
        }
        archive.writestr("xl/worksheets/sheet1.xml", sheet(first))
        archive.writestr("xl/worksheets/sheet2.xml", sheet({1: ["email"], 2: ["two@x.io"]}))
    return file.getvalue()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPES = (
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument'
    '.spreadsheetml.sheet.main+xml"/>'
)
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
