"""Sign-in of people: a real provider in a thread, a real server, a real browser; and who may enter."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.signin import may_enter
from tests.app.board_server import BoardServer
from tests.app.test_browser import ARGUMENTS, CHROMIUM, WAIT_MS, needed

VERIFIED = {"email": "Ada@Example.org", "email_verified": True}


@pytest.mark.parametrize(
    ("claims", "people", "may"),
    [
        ({}, "", True),
        (VERIFIED, "", True),
        (VERIFIED, "@example.org", True),
        (VERIFIED, "bob@example.org, ada@example.org", True),
        (VERIFIED, "@example.com bob@example.org", False),
        (VERIFIED, "@ample.org", False),
        (VERIFIED | {"email_verified": False}, "@example.org", False),
        (VERIFIED | {"email_verified": "true"}, "@example.org", False),
        ({"email": "eve@evil.org@example.org", "email_verified": True}, "@example.org", False),
        ({"sub": "ada@example.org"}, "ada@example.org", False),
    ],
)
def test_who_may_enter(claims: dict[str, Any], people: str, may: bool) -> None:
    assert may_enter(claims, people) is may


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardServer]:
    """A board that asks people to sign in with a provider on this machine."""
    pytest.importorskip("authlib")
    provider = pytest.importorskip("oidc_provider_mock")
    users = [
        provider.User(sub=name, claims={"email": address, "email_verified": True})
        for name, address in (("ada", "ada@example.org"), ("eve", "eve@example.com"))
    ]
    home = tmp_path_factory.mktemp("signed")
    with provider.run_server_in_thread(user_claims=users) as server:
        address = f"http://localhost:{server.server_port}"
        board = BoardServer(home, FLOPWATCH_PEOPLE="@example.org", AUTHLIB_INSECURE_TRANSPORT="1")
        secrets = home / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(
            f'[auth]\nredirect_uri = "http://localhost:{board.port}/oauth2callback"\n'
            f'cookie_secret = "0123456789012345678901234567890123456789"\nclient_id = "flopwatch"\n'
            f'client_secret = "secret"\nserver_metadata_url = "{address}/.well-known/openid-configuration"\n'
        )
        with board:
            yield board


def _page(playwright: Any) -> Any:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    return page


@pytest.mark.browser
def test_people_sign_in_and_strangers_stay_out(board: BoardServer) -> None:
    """Before the sign-in no page shows anything; then who may see it does, and who may not is told so."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        for name, seen in (("ada", "Overview"), ("eve", "")):
            page = _page(playwright)
            page.goto(f"http://localhost:{board.port}/")
            page.get_by_role("button", name="Sign in").wait_for()
            assert page.get_by_role("heading", name="Overview").count() == 0
            page.get_by_role("button", name="Sign in").click()
            page.locator("input[name=sub]").fill(name)
            page.get_by_role("button", name="Authorize").click()
            if seen:
                page.get_by_role("heading", name=seen).wait_for()
            else:
                page.get_by_text("may not see this board").wait_for()
                assert page.get_by_role("heading", name="Overview").count() == 0
            page.context.browser.close()
    with urllib.request.urlopen(f"{board.url}/api/v1/health", timeout=30) as health:
        assert health.status == 200


@pytest.mark.browser
def test_secrets_that_cannot_be_read_open_nothing(tmp_path: Path) -> None:
    """A typing error in the file must not make the board public."""
    needed(CHROMIUM, "no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text("[auth\nredirect_uri = ")
    with BoardServer(tmp_path) as board, sync_playwright() as playwright:
        page = _page(playwright)
        page.goto(f"{board.url}/")
        page.get_by_text("secrets of this server cannot be read").wait_for()
        assert page.get_by_role("heading", name="Overview").count() == 0
        page.context.browser.close()
