"""Sign-in of people with an OpenID Connect provider, where the secrets of this server have a section ``auth``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from app import texts

__all__ = ["may_enter", "require"]


def require() -> None:
    """Let only those see the page who have signed in and may; without a section ``auth``, everybody may."""
    if not _configured():
        return
    if not st.user.is_logged_in:
        st.title("flopwatch", anchor=False)
        st.markdown("This board is for people who sign in.")
        st.button("Sign in", type="primary", on_click=st.login)
        st.stop()
    if not may_enter(st.user.to_dict(), os.environ.get("FLOPWATCH_PEOPLE", "")):
        shown = st.user.get("email") or st.user.get("sub") or "you"
        st.warning(
            f"{texts.escape(shown)} may not see this board, or the address is not verified. Ask whoever runs it."
        )
        st.button("Sign out", on_click=st.logout)
        st.stop()


def _configured() -> bool:
    """Whether sign-in is asked for; a file of secrets that cannot be read must not open the board."""
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    broken = [path for path in st.get_option("secrets.files") if Path(str(path)).is_file()]
    if broken:
        st.error(
            "The file of secrets of this server cannot be read, so nobody can sign in. Its log says why."
        )
        st.stop()
    return False


def may_enter(claims: Mapping[str, Any], people: str) -> bool:
    """Whether somebody with these claims is among ``people``: addresses and ``@domains``; empty means everybody."""
    wanted = people.replace(",", " ").casefold().split()
    if not wanted:
        return True
    address = str(claims.get("email") or "").casefold()
    if claims.get("email_verified") is not True or address.count("@") != 1:
        return False
    return any(address.endswith(one) if one.startswith("@") else address == one for one in wanted)
