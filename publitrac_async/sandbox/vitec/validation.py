"""Validation of values (Vitec's page, column "Information").

Lengths are from its pages of sibling calls. The first three messages are from the page; the others are
invented in its style.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

PERSON_REQUIRED: Final = "En kontaktperson måste anges"
RECEIVER_REQUIRED: Final = (
    "Om en mottagare anges måste antingen handläggare, användargrupp eller kontor specificeras"
)
LEAD_SOURCE_REQUIRED: Final = "En leadskälla måste anges"

_LENGTHS: Final[Mapping[tuple[str, ...], int]] = {
    ("firstName",): 40,
    ("lastName",): 40,
    ("socialSecurityNumber",): 20,
    ("address", "streetAddress"): 68,
    ("address", "zipCode"): 15,
    ("address", "city"): 25,
    ("email", "emailAddress"): 100,
    ("email", "emailAddress2"): 100,
    ("telephone", "home"): 17,
    ("telephone", "work"): 17,
    ("telephone", "cell"): 17,
    ("telephone", "other"): 17,
}
_CONTACT_WAYS: Final = (
    ("email", "emailAddress"),
    ("email", "emailAddress2"),
    ("telephone", "home"),
    ("telephone", "work"),
    ("telephone", "cell"),
)
"""`other` is not among them: "bostad eller arbete ... eller mobilnummer"."""


def problems(lead: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the messages by field, in the names of the service's own types; empty if all are valid."""
    person = lead.get("person")
    found = [("Person", PERSON_REQUIRED)] if person is None else list(_person_problems(person))
    source = lead.get("leadSource")
    if source is None:
        found.append(("LeadSource", LEAD_SOURCE_REQUIRED))
    elif not value(source, ("name",)).strip():
        found.append(("LeadSource.Name", "Namn måste anges"))
    receiver = lead.get("receiver")
    if receiver is not None and len(receiver) != 1:
        found.append(("Receiver", RECEIVER_REQUIRED))
    messages: dict[str, list[str]] = {}
    for path, message in found:
        messages.setdefault(path, []).append(message)
    return messages


def _person_problems(person: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, label in (("firstName", "Förnamn"), ("lastName", "Efternamn")):
        if not value(person, (name,)).strip():
            yield _path("Person", name), f"{label} måste anges"
    if not any(value(person, way).strip() for way in _CONTACT_WAYS):
        yield "Person", "Minst en av e-postadress, telefonnummer (bostad eller arbete) och mobil måste anges"
    for path, length in _LENGTHS.items():
        if len(value(person, path)) > length:
            yield _path("Person", *path), f"Får innehålla högst {length} tecken"


def value(part: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """Return the text at a path of names, or an empty text."""
    found: Any = part
    for name in path:
        found = found.get(name, {})
    return found if isinstance(found, str) else ""


def _path(*names: str) -> str:
    return ".".join(name[:1].upper() + name[1:] for name in names)
