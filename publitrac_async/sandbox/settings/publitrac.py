"""Settings of the emulated PUBLITRAC: one for every undocumented point.

Defaults are the most plausible behaviour; the other values are alternatives that a client may encounter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypedDict

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, gt, in_, instance_of, or_

from publitrac_async.sandbox.settings.checks import (
    names,
    names_or_none,
    require_path,
    require_positive_or_none,
    require_time_zone,
)

ApiKeyParameter = Literal["either", "apikey", "apiKey"]
CredentialsPlace = Literal["either", "query", "body"]
HttpRefusal = Literal["401", "403", "200"]
UnknownMethodResponse = Literal["200", "400", "404"]
OverLimit = Literal["reject", "count"]
OverLimitResponse = Literal["429", "503", "403", "200"]
LimitCounts = Literal["account", "address"]
UnicityKeysShape = Literal["any", "text", "children", "names"]
OptionsPlace = Literal["any", "before", "after", "inside"]
EmptyElement = Literal["clears", "ignored", "refused"]
EmptyForm = Literal["pair", "self_closing", "absent"]
Combination = Literal["and", "or"]
MissingLeadResponse = Literal["9015", "9005", "empty", "blank", "404"]
PagePastEnd = Literal["empty", "last", "first", "error"]
WrongVerbResponse = Literal["accepted", "405", "200"]
AnnexVerb = Literal["either", "GET", "POST"]
AnnexPlace = Literal["either", "parameters", "xml"]

OPERATORS: Final = frozenset({"like", "=", "!=", "<", ">"})
"""Every operator that the sandbox can apply; the documents show `like` only."""


@frozen(kw_only=True, slots=False)
class PublitracSettings:
    """Choices for PUBLITRAC. "Undocumented" marks a point on which the vendor's documents are silent.

    Attributes:
        api_key: the API key for v1 and v2. The defaults of the credentials are those of the documents'
            example.
        username: the user name for v1.
        password: the password for v1.
        account_token: the "account token" of e-commerce transactions (PUBLITRAC API reference, E-Commerce
            Transactions).
        api_key_parameter: the spelling of the key's parameter in v1; the documents have both. Another
            spelling is ignored.
        credentials_in: the place of v1's credentials in a POST. Undocumented. Credentials elsewhere are
            ignored.
        bad_credentials_response: the HTTP status for wrong v1 credentials. Undocumented.
        unknown_method_response: the HTTP status for an unknown v1 method. Undocumented.
        failure_http_status: the HTTP status that carries a 9xxx status. Undocumented.
        failure_status: the v1 status of a failure for which the documents name none.

        rate_limit: calls allowed in any sliding second; None for no limit (PUBLITRAC API reference,
            Limitation).
        v2_rate_limit: `shared` to count v2 and v1 together, otherwise the limit of v2 alone. Undocumented.
        limit_counts: `account` to count every call, `address` to count each client address separately.
            Undocumented.
        over_limit: `reject` to refuse a call over the limit, `count` to execute it and mark it in the
            journal. Undocumented.
        over_limit_response: the HTTP status of a refused call; with `200` the refusal is in the body.
            Undocumented.

        token_ttl: lifetime of a v2 token in seconds after its last use (PUBLITRAC API V2, Authentification).
        expired_token_response: the HTTP status for a bad or expired v2 token. Undocumented.
        expired_token_code: the code in the body of that response. Undocumented.
        bad_key_response: the HTTP status of getToken for a wrong key. Undocumented.
        v2_enabled: False to serve v1 only, as an environment without v2 does. Undocumented for the
            Canadian environment.
        processing_delay: seconds until a lead sent to `delayedSync` is processed ("a little later").
        match_v2_names_ignoring_case: True to take `Email` for `email` in v2. Undocumented; a client in
            production relies on it.

        custom_fields: the custom fields of the account; others are refused with 9008. None accepts any name.
        unicity_keys_shape: the content of syncLead's `<customUnicityKeys>` that is understood: `text` for
            names with commas, `children` for elements with a name each, `names` for elements that are
            named after a field, `any` for all of them. Keys in another shape are ignored. Undocumented.
        options_place: the place of syncLead's options: `before` or `after` `<lead>` or `inside` of it.
            Options elsewhere are ignored. Undocumented.
        empty_element: the effect of an empty element or value on an existing lead: it `clears` the field,
            is `ignored`, or is `refused` with the lead. Undocumented.

        operators: the operators of getLeads; others are refused. The documents show `like` only.
        conditions_combine: `and` if every condition of getLeads must hold, `or` if one suffices.
            Undocumented.
        missing_lead_response: the response of the methods that get one lead when it is missing: status
            `9015` with a 9005 error, status `9005`, a success that is `empty` or holds a `blank` lead, or
            HTTP `404`. Undocumented.
        empty_form: the form of empty elements in v1 responses: a `pair` of tags as in the samples, one
            `self_closing` tag, or `absent`. Undocumented.
        page_size: leads and campaigns on a page (samples of getLeads, getView, getList; undocumented for
            campaigns).
        opportunity_page_size: opportunities on a page (sample of getOpportunities).
        page_past_end: the content of a page after the last one: `empty`, the `last` page, the `first`
            page, or an `error`. Undocumented.
        get_list_unclosed: True to leave out `</response>` in getList, as the sample in the documents does.
        time_zone: the zone of dates in responses, such as `America/Montreal`. Undocumented; the samples fit
            UTC.

        wrong_verb_response: the effect of another verb than the page of a v1 method lists: the call is
            `accepted`, or refused with HTTP `405` or `200`. Undocumented.
        annex_verb: the verb of the methods that only the annex names; another one is a wrong verb.
            Undocumented.
        annex_place: the place of list name and e-mail in the methods that only the annex names: in
            `parameters`, in the `xml`, or `either`. Undocumented.
        token_id_parameters: the names of the parameter of getLeadByTokenId. Undocumented.
        email_parameters: the names of the e-mail's parameter in the methods that only the annex names.
            Undocumented.
        list_name_parameters: the names of the list's parameter in addLeadToList and removeLeadFromList.
            Undocumented.
        partial_list_additions: True if addLeadsToList adds the leads it found when others are missing.
            Undocumented.
        transaction_path: the path of the e-commerce transaction; the documents give no URL.
    """

    api_key: str = field(default="1234e567-890c-123e-4567-8901b234c56", repr=False)
    username: str = field(default="MyUser", repr=False)
    password: str = field(default="MyPassw0rd", repr=False)
    account_token: str = field(default="accountToken", repr=False)
    api_key_parameter: ApiKeyParameter = field(
        default="either", validator=in_(("either", "apikey", "apiKey"))
    )
    credentials_in: CredentialsPlace = field(default="either", validator=in_(("either", "query", "body")))
    bad_credentials_response: HttpRefusal = field(default="401", validator=in_(("401", "403", "200")))
    unknown_method_response: UnknownMethodResponse = field(
        default="200", validator=in_(("200", "400", "404"))
    )
    failure_http_status: int = field(default=200, validator=ge(200))
    failure_status: int = field(default=9000, validator=ge(1000))

    rate_limit: int | None = field(default=35, validator=require_positive_or_none)
    v2_rate_limit: int | Literal["shared"] | None = field(
        default="shared", validator=or_(in_(("shared", None)), ge(1))
    )
    limit_counts: LimitCounts = field(default="account", validator=in_(("account", "address")))
    over_limit: OverLimit = field(default="reject", validator=in_(("reject", "count")))
    over_limit_response: OverLimitResponse = field(default="429", validator=in_(("429", "503", "403", "200")))

    token_ttl: float = field(default=900, validator=gt(0))
    expired_token_response: HttpRefusal = field(default="401", validator=in_(("401", "403", "200")))
    expired_token_code: int = field(default=401, validator=instance_of(int))
    bad_key_response: HttpRefusal = field(default="401", validator=in_(("401", "403", "200")))
    v2_enabled: bool = field(default=True, validator=instance_of(bool))
    processing_delay: float = field(default=0.2, validator=ge(0))
    match_v2_names_ignoring_case: bool = field(default=True, validator=instance_of(bool))

    custom_fields: frozenset[str] | None = field(default=None, converter=names_or_none)
    unicity_keys_shape: UnicityKeysShape = field(
        default="any", validator=in_(("any", "text", "children", "names"))
    )
    options_place: OptionsPlace = field(default="any", validator=in_(("any", "before", "after", "inside")))
    empty_element: EmptyElement = field(default="clears", validator=in_(("clears", "ignored", "refused")))

    operators: frozenset[str] = field(
        default=OPERATORS, converter=names, validator=deep_iterable(in_(OPERATORS))
    )
    conditions_combine: Combination = field(default="and", validator=in_(("and", "or")))
    missing_lead_response: MissingLeadResponse = field(
        default="9015", validator=in_(("9015", "9005", "empty", "blank", "404"))
    )
    empty_form: EmptyForm = field(default="pair", validator=in_(("pair", "self_closing", "absent")))
    page_size: int = field(default=100, validator=gt(0))
    opportunity_page_size: int = field(default=200, validator=gt(0))
    page_past_end: PagePastEnd = field(default="empty", validator=in_(("empty", "last", "first", "error")))
    get_list_unclosed: bool = field(default=False, validator=instance_of(bool))
    time_zone: str = field(default="UTC", validator=require_time_zone)

    wrong_verb_response: WrongVerbResponse = field(
        default="accepted", validator=in_(("accepted", "405", "200"))
    )
    annex_verb: AnnexVerb = field(default="either", validator=in_(("either", "GET", "POST")))
    annex_place: AnnexPlace = field(default="either", validator=in_(("either", "parameters", "xml")))
    token_id_parameters: frozenset[str] = field(
        default=frozenset({"tokenId", "tokId", "token"}), converter=names
    )
    email_parameters: frozenset[str] = field(default=frozenset({"email"}), converter=names)
    list_name_parameters: frozenset[str] = field(default=frozenset({"listName"}), converter=names)
    partial_list_additions: bool = field(default=True, validator=instance_of(bool))
    transaction_path: str = field(default="/ecommerce/transaction", validator=require_path)


class PublitracOptions(TypedDict, total=False):
    """The fields of `PublitracSettings`, all optional."""

    api_key: str
    username: str
    password: str
    account_token: str
    api_key_parameter: ApiKeyParameter
    credentials_in: CredentialsPlace
    bad_credentials_response: HttpRefusal
    unknown_method_response: UnknownMethodResponse
    failure_http_status: int
    failure_status: int
    rate_limit: int | None
    v2_rate_limit: int | Literal["shared"] | None
    limit_counts: LimitCounts
    over_limit: OverLimit
    over_limit_response: OverLimitResponse
    token_ttl: float
    expired_token_response: HttpRefusal
    expired_token_code: int
    bad_key_response: HttpRefusal
    v2_enabled: bool
    processing_delay: float
    match_v2_names_ignoring_case: bool
    custom_fields: Iterable[str] | None
    unicity_keys_shape: UnicityKeysShape
    options_place: OptionsPlace
    empty_element: EmptyElement
    operators: Iterable[str]
    conditions_combine: Combination
    missing_lead_response: MissingLeadResponse
    empty_form: EmptyForm
    page_size: int
    opportunity_page_size: int
    page_past_end: PagePastEnd
    get_list_unclosed: bool
    time_zone: str
    wrong_verb_response: WrongVerbResponse
    annex_verb: AnnexVerb
    annex_place: AnnexPlace
    token_id_parameters: Iterable[str]
    email_parameters: Iterable[str]
    list_name_parameters: Iterable[str]
    partial_list_additions: bool
    transaction_path: str
