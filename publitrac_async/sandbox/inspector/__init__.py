"""Inspector: a web page that shows and controls a sandbox.

The files beside this one are served unchanged. They load nothing from other hosts, and insert values only as
text, so a hostile value in a lead cannot become markup.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from publitrac_async.sandbox.message import Response

_FILES: Final = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)


def page(name: str) -> Response | None:
    """Return a file of the page, None if it does not exist.

    Args:
        name: the path below `/_sandbox/`; empty for the page itself.
    """
    if name not in _FILES:
        return None
    file, media_type = _FILES[name]
    return Response(_content(file), 200, media_type, _HEADERS)


@cache
def _content(file: str) -> bytes:
    return files(__name__).joinpath(file).read_bytes()
