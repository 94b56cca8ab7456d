"""Error codes of the annex ("Codes d'erreurs")."""

from __future__ import annotations

import enum
from typing import Final


class Code(enum.IntEnum):
    """Error code of the service, named after its use in messages.

    Vendor constants with another meaning are aliases: 9006 and 9007 are named after the original source, but
    no message uses them for that.
    """

    EMAIL_IS_REQUIRED = 9001
    EMAIL_IS_INVALID = 9002
    EXTERNAL_ID_NOT_DEFINED = 9003
    LEAD_ALREADY_EXISTS = 9004
    LEAD_DOES_NOT_EXIST = 9005
    INVALID_INTEGER = 9006
    INVALID_BOOLEAN = 9007
    UNSUPPORTED_CUSTOM_TAG = 9008
    LIST_DOES_NOT_EXIST = 9009
    VIEW_DOES_NOT_EXIST = 9010
    INVALID_XML = 9011
    LIST_IS_FILTERED = 9012
    ADD_LEAD_TO_LIST = 9013
    REMOVE_LEAD_FROM_LIST = 9014
    GET_LEAD = 9015
    ADD_LEAD = 9016
    UPDATE_LEAD = 9017
    SYNC_LEAD = 9018

    LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE = 9006
    LEAD_DOES_NOT_HAVE_ORIGINAL_SOURCE_TYPE = 9007
    LIST_INSIDE_FILTER_LIST = 9012


#: Codes that only name the failed method; the `<error>` lines give the reason.
METHOD_FAILED: Final = frozenset(
    {
        Code.ADD_LEAD_TO_LIST,
        Code.REMOVE_LEAD_FROM_LIST,
        Code.GET_LEAD,
        Code.ADD_LEAD,
        Code.UPDATE_LEAD,
        Code.SYNC_LEAD,
    }
)

REASONS: Final[dict[int, str]] = {
    Code.EMAIL_IS_REQUIRED: "an e-mail address is required",
    Code.EMAIL_IS_INVALID: "not an e-mail address",
    Code.EXTERNAL_ID_NOT_DEFINED: "an external id is not defined",
    Code.LEAD_ALREADY_EXISTS: "the lead exists already",
    Code.LEAD_DOES_NOT_EXIST: "the lead does not exist",
    Code.INVALID_INTEGER: "must be a valid integer",
    Code.INVALID_BOOLEAN: "must be 0 or 1",
    Code.UNSUPPORTED_CUSTOM_TAG: "the account has no such custom field",
    Code.LIST_DOES_NOT_EXIST: "the list does not exist",
    Code.VIEW_DOES_NOT_EXIST: "the view does not exist",
    Code.INVALID_XML: "the XML was rejected",
    Code.LIST_IS_FILTERED: "leads cannot be added to a filtered list, only to a static one",
    Code.ADD_LEAD_TO_LIST: "leads were not added to the list",
    Code.REMOVE_LEAD_FROM_LIST: "the lead was not removed from the list",
    Code.GET_LEAD: "the lead was not found",
    Code.ADD_LEAD: "the lead was not created",
    Code.UPDATE_LEAD: "the lead was not updated",
    Code.SYNC_LEAD: "the lead was not synchronized",
}
#: Reasons of codes that the service also sends if the address or name is missing.
MISSING_ARGUMENT: Final[dict[int, str]] = {
    Code.LEAD_DOES_NOT_EXIST: "the lead's e-mail address is missing",
    Code.LIST_DOES_NOT_EXIST: "the list's name is missing",
    Code.VIEW_DOES_NOT_EXIST: "the view's name is missing",
}
