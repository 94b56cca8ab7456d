"""The control side: what `Sandbox` offers to Python, over HTTP under `/_sandbox/` for everybody else.

- `POST /_sandbox/reset`
- `POST /_sandbox/seed` with `{"leads": [...]}` and the like
- `GET /_sandbox/clock`, `POST` with `{"advance": seconds}`
- `GET /_sandbox/faults`, `POST` with the names of `Fault`, `DELETE`
- `GET /_sandbox/journal`, `?after=N` for what came behind sequence number N
- `GET /_sandbox/leads`, `?email=...` for those with one e-mail
- `GET /_sandbox/contents`
- `POST /_sandbox/process`, `POST /_sandbox/revoke_tokens`

`seed` and `contents` take `?vendor=NAME`; without it they mean PUBLITRAC. Responses are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from attrs import asdict

from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.message import Request, Response

PREFIX: Final = "/_sandbox/"
_DONE: Final[Mapping[str, Any]] = {"done": True}


class Control:
    """The control side: HTTP in front of the core. Its requests are in no journal."""

    def __init__(self, core: SandboxCore) -> None:
        """Create the control side of a sandbox."""
        self._core = core
        self._routes: Mapping[tuple[str, str], Callable[[Any, Mapping[str, str]], Any]] = {
            ("POST", "reset"): self._reset,
            ("POST", "seed"): self._seed,
            ("GET", "clock"): self._clock,
            ("POST", "clock"): self._advance,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._inject,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "journal"): self._journal,
            ("GET", "leads"): self._leads,
            ("GET", "contents"): self._contents,
            ("POST", "process"): self._process,
            ("POST", "revoke_tokens"): self._revoke_tokens,
        }

    def claims(self, path: str, _headers: Iterable[tuple[bytes, bytes]] = ()) -> bool:
        """Return True if a path is the control side's."""
        return path.startswith(PREFIX)

    def respond(self, request: Request) -> Response:
        """Carry out a request and return the response."""
        return self._respond(request.path.removeprefix(PREFIX), request)

    def _respond(self, operation: str, request: Request) -> Response:
        run = self._routes.get((request.verb, operation))
        if run is None:
            return Response.json({"error": f"There is no {request.verb} {PREFIX}{operation}."}, status=404)
        options = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        try:
            document = json.loads(request.body) if request.body else {}
            if not isinstance(document, dict):
                raise TypeError("The body must be a JSON object.")
            return Response.json(run(document, options))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return Response.json({"error": f"{type(error).__name__}: {error}"}, status=400)

    def _reset(self, _document: Any, _options: Mapping[str, str]) -> Any:
        self._core.reset()
        return _DONE

    def _seed(self, document: Any, options: Mapping[str, str]) -> Any:
        self._core.vendors[options.get("vendor", "publitrac")].seed(document)
        return _DONE

    def _clock(self, _document: Any, _options: Mapping[str, str]) -> Any:
        return {"now": self._core.clock.text(), "offset": self._core.clock.offset}

    def _advance(self, document: Any, options: Mapping[str, str]) -> Any:
        self._core.advance(document["advance"])
        return self._clock(document, options)

    def _faults(self, _document: Any, _options: Mapping[str, str]) -> Any:
        return {"faults": [asdict(fault) for fault in self._core.faults.faults]}

    def _inject(self, document: Any, _options: Mapping[str, str]) -> Any:
        self._core.inject(Fault.from_document(document))
        return _DONE

    def _clear_faults(self, _document: Any, _options: Mapping[str, str]) -> Any:
        self._core.clear_faults()
        return _DONE

    def _journal(self, _document: Any, options: Mapping[str, str]) -> Any:
        journal = self._core.journal
        return {
            "busiest_second": journal.busiest_second(),
            "arrivals": journal.as_dicts(after=int(options.get("after", "0"))),
        }

    def _leads(self, _document: Any, options: Mapping[str, str]) -> Any:
        return {"leads": self._core.publitrac.found_leads(options.get("email"))}

    def _contents(self, _document: Any, options: Mapping[str, str]) -> Any:
        return self._core.contents(options.get("vendor", "publitrac"))

    def _process(self, _document: Any, _options: Mapping[str, str]) -> Any:
        return {"processed": self._core.process_now()}

    def _revoke_tokens(self, _document: Any, _options: Mapping[str, str]) -> Any:
        self._core.revoke_tokens()
        return _DONE
