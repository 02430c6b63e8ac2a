"""The reader of run files against damaged input, many times."""

import random
import resource
import time

import pytest

from data.errors import RunFileError
from data.runfile import pack, read
from tests.data.run_files import run_bytes

#: Pieces that mean something to a reader of JSON lines or gzip.
_PIECES = (
    *(
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff",
        b"\xed\xa0\x80",
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"null",
        b"true",
    ),
    *(
        b"1e999",
        b"-1",
        b"1.5",
        b"9" * 30,
        b'"kind":"end"',
        b'"kind":"run"',
        b'"kind":"x"',
        b"\\ud800",
        b"\x1f\x8b",
    ),
)


def _spoil(rng: random.Random, content: bytes) -> bytes:
    """Change a few places: overwrite, insert, remove, repeat, cut."""
    spoilt = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(spoilt) + 1)
        length = rng.choice((0, 1, 2, 8, 60))
        match rng.randrange(4):
            case 0:
                spoilt[at : at + length] = rng.choice(_PIECES)
            case 1:
                spoilt[at : at + length] = rng.randbytes(length)
            case 2:
                spoilt[at:at] = spoilt[at : at + 200]
            case _:
                del spoilt[at : at + length if rng.random() < 0.8 else len(spoilt)]
    return bytes(spoilt)


@pytest.mark.parametrize("inputs", [5_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_no_input_crashes_or_stalls_the_reader(tmp_path_factory: pytest.TempPathFactory, inputs: int) -> None:
    """Every damaged file is read or refused with RunFileError; none costs a second of processor time or much memory."""
    seed = time.time_ns()
    rng = random.Random(seed)
    content = run_bytes(tmp_path_factory.mktemp("fuzz"), cells=1, processes=2, samples=3)
    packed, read_count, longest_s = pack(content), 0, 0.0
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(inputs):
        spoilt = _spoil(rng, packed if number % 5 == 0 else content)
        started = time.thread_time()
        try:
            read(spoilt, limit_bytes=1 << 20)
            read_count += 1
        except RunFileError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}: {spoilt!r}") from error
        longest_s = max(longest_s, time.thread_time() - started)
    assert 0 < read_count < inputs
    assert longest_s < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200 << 10
