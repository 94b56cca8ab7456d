"""Write `leads.csv`: 1,000 rows as awkward as those of real exports, and always the same.

    python examples/make_leads_csv.py

Three addresses are invalid and two leads are repeated, so 995 leads remain to be sent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

ROWS = 1000
COLUMNS = (
    "email",
    "firstName",
    "lastName",
    "company",
    "jobTitle",
    "phone",
    "mobile",
    "mailingAddress",
    "postalCode",
    "city",
    "country",
    "language",
    "dateOfBirth",
    "isCustomer",
    "nbrEmployees",
    "crmLeadId",
    "leadSource",
    "notes",
    "carColor",
    "number_of_participants",
)
FIRST_NAMES = (
    *("Zoë", "Åsa", "François", "Björn", "María José", "Siân", "Łukasz", "Émilie", "Jean-Luc", "O'Neil"),
    *("Nguyễn", "Ørjan", "İpek", "Søren", "Ana", "李", "Ольга", "Γιώργος", "Grace", "Ada"),
)
LAST_NAMES = (
    *("Lindström", "Lefèvre", "O'Brien", "Müller-Lüdenscheidt", "Nuñez", "Dvořák", "van der Berg", "Smith"),
    *("Côté", "Sjöberg", "Çelik", "Þórsdóttir", "Tremblay", "d'Angelo", "Bäcklund", "Ibáñez", "Hopper"),
)
COMPANIES = (
    'Bröderna "Bygg" & Söner AB',
    "Café de l'Étoile; Lyon",
    "Smith, Smith & Sons <Ltd>",
    "Société Générale d'Énergie",
    "100 % Öl GmbH",
    "",
)
JOB_TITLES = ("VD", "Directrice, marketing", 'Head of "Growth"', "Ingénieur·e", "", "Sales\tManager")
CITIES = (
    ("Göteborg", "411 05", "SE"),
    ("Montréal", "H2Y 1C6", "CA"),
    ("Zürich", "8001", "CH"),
    ("Saint-Étienne", "42000", "FR"),
    ("New York", "00501", "US"),
)
NOTES = (
    "",
    'Called on Monday.\nWants a quote, "soon".',
    "Première ligne\n\nTroisième ligne; fin",
    "=SUM(A1:A9) is text here",
    "Träffades på mässan 🎪 & pratade <länge>",
    "",
    "]]> -- '' \\ / %41 &amp; &#233;",
)
COLORS = ("Red", "Grön", "bleu nuit", "")
#: Invalid address, by number of the row, from 1.
INVALID = {137: "anna.lindstrom.example.com", 512: "jean luc@example.com", 868: "ops@@example.com"}
#: Row number and the earlier row whose lead it repeats: once exactly, once with new values.
REPEATED = {400: 200, 901: 33}


def rows() -> Iterator[dict[str, str]]:
    """Yield the rows in order."""
    for number in range(1, ROWS + 1):
        row = lead(REPEATED.get(number, number))
        if number in INVALID:
            row["email"] = INVALID[number]
        if number == 901:
            row |= {"email": row["email"].upper(), "phone": "+46 31 901 901", "notes": "Moved; new number."}
        yield row


def lead(number: int) -> dict[str, str]:
    """Return the lead with this number."""
    city, postal_code, country = CITIES[number % 5]
    north_american = country in ("CA", "US")
    local = f"{number * 7919 % 10_000_000:07d}"
    return {
        "email": f"lead.{number:04d}+crm@example.{('com', 'org', 'net')[number % 3]}",
        "firstName": FIRST_NAMES[number % len(FIRST_NAMES)],
        "lastName": LAST_NAMES[number % len(LAST_NAMES)],
        "company": COMPANIES[number % len(COMPANIES)],
        "jobTitle": JOB_TITLES[number % len(JOB_TITLES)],
        "phone": f"+1 514-{local[:3]}-{local[3:]}" if north_american else f"+46 31 {local[:3]} {local[3:]}",
        "mobile": f"+1{local}000" if north_american else "",
        "mailingAddress": f"{number % 97 + 1}, rue de l'Église\nbâtiment {'ABC'[number % 3]}"
        if number % 4
        else "",
        "postalCode": postal_code,
        "city": city,
        "country": country,
        "language": {"SE": "sv", "CH": "de", "US": "en"}.get(country, "fr"),
        "dateOfBirth": f"{1950 + number % 50}-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
        if number % 3
        else "",
        "isCustomer": ("0", "1", "")[number % 3],
        "nbrEmployees": str(number * 13 % 5000) if number % 5 else "",
        "crmLeadId": f"CRM-{number:06d}",
        "leadSource": "Trade fair 2026" if number % 2 else "",
        "notes": NOTES[number % len(NOTES)],
        "carColor": COLORS[number % len(COLORS)],
        "number_of_participants": str(number % 9) if number % 6 else "",
    }


def write(path: Path) -> None:
    """Write the file: UTF-8, comma-separated, with line feeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows())


if __name__ == "__main__":
    write(Path(__file__).with_name("leads.csv"))
