"""A few PUBLITRAC operations over `RawServer`, enough to show the effect of a fault."""

from __future__ import annotations

import itertools
import json

from tests.support.wire import Peer, Seen, http

LEAD = """<?xml version="1.0" encoding="utf-8"?>
<response><status>2002</status><message>Get lead success.</message>
<leads><lead><id>7</id><email>{email}</email><firstName>Ada</firstName></lead></leads></response>"""
DONE = """<?xml version="1.0" encoding="utf-8"?>
<response><status>2006</status><message>Leads synchronization successfull.</message></response>"""


class Vendor:
    """Responds to getToken, delayedSync and v1.

    Attributes:
        applied: operation and body (or form) of every write, in order.
        valid: tokens that are valid now; empty it to expire all.
        chunked: size of the chunks of responses, 0 for ``Content-Length``.
    """

    def __init__(self, *, ttl: object = "900", chunked: int = 0) -> None:
        self.applied: list[tuple[str, object]] = []
        self.valid: set[str] = set()
        self.token_requests = 0
        self.ttl = ttl
        self.chunked = chunked
        self._tokens = itertools.count(1)
        self.token_prefix = "token-"

    async def __call__(self, seen: Seen, peer: Peer) -> bytes:
        if seen.path.endswith("/auth/getToken"):
            return self._json({"token": self.new_token(), "ttl": self.ttl})
        if seen.path.endswith("/lead/delayedSync"):
            if seen.headers.get("token") not in self.valid:
                return self._json({"status": "error", "code": 401}, "401 Unauthorized")
            self.applied.append(("delayedSync", json.loads(seen.body)["leadInfo"]["email"]))
            return self._json({"status": "success", "code": 201})
        if seen.path.endswith("/api"):
            method = seen.query["method"]
            if seen.method == "GET":
                return self._xml(LEAD.format(email=seen.query.get("email", "a@example.com")))
            self.applied.append((method, seen.form["query"]))
            return self._xml(DONE)
        return http(b"", "404 Not Found")

    def new_token(self) -> str:
        self.token_requests += 1
        token = f"{self.token_prefix}{next(self._tokens)}"
        self.valid.add(token)
        return token

    def expire(self) -> None:
        self.valid.clear()

    def _json(self, content: object, status: str = "200 OK") -> bytes:
        return http(json.dumps(content).encode(), status, chunked=self.chunked)

    def _xml(self, text: str) -> bytes:
        return http(text.encode(), content_type="application/xml", chunked=self.chunked)
