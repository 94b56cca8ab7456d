"""The fields of a lead, as the vendor's samples list them.

Sources: PUBLITRAC API reference, Get leads (what is returned, in which order) and Sync Lead (what is sent);
"Lexicon and native fields" (types and defaults).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from attrs import frozen

Kind = Literal["text", "integer", "boolean", "datetime"]


@frozen
class LeadField:
    """A native field."""

    name: str
    kind: Kind = "text"
    default: str = ""
    """Value in a new lead that was sent without this field."""
    label: str = ""
    """Spelling in error messages; only fields that are validated have one."""
    writable: bool = True
    returned: bool = True


NATIVE_FIELDS: Final = (
    LeadField("id", "integer", writable=False),
    LeadField("firstName"),
    LeadField("lastName"),
    LeadField("middleName"),
    LeadField("company"),
    LeadField("phone"),
    LeadField("email"),
    LeadField("mailingAddress"),
    LeadField("leadSource", returned=False),
    LeadField("originalSource"),
    LeadField("originalSourceType", default="Direct"),
    LeadField("keyword"),
    LeadField("jobTitle"),
    LeadField("dateOfBirth", "datetime", label="dateOfBirth"),
    LeadField("status", default="Active"),
    LeadField("score", "integer", "0", "Score"),
    LeadField("postalCode"),
    LeadField("country"),
    LeadField("city"),
    LeadField("state"),
    LeadField("doNotCall", "boolean", "0", "DoNotCall"),
    LeadField("doNotCallReason"),
    LeadField("token"),
    LeadField("unsubscribed", "boolean", "0", "Unsubscribed"),
    LeadField("unsubscribeCause"),
    LeadField("unsubscribeReason", returned=False),
    LeadField("fax"),
    LeadField("mobile"),
    LeadField("isCustomer", "boolean", "0", "IsCustomer"),
    LeadField("isAnonymous", "boolean", "0", "isAnonymous"),
    LeadField("emailInvalid", "boolean", "0", "emailInvalid"),
    LeadField("emailInvalidCause"),
    LeadField("notes"),
    LeadField("suspended", "boolean", "0", "Suspended"),
    LeadField("suspendedReason"),
    LeadField("blacklisted", "boolean", "0", "Blacklisted"),
    LeadField("blacklistedCause"),
    LeadField("customerId"),
    LeadField("website"),
    LeadField("language"),
    LeadField("nbrEmployees", "integer", label="NbrEmployees"),
    LeadField("revenue", "integer", label="Revenue"),
    LeadField("crmLeadId"),
    LeadField("createdDate", "datetime", writable=False),
    LeadField("lastUpdated", "datetime", writable=False),
)
"""Every native field, in the order of the responses."""

FIELD_BY_NAME: Final = {item.name: item for item in NATIVE_FIELDS}
CUSTOM_FIELDS: Final = "customFields"
"""Element that holds the custom fields in a request; responses show them as ordinary fields."""

_XML_NAME: Final = re.compile(r"[^\W\d][\w.-]*")
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)


def is_custom_field_name(name: str) -> bool:
    """Return True if a custom field can have this name: an XML name that is not a native field."""
    return bool(_XML_NAME.fullmatch(name)) and name not in FIELD_BY_NAME and name != CUSTOM_FIELDS


def is_email(text: str) -> bool:
    """Return True if a text is an e-mail address: ASCII, one `@`, a domain with a dot."""
    return len(text) <= 254 and bool(_EMAIL.fullmatch(text))
