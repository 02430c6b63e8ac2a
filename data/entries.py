"""What the ledger holds besides runs: small statements about results, never edited.

Each is one JSON object with its ``kind``; order of arrival does not matter, since what depends on time
carries ``at``.
"""

from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct, field

from data.errors import BadInput
from data.records import Identifier, Name, Text, Timestamp, uuid7
from data.runfile import now

__all__ = [
    "Acceptance",
    "Annotation",
    "Decision",
    "MachineName",
    "Record",
    "Reinstatement",
    "Withdrawal",
    "decode",
    "encode",
]

MachineId = Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
ResultId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
Reason = Annotated[str, Meta(min_length=1, max_length=20_000)]


class _Record(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=False):
    """Who said it when; ``id`` makes two equal statements two entries."""

    id: Identifier = field(default_factory=uuid7)
    at: Timestamp = field(default_factory=now)
    by: Text = ""


class Annotation(_Record, tag_field="kind", tag="annotation", kw_only=True, omit_defaults=True):
    """A remark on a machine, series, run, version or span of time: on what matches all that is given."""

    text: Reason
    machine: MachineId | None = None
    series: ResultId | None = None
    run: Identifier | None = None
    version: Text | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class Withdrawal(_Record, tag_field="kind", tag="withdrawal", kw_only=True, omit_defaults=True):
    """Takes back a run, or the named measurements of it: hidden from every view, kept with the reason."""

    run: Identifier
    reason: Reason
    measurements: list[ResultId] = []


class Reinstatement(_Record, tag_field="kind", tag="reinstatement", kw_only=True, omit_defaults=True):
    """Undoes a withdrawal."""

    withdrawal: Identifier
    reason: Text = ""


class MachineName(_Record, tag_field="kind", tag="machine-name", kw_only=True, omit_defaults=True):
    """The name that people give a machine; the newest counts."""

    machine: MachineId
    name: Name


class Decision(_Record, tag_field="kind", tag="decision", kw_only=True, omit_defaults=True):
    """What was decided about an alert on a series: ``confirmed``, ``dismissed``, ``muted`` …"""

    series: ResultId
    decision: Name
    change_at: Timestamp | None = None
    reason: Text = ""
    attributes: dict[str, Any] = {}


class Acceptance(_Record, tag_field="kind", tag="acceptance", kw_only=True, omit_defaults=True):
    """A change of a series that is wanted: from then on, the new level is the expected one."""

    series: ResultId
    change_at: Timestamp
    reason: Text = ""


Record = Annotation | Withdrawal | Reinstatement | MachineName | Decision | Acceptance

KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Record))

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode(record: Record) -> tuple[str, bytes]:
    """Return the kind and the bytes of a record, as the ledger takes them."""
    content = _encoder.encode(record)
    _decoder.decode(content)  # a record built in code is checked like one that arrives
    return str(type(record).__struct_config__.tag), content


def decode(content: bytes) -> Record:
    """Return the record in ``content``; raises BadInput naming the field that is wrong."""
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a record of the ledger: {error}") from None
