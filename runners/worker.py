"""The worker: a fresh process that imports its backends and measures what it is told, over JSON lines.

It is started by file name inside an environment of any version and needs the standard library, NumPy and its backend,
nothing else: of flopwatch only this package is made importable.  Requests come on standard input, one JSON object a
line; answers go to what was standard output (libraries that print are sent to standard error).

Requests: ``describe``, ``prepare`` (build inputs and calls, check every answer), ``measure``, ``release``, ``quit``.
Each answer has ``ok``; while it works the worker also sends ``{"event": "variant", …}`` so that whoever waits knows
which variant was running when a process died.
"""

import gc
import importlib.util
import json
import os
import random
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any


def _make_importable() -> None:
    """Make the package ``runners`` that of this file's folder, and nothing beside it importable.

    Where another copy is installed, what runs here would otherwise not be what the run file says.
    """
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        "runners", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["runners"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["runners"])
    lent = os.environ.get("FLOPWATCH_THREADPOOLCTL")
    if lent and importlib.util.find_spec("threadpoolctl") is None:
        spec = importlib.util.spec_from_file_location("threadpoolctl", lent)
        if spec is not None and spec.loader is not None:
            sys.modules["threadpoolctl"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules["threadpoolctl"])


if __name__ == "__main__":
    _make_importable()

from runners.clocks import Covariates, floor_ns, loop_ns, probe  # noqa: E402 - the package is importable only now
from runners.device_report import Lost, state_flags, timing_facts  # noqa: E402
from runners.memory import FirstCallMemory  # noqa: E402
from runners.prepared import Prepared, Wire  # noqa: E402
from runners.rounds import Protocol, Subject, run_rounds, sample, warm_up  # noqa: E402
from runners.workload import Job, Ready, Unsupported, Variant, backends, cases, kernels, variants  # noqa: E402

__all__ = ["Session", "main"]

Answer = dict[str, Any]

#: A call shorter than this many empty calls is flagged: measuring then is over 1 % of it, half the margin of a verdict.
_FLOORS = 100
#: A call that takes longer than this is made once in a process: timed, then checked.
_ONCE_NS = 2_000_000_000
#: The warm-up of a further turn: what another process has put out of the caches comes back.
_AGAIN_NS = 5_000_000


def _again(protocol: Protocol) -> Protocol:
    """Return the protocol of a further turn: the first has found the steady state."""
    return replace(
        protocol,
        warm_up_calls=1,
        warm_up_ns=_AGAIN_NS,
        warm_up_limit_ns=_AGAIN_NS,
        steady_tolerance=1e9,
    )


class Session:
    """One worker process: its backends, the case it holds, and the protocol."""

    def __init__(self, settings: dict[str, Any], wire: Wire) -> None:
        """Import the backends; ``settings``: backends, threads, scratch, protocol."""
        self.wire = wire
        self.threads = int(settings["threads"])
        self.scratch = Path(settings["scratch"])
        self.protocol = Protocol(**settings.get("protocol", {}))
        known = backends()
        self.backends = {name: known[name] for name in settings["backends"]}
        for backend in self.backends.values():
            backend.load(self.threads)
        self.covariates = Covariates(self.threads)
        self.floor_ns, self.loop_ns = floor_ns(), loop_ns()
        self.prepared: list[Prepared] = []
        self.case: Any = None
        self.inputs: dict[str, Any] = {}

    def describe(self, request: dict[str, Any]) -> Answer:
        """Say what this process is: interpreter, libraries, threads as they report them."""
        from runners.inside import gather

        return {
            "description": gather(package for one in self.backends.values() for package in one.packages),
            "backends": {name: backend.describe() for name, backend in self.backends.items()},
            "floor_ns": self.floor_ns,
            "loop_ns": self.loop_ns,
        }

    def prepare(self, request: dict[str, Any]) -> Answer:
        """Build the inputs and every wished variant in random order; call each once and check its answer."""
        self.release(request)
        self.case = next((case for case in cases() if case.id == request["case"]), None)
        if self.case is None:
            raise Unsupported(f"these kernels have no case {request['case']}")
        kernel = kernels()[self.case.kernel]
        self.inputs = kernel.inputs(self.case, int(request["seed"]))
        wishes = [wish | {"is_twin": False} for wish in request["variants"]]
        wishes += [wish | {"is_twin": True} for wish in request["variants"] if wish.get("twin")]
        random.Random(request["order_seed"]).shuffle(wishes)
        answers: dict[int, Answer] = {}
        for position, wish in enumerate(wishes):
            self.wire.send({"event": "variant", "index": wish["index"], "phase": "prepare"})
            answer = self._prepare_one(wish, int(request["seed"])) | {"position": position}
            if not wish["is_twin"]:
                answers[wish["index"]] = answer
        gc.collect()
        return {"variants": [answers[wish["index"]] for wish in request["variants"]]}

    def _prepare_one(self, wish: dict[str, Any], seed: int) -> Answer:
        try:
            variant = self._variant(wish)
            job = Job(
                self.case,
                self.backends[variant.backend],
                self.threads,
                seed,
                self.inputs,
                self.scratch,
                variant.condition,
            )
            built = variant.build(job)
            prepared = Prepared(wish, job, built if isinstance(built, Ready) else Ready(built))
        except Unsupported as error:
            return {"status": "unsupported", "reason": str(error)}
        except MemoryError:
            return {"status": "skipped", "reason": "not enough memory to build it"}
        except Exception as error:
            return self._failed(error)
        self.prepared.append(prepared)
        if not wish.get("check_later"):
            prepared.answer |= self._first_call(prepared)
        if prepared.answer["status"] != "ok":
            self.prepared.remove(prepared)
        return prepared.answer

    def _variant(self, wish: dict[str, Any]) -> Variant:
        wanted = (wish["variant"], wish["backend"], wish["condition"])
        for variant in variants(self.case):
            if (variant.name, variant.backend, variant.condition) == wanted:
                return variant
        raise Unsupported(f"these kernels have no variant {wish['variant']} of {self.case.id}")

    def _first_call(self, prepared: Prepared) -> Answer:
        """Time the first call apart and check what it returned: no speed without a right answer."""
        try:
            subject = Subject(prepared.call, prepared.ready.before, filtered=False)
            memory, probe_ns = FirstCallMemory(), probe()
            memory.of_first(lambda: sample(subject, self.covariates, 0, probe_ns))
            prepared.memory = memory.increase
            (first_call_ns,), returned = subject.time_ns, subject.returned
            subject.returned = None
            if first_call_ns > _ONCE_NS and not prepared.job.backend.first_call_differs:
                prepared.sampled = subject
            return {"first_call_ns": first_call_ns} | self._checked(prepared, returned)
        except MemoryError:
            return {"status": "skipped", "reason": "not enough memory to run it"}
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Answer:
        """Say what went wrong, in the words of the backend whose device it was; raise Lost where all is over."""
        for backend in self.backends.values():
            known = backend.explain(error)
            if known is not None:
                answer = {"status": known.status, "reason": known.reason}
                if known.lost:
                    raise Lost(answer) from error
                return answer
        return _failure(error)

    def reason_of(self, error: Exception) -> Answer:
        """Return status and reason of an error that ended a request."""
        try:
            return self._failed(error)
        except Lost as lost:
            return lost.answer

    def _checked(self, prepared: Prepared, returned: Any) -> Answer:
        check = kernels()[self.case.kernel].check(self.case, self.inputs, prepared.ready.result(returned))
        answer: Answer = {
            "status": "ok" if check.ok else "wrong",
            "error": {
                "max_absolute": _finite(check.max_absolute),
                "max_relative": _finite(check.max_relative),
                "tolerance": _finite(check.tolerance),
            },
        }
        if not check.ok:
            answer["reason"] = check.message or (
                f"error {check.max_absolute:.3g} (relative {check.max_relative:.3g}) "
                f"exceeds the tolerance {check.tolerance:.3g}"
            )
        own = prepared.ready.attributes() if prepared.ready.attributes is not None else {}
        answer["attributes"] = prepared.memory | own
        return answer

    def measure(self, request: dict[str, Any]) -> Answer:
        """Warm up, take balanced rounds, and check the timed outputs again.

        What is measured ``again``, in a further turn of this process, needs little warming up.
        """
        protocol = _again(self.protocol) if request.get("again") else self.protocol
        batches = request.get("batches") or []
        measured: list[tuple[Prepared, Subject]] = []
        filtered = bool(request.get("filtered", True))
        for prepared in self.prepared:
            subject = prepared.sampled or Subject(
                prepared.call,
                prepared.ready.before,
                filtered and self.covariates.available,
                prepared.ready.timer,
            )
            known_ns = prepared.wish.get("known_ns") or 0
            subject.long = known_ns > protocol.long_call_ns
            if batches:
                subject.batch = batches[prepared.wish["index"]] or 1
            measured.append((prepared, subject))
        left = [(prepared, subject) for prepared, subject in measured if prepared.sampled is None]
        self.covariates.follow_threads()
        before = self._device_states()
        for prepared, subject in left:
            self.wire.send({"event": "variant", "index": prepared.wish["index"], "phase": "warm-up"})
            warm_up(subject, protocol)
        self.covariates.follow_threads()
        self.wire.send({"event": "rounds"})
        rng = random.Random(request["order_seed"])
        planned = 0
        if left:
            subjects = [subject for _, subject in left]
            chosen = bool(batches) and all(batches[one.wish["index"]] for one, _ in left)
            planned = run_rounds(
                subjects, protocol, self.covariates, rng, request.get("rounds"), batched=chosen
            )
        answers = {
            one.wish["index"]: self._samples(one, subject)
            for one, subject in measured
            if not one.wish["is_twin"]
        }
        for twin, subject in measured:
            answer = answers.get(twin.wish["index"], {})
            if twin.wish["is_twin"] and "samples" in answer:
                answer["twin"] = self._samples(twin, subject).get("samples")
        self._add_device_states(answers, before, int(request.get("device_processes", 1)))
        return {"variants": list(answers.values()), "rounds": planned}

    def _device_states(self) -> dict[str, dict[str, Any]]:
        return {key: backend.device_state() for key, backend in self.backends.items()}

    def _add_device_states(self, answers: dict[int, Answer], before: dict[str, Any], own: int) -> None:
        """Add what the devices said before and after the rounds, and flag what it means for the numbers.

        ``own`` is how many processes of this run compute on the device: more than these are others.
        """
        after = self._device_states()
        for one in self.prepared:
            key, answer = one.wish["backend"], answers.get(one.wish["index"], {})
            if after.get(key) and not one.wish["is_twin"] and "samples" in answer:
                seen = {"device_before": before[key], "device_after": after[key]}
                answer["attributes"] = answer.get("attributes", {}) | seen
                answer["flags"] = sorted({*answer["flags"], *state_flags((before[key], after[key]), own)})

    def _samples(self, prepared: Prepared, subject: Subject) -> Answer:
        answer: Answer = {"index": prepared.wish["index"], "status": "ok"}
        if prepared.sampled is not None:
            answer |= prepared.answer
        else:
            try:
                answer |= self._checked(prepared, subject.returned)
            except Exception as error:
                answer |= self._failed(error)
        subject.returned = None
        if answer["status"] == "wrong":
            answer["reason"] = f"after timing: {answer.get('reason', '')}"
        if answer["status"] == "ok":
            timer = subject.timer
            flags = {*subject.flags, *self._floor_flags(subject)} | (
                set() if subject.filtered or timer is not None else {"unfiltered"}
            )
            if timer is not None:
                flags |= set(timer.flags)
                answer["attributes"] = answer.get("attributes", {}) | timing_facts(timer, self.case)
            answer |= {
                "flags": sorted(flags),
                "samples": {
                    "time_ns": subject.time_ns,
                    "batch": subject.batch,
                    "round": subject.round,
                    "clean": subject.clean,
                    "cpu_ns": subject.cpu_ns,
                    "switches": subject.switches,
                    "probe_ns": subject.probe_ns,
                },
            }
        return answer

    def _floor_flags(self, subject: Subject) -> list[str]:
        """Flag a call so short that measuring it from here says more of the measuring than of the call."""
        if subject.timer is not None:
            return []
        # The floor is the fastest of several readings, so the call is taken at its fastest too.
        call_ns = min(subject.time_ns) / subject.batch
        return ["below_floor"] if call_ns < _FLOORS * self.floor_ns else []

    def release(self, request: dict[str, Any]) -> Answer:
        """Drop the case: its inputs, outputs and files held open."""
        self.prepared, self.inputs, self.case = [], {}, None
        gc.collect()
        for backend in self.backends.values():
            backend.release()
        return {}


def _finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: what cannot be told is absent."""
    return float(value) if value == value and abs(value) != float("inf") else None


def _failure(error: Exception) -> Answer:
    where = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(where[-1].filename).name}:{where[-1].lineno})" if where else ""
    return {"status": "failed", "reason": f"{type(error).__name__}: {error}{place}"[:2000]}


def main() -> int:
    """Serve requests until ``quit`` or the end of input."""
    stream = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not break the protocol
    wire = Wire(stream)
    requests = sys.stdin.buffer
    try:
        session = Session(json.loads(requests.readline()), wire)
    except Exception as error:
        traceback.print_exc()
        wire.send({"ok": False, "reason": _failure(error)["reason"]})
        return 1
    gc.collect()
    gc.freeze()
    gc.disable()
    wire.send({"ok": True})
    handlers = {
        "describe": session.describe,
        "prepare": session.prepare,
        "measure": session.measure,
        "release": session.release,
    }
    for line in requests:
        request = json.loads(line)
        if request["op"] == "quit":
            break
        try:
            wire.send({"ok": True} | handlers[request["op"]](request))
        except Lost as lost:
            traceback.print_exc()
            wire.send({"ok": False, **lost.answer})
            return 1
        except Exception as error:
            traceback.print_exc()
            wire.send({"ok": False, **session.reason_of(error)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
