"""The file that maps fields of a lead to fields of Marketo."""

from __future__ import annotations

from pathlib import Path

import pytest

from publitrac_async.bulk import MappingError
from publitrac_async.bulk.sinks.marketo_mapping import load_marketo_mapping


def test_a_field_to_look_leads_up_by_is_one_of_marketo(tmp_path: Path) -> None:
    path = tmp_path / "marketo.toml"
    path.write_text('[fields]\nemail = "email"\ncrm_lead_id = "externalId"\n', encoding="utf-8")
    assert set(load_marketo_mapping(path, lookup_field="externalId")["fields"].values()) == {
        "email",
        "externalId",
    }
    with pytest.raises(MappingError, match="no field is mapped to crmLeadId"):
        load_marketo_mapping(path, lookup_field="crmLeadId")
