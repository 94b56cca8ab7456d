"""Records of v1 besides leads: histories, opportunities, campaigns, transactions.

Fields without a value are `UNSET` and are not sent, as with `Lead`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from attrs import define, field

from publitrac_async.models import UNSET, Date, DateTime, Flag, Integer, Text, Unset

#: Sum or quantity of a transaction. The service takes them as text.
Amount: TypeAlias = str | int | float | Decimal | Unset | None

#: Values of `Opportunity.sales_stage` ("Objet opportunité").
SALES_STAGES: Final = (
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Perception Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)


@define(kw_only=True)
class _PageEvent:
    information: Text = UNSET
    context: Text = UNSET
    url: Text = UNSET
    query: Text = UNSET
    referral: Text = UNSET
    ip: Text = UNSET
    user_agent: Text = UNSET
    session_id: Text = UNSET


@define(kw_only=True)
class WebVisit(_PageEvent):
    """Visit to a page ("Add web visit history"). The service sets the time.

    Attributes:
        information: ``/blog``.
        context: ``Blog viewed``.
        url: address of the page.
        query: query string of that address.
        referral: the referring page.
        ip: the visitor's IP address.
        user_agent: the visitor's browser.
        session_id: the visitor's session.
    """


@define(kw_only=True)
class ClickLink(_PageEvent):
    """Click on a link ("Add click link history"). The service sets the time.

    Attributes:
        information: ``/blog``.
        context: ``Blog viewed``.
        url: the link's address.
        query: query string of that address.
        referral: the page with the link.
        ip: the visitor's IP address.
        user_agent: the visitor's browser.
        session_id: the visitor's session.
    """


@define(kw_only=True)
class FilledForm:
    """Submitted form ("Add fill out form history"). The service sets the time.

    Attributes:
        form_name: name of an existing form in PUBLITRAC. Mandatory.
        information: ``Registration Form``.
        context: free text.
        url: ``/infolettre.php``.
        values: the fields, one ``Label: value`` per line; a mapping is converted to that form.
        session_id: the visitor's session.
    """

    form_name: str
    information: Text = UNSET
    context: Text = UNSET
    url: Text = UNSET
    values: str | Mapping[str, str] | Unset | None = UNSET
    session_id: Text = UNSET


@define(kw_only=True)
class Opportunity:
    """Opportunity to send ("Sync opportunity", "Objet opportunité").

    Attributes:
        id: id in your system. Mandatory.
        name: name. Mandatory.
        description: free text.
        type: ``New Business``, ...
        account_name: the customer.
        sales_stage: one of `SALES_STAGES`. Mandatory.
        campaign_name: name of a campaign.
        lead_source: ``Web``, ...
        amount: value of the sale, an integer. Mandatory.
        date_closed: mandatory if the opportunity is closed, won or lost.
        probability: 1 to 100. Mandatory.
        leads: the ``crm_lead_id`` of each lead; the leads must exist. Mandatory.
    """

    id: str
    name: str
    description: Text = UNSET
    type: Text = UNSET
    account_name: Text = UNSET
    sales_stage: str
    campaign_name: Text = UNSET
    lead_source: Text = UNSET
    amount: int
    date_closed: Date = UNSET
    probability: int
    leads: Sequence[str | int]


@define(kw_only=True)
class OpportunityRecord:
    """Opportunity as read from the service ("Get opportunities"). The response does not contain its leads.

    Attributes:
        id: number in PUBLITRAC.
        external_id: the id in your system, `Opportunity.id`.
        name: its name.
        description: free text.
        opportunity_type: `Opportunity.type`.
        account_name: the customer.
        campaign_name: name of a campaign.
        lead_source: source of the lead.
        amount: an integer.
        date_closed: a date; ``None`` where the service has ``0000-00-00``.
        sales_stage: usually one of `SALES_STAGES`.
        probability: 1 to 100.
        account: PUBLITRAC's number of the customer.
        created_date: UTC, without a zone.
        last_updated: UTC, without a zone.
        other_fields: other fields of the response, as text.
        unparsed: fields whose value does not fit their type, as text; the attribute is ``None`` then.
    """

    id: Integer = UNSET
    external_id: Text = UNSET
    name: Text = UNSET
    description: Text = UNSET
    opportunity_type: Text = UNSET
    account_name: Text = UNSET
    campaign_name: Text = UNSET
    lead_source: Text = UNSET
    amount: Integer = UNSET
    date_closed: Date = UNSET
    sales_stage: Text = UNSET
    probability: Integer = UNSET
    account: Text = UNSET
    created_date: DateTime = UNSET
    last_updated: DateTime = UNSET
    other_fields: Mapping[str, Any] = field(factory=dict)
    unparsed: Mapping[str, Any] = field(factory=dict, eq=False)


@define(kw_only=True)
class Campaign:
    """Follow-up campaign ("Get campaigns").

    Attributes:
        id: number in PUBLITRAC.
        name: its name.
        type: ``Paid Search``, ...
        token: ``CMP-4d7147b0dd389``.
        campaign_type: ``CAMPAIGNTRACKING``, ...
        created_date: UTC, without a zone.
        last_updated: UTC, without a zone.
        other_fields: other fields of the response, as text.
        unparsed: fields whose value does not fit their type, as text; the attribute is ``None`` then.
    """

    id: Integer = UNSET
    name: Text = UNSET
    type: Text = UNSET
    token: Text = UNSET
    campaign_type: Text = UNSET
    created_date: DateTime = UNSET
    last_updated: DateTime = UNSET
    other_fields: Mapping[str, Any] = field(factory=dict)
    unparsed: Mapping[str, Any] = field(factory=dict, eq=False)


@define(kw_only=True)
class EmailCampaign:
    """E-mail to leads ("Add emails campaign").

    In subject, html and text, ``{{FirstName;Default=}}`` inserts a field of the lead.

    Attributes:
        name: fewer than 50 characters; an existing campaign is reused. Mandatory.
        from_name: the sender's name. Mandatory.
        from_email: the sender's address. Mandatory.
        subject: subject. Mandatory.
        html: the message as HTML. This or `text` is mandatory.
        text: the message as plain text.
        send_as_sales_rep: send in the name of the lead's sales representative.
    """

    name: str
    from_name: str
    from_email: str
    subject: str
    html: Text = UNSET
    text: Text = UNSET
    send_as_sales_rep: Flag = UNSET


@define(kw_only=True)
class TransactionItem:
    """Product in a transaction.

    Attributes:
        id: the product's id.
        name: the product's name.
        sku: stock-keeping unit.
        category: ``Toys``, ...
        price: price of one piece.
        quantity: number of pieces.
    """

    id: Amount = UNSET
    name: Amount = UNSET
    sku: Amount = UNSET
    category: Amount = UNSET
    price: Amount = UNSET
    quantity: Amount = UNSET


@define(kw_only=True)
class Transaction:
    """Purchase in a shop ("E-Commerce Transactions").

    According to the documents several fields are required, but they do not say which; their example has all.

    Attributes:
        id: the transaction's id in your shop. Mandatory.
        type: ``buying``.
        total: total amount.
        tax: tax in that amount.
        shipping: ``air``, ...
        info: free text.
        currency: ``EUR``, ...
        items: the products.
    """

    id: str | int
    type: Amount = UNSET
    total: Amount = UNSET
    tax: Amount = UNSET
    shipping: Amount = UNSET
    info: Amount = UNSET
    currency: Amount = UNSET
    items: Sequence[TransactionItem] = ()
