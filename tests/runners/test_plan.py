"""What a run means to measure, and what it says of wishes that cannot be."""

import pytest

from data.errors import BadInput
from data.words import Profile, Status
from runners import plan as plan_module
from runners.plan import listing, make_plan
from runners.workload import backends, cases


def test_an_unknown_case_names_the_nearest():
    """A wrong case is refused with what was probably meant."""
    with pytest.raises(BadInput, match=r"'matmul/1204'.*did you mean .*matmul/1024"):
        make_plan(Profile.FULL, ("matmul/1204",))


def test_an_unknown_backend_names_the_nearest():
    """A wrong backend is refused with what was probably meant."""
    with pytest.raises(BadInput, match=r"'numpi'.*numpy"):
        make_plan(Profile.QUICK, backend_names=("numpi",))


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_absurd_threads_are_refused(threads):
    """A thread count that the machine does not have is refused with the range it has."""
    with pytest.raises(BadInput, match="this machine has 1 to"):
        make_plan(Profile.QUICK, threads=(threads,))


def test_the_ceilings_of_the_chosen_cases_come_along():
    """A compute-bound case brings the FMA peak, a memory-bound one the copy at its footprint."""
    cells = make_plan(Profile.FULL, ("matmul/512", "relu/10M"), (), ("numba",), (1,)).cells
    assert {cell.case.id for cell in cells if cell.is_ceiling} == {"ceiling/fma", "ceiling/copy-96MiB"}


def test_libraries_share_a_process_with_one_thread_only():
    """With one thread the libraries are compared within one process; with several each has its own."""
    groups = make_plan(Profile.FULL, ("matmul/512",), ("blas",), ("numpy", "openblas"), (1, 2)).groups
    measured = [group for group, cells in groups.items() if any(not cell.is_ceiling for cell in cells)]
    assert {backend for group in measured if group.threads == 1 for backend in group.backends} >= {
        "numpy",
        "openblas",
    }
    assert {group.backends for group in measured if group.threads == 2} == {("numpy",), ("openblas",)}
    assert len([group for group in measured if group.threads == 1]) == 1


def test_scalar_code_has_a_process_of_its_own():
    """A variant compiled without vectorisers never shares a process (nor a compiler cache) with the others."""
    groups = make_plan(Profile.FULL, ("relu/1M",), ("scalar", "simd"), ("numba",), (1,)).groups
    by_flags = {
        group.flags: {cell.variant.name for cell in cells if not cell.is_ceiling}
        for group, cells in groups.items()
    }
    assert by_flags[("no-vectorise",)] == {"scalar"}
    assert by_flags[()] == {"simd"}


def test_a_missing_backend_is_a_result(monkeypatch):
    """Cells of a library that is not installed are unavailable, with the reason and how to get it."""
    from runners.workload import Availability

    monkeypatch.setattr(
        type(backends()["openblas"]), "probe", lambda _: Availability(False, "gone", "pip install x")
    )
    found = make_plan(Profile.FULL, ("matmul/512",), ("blas",), (), (1,))
    assert {(row.backend, row.status, row.reason, row.install) for row in found.skipped} == {
        ("openblas", Status.UNAVAILABLE, "gone", "pip install x")
    } | {
        (row.backend, row.status, row.reason, row.install)
        for row in found.skipped
        if row.backend != "openblas"
    }
    assert all(cell.variant.backend != "openblas" for cell in found.cells)


def test_a_case_larger_than_the_memory_is_skipped_with_both_figures(monkeypatch):
    """What would not fit is not begun: the reason has the need and what is free."""

    class Memory:
        available = 2**20

    monkeypatch.setattr(plan_module.psutil, "virtual_memory", lambda: Memory)
    found = make_plan(Profile.FULL, ("matmul/1024",), (), ("numpy",), (1,))
    assert {row.status for row in found.skipped} == {Status.SKIPPED}
    assert all("GiB of memory" in row.reason for row in found.skipped)


def test_profiles_contain_one_another():
    """Each profile holds all cases of the smaller ones."""
    ids = {profile: {case.id for case in cases() if profile in case.profiles} for profile in Profile}
    assert ids[Profile.SMOKE] < ids[Profile.QUICK] < ids[Profile.STANDARD] <= ids[Profile.FULL]


def test_the_listing_says_everything_once():
    """Each case × variant × condition × backend appears once, and what is absent says how to get it."""
    rows = listing()
    keys = [(row["case"], row["variant"], row["condition"], row["backend"], row["device"]) for row in rows]
    assert len(keys) == len(set(keys))
    assert all(row["reason"] for row in rows if not row["available"])


def test_each_loop_is_compiled_once():
    """Processes that share a compiler's cache share the work: no loop twice, none left out."""
    from runners.compiling import loops_to_compile

    groups = make_plan(Profile.QUICK, (), (), ("numba",), (1, 2)).groups
    shares = [loops_to_compile(group, groups) for group in groups if group.flags == ()]
    names = [name for share in shares for name in share]
    assert len(names) == len(set(names)) > 5
    assert any("naive-parallel" in name for name in names)
