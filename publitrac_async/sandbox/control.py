"""The control side: the operations of `Sandbox`, over HTTP under `/_sandbox/` for every other language.

- `POST /_sandbox/reset`
- `POST /_sandbox/seed` with `{"leads": [...]}` and the like
- `GET /_sandbox/clock`, `POST` with `{"advance": seconds}`
- `GET /_sandbox/faults`, `POST` with the names of `Fault`, `DELETE`
- `GET /_sandbox/journal`, `?after=N` for the arrivals after sequence number N
- `GET /_sandbox/leads`, `?email=...` for those with one e-mail
- `GET /_sandbox/contents`
- `POST /_sandbox/process`, `POST /_sandbox/revoke_tokens`

`seed` and `contents` take `?vendor=NAME`; without it they mean PUBLITRAC. Responses are JSON. `/_sandbox/` is
the inspector, a page for people; `state`, `arrival`, `records` and `vendors` are its view.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from attrs import asdict, evolve

from publitrac_async.sandbox import inspector, views
from publitrac_async.sandbox.core import SandboxCore
from publitrac_async.sandbox.faults import Fault
from publitrac_async.sandbox.gate import PREFIX
from publitrac_async.sandbox.message import JSON, Request, Response

_DONE: Final[Mapping[str, Any]] = {"done": True}
_HEADERS: Final = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_ERRORS: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

Options = Mapping[str, str]


class Control:
    """The control side: HTTP in front of the core. The journal does not record its requests."""

    def __init__(self, core: SandboxCore) -> None:
        """Create the control side of a sandbox."""
        self._core = core
        self._routes: Mapping[tuple[str, str], Callable[[Any, Options], Any]] = {
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
            ("GET", "state"): self._state,
            ("GET", "arrival"): self._arrival,
            ("GET", "records"): self._records,
            ("GET", "vendors"): self._vendors,
        }

    def claims(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return True if a request is for the control side, or is a browser's request for the root."""
        if path == "/":
            return any(name.lower() == b"accept" and b"text/html" in value for name, value in headers)
        return path.startswith(PREFIX)

    def respond(self, request: Request) -> Response:
        """Carry out a request and return the response."""
        if request.path == "/":
            return Response(b"", 302, None, (("location", PREFIX),))
        operation = request.path.removeprefix(PREFIX)
        response = inspector.page(operation) if request.verb == "GET" else None
        if response is None:
            response = self._operate(operation, request)
        return evolve(response, headers=(*response.headers, *_HEADERS))

    def _operate(self, operation: str, request: Request) -> Response:
        run = self._routes.get((request.verb, operation))
        if run is None:
            return _json({"error": f"there is no {request.verb} {PREFIX}{operation}"}, 404)
        options = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        try:
            document = json.loads(request.body) if request.body else {}
            if not isinstance(document, dict):
                raise TypeError("the body must be a JSON object")
            return _json(run(document, options))
        except _ERRORS as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    def _reset(self, _document: Any, _options: Options) -> Any:
        self._core.reset()
        return _DONE

    def _seed(self, document: Any, options: Options) -> Any:
        self._core.vendors[options.get("vendor", "publitrac")].seed(document)
        return _DONE

    def _clock(self, _document: Any, _options: Options) -> Any:
        return {"now": self._core.clock.text(), "offset": self._core.clock.offset}

    def _advance(self, document: Any, options: Options) -> Any:
        self._core.advance(document["advance"])
        return self._clock(document, options)

    def _faults(self, _document: Any, _options: Options) -> Any:
        return {"faults": [asdict(fault) for fault in self._core.faults.faults]}

    def _inject(self, document: Any, _options: Options) -> Any:
        self._core.inject(Fault.from_document(document))
        return _DONE

    def _clear_faults(self, _document: Any, _options: Options) -> Any:
        self._core.clear_faults()
        return _DONE

    def _journal(self, _document: Any, options: Options) -> Any:
        journal = self._core.journal
        return {
            "busiest_second": journal.busiest_second(),
            "arrivals": journal.as_dicts(after=int(options.get("after", "0"))),
        }

    def _leads(self, _document: Any, options: Options) -> Any:
        return {"leads": self._core.publitrac.found_leads(options.get("email"))}

    def _contents(self, _document: Any, options: Options) -> Any:
        return self._core.contents(options.get("vendor", "publitrac"))

    def _process(self, _document: Any, _options: Options) -> Any:
        return {"processed": self._core.process_now()}

    def _revoke_tokens(self, _document: Any, _options: Options) -> Any:
        self._core.revoke_tokens()
        return _DONE

    def _state(self, _document: Any, options: Options) -> Any:
        return views.state(self._core, after=int(options.get("after", "0")))

    def _arrival(self, _document: Any, options: Options) -> Any:
        return views.arrival_details(self._core, int(options["sequence"]))

    def _records(self, _document: Any, options: Options) -> Any:
        return views.records(
            self._core,
            vendor=options.get("vendor", "publitrac"),
            kind=options.get("kind", ""),
            search=options.get("search", ""),
        )

    def _vendors(self, _document: Any, options: Options) -> Any:
        return views.vendors(self._core, options["base_url"])


def _json(document: Any, status: int = 200) -> Response:
    # ASCII: a text of a client may have lone surrogates, which UTF-8 cannot encode.
    return Response(json.dumps(document).encode(), status, JSON)
