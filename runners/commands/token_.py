"""``flopwatch token``."""

import argparse
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.tokens import Token, Tokens

__all__ = ["arguments", "main"]

_EPILOG = """\
examples:
  flopwatch token create lab-gpu --scope upload       for a machine that only sends
  flopwatch token create lab-gpu --machine 0123456789ab --days 365
  flopwatch token revoke lab-gpu

Tokens are made where the board runs. The text is shown once: put it into FLOPWATCH_TOKEN of the machine that sends.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    what = parser.add_subparsers(dest="what", metavar="ACTION", required=True)
    create = what.add_parser("create", help="make a token and show it this once")
    create.add_argument("name", metavar="NAME", help="who will hold it, such as the machine's name")
    create.add_argument(
        "--scope", action="append", choices=("upload", "read"), help="what it allows (default: both)"
    )
    create.add_argument("--machine", metavar="ID", help="take only runs of this machine (12 digits)")
    create.add_argument("--days", type=int, metavar="N", help="how long it counts (default: until revoked)")
    listing = what.add_parser("list", help="all tokens, without their secrets")
    revoke = what.add_parser("revoke", help="let a token count no more, at once")
    revoke.add_argument("token", metavar="ID|NAME", help="which, as flopwatch token list names it")
    first = what.add_parser(
        "first", help="make a token for uploads where there is none yet, and say how to use it"
    )
    for action in (create, listing, revoke, first):
        action.add_argument("--json", action="store_true", help="print JSON")


def main(options: argparse.Namespace) -> int:
    """Make, list or revoke tokens of the board of this home."""
    from data.errors import BadInput
    from data.tokens import SCOPES, Tokens

    tokens = Tokens()
    if options.what == "list":
        _list(tokens.all(), as_json=options.json)
    elif options.what == "first":
        _first(tokens, as_json=options.json)
    elif options.what == "revoke":
        token = tokens.revoke(options.token)
        print(
            json.dumps(_row(token)) if options.json else f"token {token.name!r} ({token.id}) counts no more"
        )
    else:
        if options.days is not None and not 1 <= options.days <= 36500:
            raise BadInput(f"--days {options.days} is not possible; give 1 to 36500")
        valid_for = timedelta(days=options.days) if options.days else None
        token, text = tokens.create(options.name, tuple(options.scope or SCOPES), options.machine, valid_for)
        if options.json:
            print(json.dumps(_row(token) | {"token": text}))
        else:
            print(
                f"token {token.name!r} ({token.id}) may {' and '.join(token.scopes)}; it is shown this once:",
                file=sys.stderr,
            )
            print(text)
    return 0


def _first(tokens: "Tokens", *, as_json: bool) -> None:
    """Make the first token of a board; where there is one, say nothing."""
    if tokens.all():
        return
    token, text = tokens.create("first", ("upload",))
    if as_json:
        print(json.dumps(_row(token) | {"token": text}))
    else:
        print(
            f"other machines send to this board with FLOPWATCH_TOKEN={text} (shown this once; docs/uploads.md)"
        )


def _row(token: "Token") -> dict[str, Any]:
    import msgspec

    row: dict[str, Any] = {
        name: getattr(token, name) for name in ("id", "name", "state", "scopes", "machine")
    }
    row |= {name: getattr(token, name) for name in ("created", "expires", "revoked", "last_used")}
    return row | {"last_refused": msgspec.to_builtins(token.last_refused)}


def _list(tokens: "list[Token]", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_row(token) for token in tokens]))
        return
    if not tokens:
        print("there is no token, so nothing can be uploaded here; make one: flopwatch token create NAME")
        return
    from rich.table import Table

    from runners.printing import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "name", "state", "scope", "machine", "expires", "last used", "last refused"):
        table.add_column(name, overflow="fold")
    for token in tokens:
        refused = f"{token.last_refused.at[:19]} {token.last_refused.code}" if token.last_refused else "–"
        rest = (token.machine or "any", token.expires or "never", (token.last_used or "never")[:19], refused)
        table.add_row(token.id, token.name, token.state, " ".join(token.scopes), *rest)
    console().print(table, markup=False)
