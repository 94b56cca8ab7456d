from __future__ import annotations

from pathlib import Path

import pytest

from publitrac_async import PublitracClient
from publitrac_async.sandbox import Sandbox
from tests.support.snippets import PAGES, ROOT, snippets

WITH_SNIPPETS = [page for page in PAGES if any(snippets(page))]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_snippets_of_a_page_run(
    page: Path, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with PublitracClient.from_env() as publitrac:
        namespace = {"publitrac": publitrac, "sandbox": sandbox, "__name__": "page"}
        for snippet in snippets(page):
            if snippet.runs:
                await snippet.run(namespace, tmp_path)


def test_few_snippets_are_not_run() -> None:
    every = [snippet for page in PAGES for snippet in snippets(page)]
    assert len(every) > 40
    skipped = [f"{snippet.page.name}:{snippet.line}" for snippet in every if not snippet.runs]
    assert len(skipped) <= 3, skipped
