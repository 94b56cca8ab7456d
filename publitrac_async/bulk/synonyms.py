"""Common names of columns in exports of other systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from publitrac_async.bulk.cells import normalized

#: Common names of columns, in English and French, by the vendor's name of the field.
SYNONYMS: Final[Mapping[str, Sequence[str]]] = {
    "email": (
        "email address",
        "mail",
        "e-mail 1",
        "courriel",
        "adresse courriel",
        "adresse e-mail",
        "adresse mail",
    ),
    "firstName": ("given name", "forename", "prénom", "first"),
    "lastName": ("surname", "family name", "nom", "nom de famille", "last"),
    "company": ("company name", "account name", "organization", "organisation", "entreprise", "société"),
    "phone": ("phone number", "telephone", "téléphone", "tel", "business phone", "work phone"),
    "mobile": ("mobile phone", "cell", "cell phone", "cellulaire", "portable", "téléphone mobile"),
    "fax": ("fax number", "télécopieur"),
    "mailingAddress": ("address", "street", "street address", "adresse", "mailing street", "address line 1"),
    "postalCode": ("zip", "zip code", "postcode", "code postal", "mailing zip"),
    "city": ("town", "ville", "mailing city"),
    "state": ("province", "region", "state/region", "état", "mailing state"),
    "country": ("pays", "country/region", "mailing country"),
    "jobTitle": ("title", "position", "titre", "fonction", "poste"),
    "dateOfBirth": ("birthday", "birth date", "birthdate", "date de naissance", "né le", "né(e) le"),
    "language": ("langue", "preferred language"),
    "website": ("web site", "url", "site web"),
    "nbrEmployees": (
        "employees",
        "number of employees",
        "nombre d'employés",
        "nb employés",
        "nb d'employés",
        "effectif",
    ),
    "revenue": ("annual revenue", "chiffre d'affaires", "revenus"),
    "notes": ("note", "comments", "commentaires", "description", "remarques"),
    "unsubscribed": (
        "unsubscribe",
        "opt out",
        "email opt out",
        "opted out of email",
        "has opted out of email",
        "opted out",
        "optout",
        "do not email",
        "do not contact",
        "newsletter opt out",
        "désabonné",
        "désinscrit",
    ),
    "doNotCall": ("do not phone", "ne pas appeler"),
    "crmLeadId": ("lead id", "contact id", "record id", "id crm", "external id"),
}
#: Field by common name, in the form that `normalized` returns.
BY_SYNONYM: Final = {normalized(name): field for field, names in SYNONYMS.items() for name in names}
