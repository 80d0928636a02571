"""Who may speak to the app: only pages of its own, opened with the token of the printed link, under a loopback name.

A browser sends requests to this machine on behalf of any page it shows. Three things tell ours apart: the name in
``Host`` (a foreign name that resolves to this machine is a rebinding), what the browser says about the page that asks
(``Origin``, ``Sec-Fetch-Site``), and a token that no other page knows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Answer:
    """What a request gets instead of the app: a status with one line, or a redirect that sets the cookie."""

    status: int
    line: str
    location: str = ""
    cookie: str = ""


@dataclass(frozen=True)
class Guard:
    """The rules for one server.

    Attributes:
        port: where it listens. token: the secret of the printed link.
    """

    port: int
    token: str

    @property
    def cookie_name(self) -> str:
        """Cookies are shared by all ports of a machine: each server has its own."""
        return f"workbench-explorer-{self.port}"

    def link(self, query: str = "") -> str:
        """The address that opens the app."""
        return f"http://127.0.0.1:{self.port}/?{urlencode({'token': self.token})}{'&' if query else ''}{query}"

    def refusal(self, uri: str, headers: Mapping[str, str]) -> Answer | None:
        """Why a request is not answered by the app; None if it may pass.

        Args:
            uri: path and query. headers: with case-insensitive names.
        """
        hosts = [f"{name}:{self.port}" for name in LOOPBACK]
        if headers.get("Host", "").lower() not in hosts:
            return Answer(403, f"this server answers to 127.0.0.1:{self.port} only")
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in [f"http://{host}" for host in hosts]:
            return Answer(403, "a page of another origin may not use the explorer")
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return Answer(403, "another page asked for this one; paste the address into the address bar instead")
        if "prefetch" in headers.get("Sec-Purpose", headers.get("Purpose", "")):
            return Answer(503, "nothing is started before the page is opened")
        if self._is_token(self._cookie(headers.get("Cookie", ""))):
            return self._without_token(uri, "")
        return self._without_token(
            uri, f"{self.cookie_name}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        ) or Answer(403, "open the link that `workbench explore` printed: it carries a token that this address lacks")

    def _without_token(self, uri: str, cookie: str) -> Answer | None:
        """The redirect that takes the token out of the address, so that it is in no link that is passed on."""
        parts = urlsplit(uri)
        fields = parse_qsl(parts.query, keep_blank_values=True)
        if not any(name == "token" and self._is_token(value) for name, value in fields):
            return None
        query = urlencode([(name, value) for name, value in fields if name != "token"])
        # A path of two slashes would be the name of another server.
        path = "/" + parts.path.lstrip("/")
        return Answer(303, "", f"{path}?{query}" if query else path, cookie)

    def _cookie(self, header: str) -> str:
        try:
            cookies = SimpleCookie(header)
        except CookieError:
            return ""
        return cookies[self.cookie_name].value if self.cookie_name in cookies else ""

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self.token.encode())
