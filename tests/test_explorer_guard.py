"""Who may use the app: every rule of `Guard` by itself, and through the server by raw requests."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator

import pytest
from driven_app import Server, served, what_is_missing
from hypothesis import given
from hypothesis import strategies as st

from workbench.explorer.guard import Guard

GUARD = Guard(8866, "secret")
OWN = {"Host": "127.0.0.1:8866", "Cookie": "workbench-explorer-8866=secret"}


def status(uri: str = "/", **headers: str) -> int:
    answer = GUARD.refusal(uri, OWN | {name.replace("_", "-"): value for name, value in headers.items()})
    return 200 if answer is None else answer.status


def test_a_page_of_its_own_passes() -> None:
    assert status("/?depth=3", Origin="http://127.0.0.1:8866", Sec_Fetch_Site="same-origin") == 200
    assert status("/", Sec_Fetch_Site="none") == 200


@pytest.mark.parametrize("host", ["evil.example:8866", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8866", ""])
def test_a_name_that_is_not_this_machine_is_refused(host: str) -> None:
    assert status(Host=host) == 403


@pytest.mark.parametrize("host", ["localhost:8866", "[::1]:8866", "LOCALHOST:8866"])
def test_every_loopback_name_is_served(host: str) -> None:
    assert status(Host=host) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8866"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},  # another port of this machine
        {"Cookie": ""},
        {"Cookie": "workbench-explorer-8866=wrong"},
        {"Cookie": "workbench-explorer-8867=secret"},
        {"Cookie": "workbench-explorer-8866=gehe\u00efm"},
    ],
)
def test_what_another_page_sends_is_refused(headers: dict[str, str]) -> None:
    assert status("/?seed=0", **headers) == 403


def test_a_page_fetched_ahead_starts_nothing() -> None:
    assert status("/", Sec_Purpose="prefetch;prerender") == 503


def test_the_token_of_the_link_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = GUARD.refusal("/?token=secret&depth=3&targets=a%26b&targets=c", {"Host": "127.0.0.1:8866"})
    assert answer is not None and answer.status == 303
    assert answer.location == "/?depth=3&targets=a%26b&targets=c"
    assert answer.cookie.startswith("workbench-explorer-8866=secret; HttpOnly; SameSite=Strict")
    assert GUARD.link("depth=3") == "http://127.0.0.1:8866/?token=secret&depth=3"


@pytest.mark.parametrize("uri", ["//evil.example/?token=secret", "///evil.example?token=secret"])
def test_the_redirect_stays_on_this_server(uri: str) -> None:
    answer = GUARD.refusal(uri, {"Host": "127.0.0.1:8866"})
    assert answer is None or not answer.location.startswith("//")


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_but_the_token_opens_the_app(token: str, cookie: str) -> None:
    answer = GUARD.refusal(f"/?token={token}", {"Host": "127.0.0.1:8866", "Cookie": cookie})
    assert answer is not None and answer.status == 403


# Through the server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    missing = what_is_missing()
    if "voila" in missing:
        if os.environ.get("WORKBENCH_BROWSER") == "required":
            raise AssertionError(missing)
        pytest.skip(missing)
    with served() as server:
        yield server


def ask(server: Server, method: str, path: str, **headers: str) -> int:
    """Status of a raw request."""
    host = server.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        given = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host=True)
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def cookie(server: Server) -> str:
    return f"workbench-explorer-{server.address.rpartition(':')[2]}={server.link.rpartition('=')[2]}"


@pytest.mark.browser
@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/?seed=0", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "image"}),  # <img src=...> elsewhere
        ("GET", "/?seed=0", {"Host": "evil.example"}),
        ("GET", "/", {"Cookie": ""}),
        ("GET", "/?token=guess", {"Cookie": ""}),
        ("POST", "/voila/api/shutdown/any", {"Origin": "http://evil.example", "Content_Length": "0"}),
        ("POST", "/voila/api/shutdown/any", {"Cookie": "", "Content_Length": "0"}),
        ("GET", "/api/kernels/any", {"Origin": "http://evil.example"}),
        (
            "GET",
            "/api/kernels/5f3e6b1c-0000-0000-0000-000000000000/channels",
            {"Origin": "http://evil.example", "Upgrade": "websocket", "Connection": "Upgrade"},
        ),
    ],
)
def test_foreign_requests_are_refused_and_start_no_kernel(
    server: Server, method: str, path: str, headers: dict[str, str]
) -> None:
    assert server.comes_to(0) == 0
    assert ask(server, method, path, **({"Cookie": cookie(server)} | headers)) == 403
    assert server.comes_to(0) == 0


@pytest.mark.browser
def test_the_printed_link_leads_to_the_app(server: Server) -> None:
    assert ask(server, "GET", server.link.removeprefix(server.address)) == 303
    # Of the app's own files: its page would start a kernel.
    assert ask(server, "GET", "/voila/static/voila.js", Cookie=cookie(server)) == 200
    assert ask(server, "POST", "/voila/api/shutdown/gone", Cookie=cookie(server), Content_Length="0") == 204
