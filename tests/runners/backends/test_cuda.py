"""CUDA without a device: what is missing is named, products are called rightly, errors become statuses."""

import ctypes
import types
from typing import Any

import numpy as np
import pytest

from data.words import Profile
from runners import workload
from runners.arrays import bfloat16_bits, from_bfloat16_bits, rounded
from runners.backends import backend_cupy, backend_torch, cuda
from runners.backends.backend_cupy import CupyBackend, product
from runners.backends.backend_torch import TorchCudaBackend, TorchMetalBackend
from runners.nvml import DeviceMeter, reasons_of
from runners.plan import listing, make_plan
from runners.workload import Availability


class Driver:
    """NVIDIA's driver, as far as we ask it."""

    def __init__(self, version: int, devices: int = 1, error: int = 0) -> None:
        self.version, self.devices, self.error = version, devices, error

    def cuDriverGetVersion(self, place: Any) -> int:  # noqa: N802
        place._obj.value = self.version
        return 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.error

    def cuDeviceGetCount(self, place: Any) -> int:  # noqa: N802
        place._obj.value = self.devices
        return 0


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let CuPy for CUDA 13 be installed, and a driver be what the test says."""

    def with_driver(driver: Driver | None) -> None:
        monkeypatch.setattr(backend_cupy, "find", lambda module, install: Availability(True))
        monkeypatch.setattr(
            backend_cupy, "version", lambda name: "14.2.0" if name == "cupy-cuda13x" else None
        )
        monkeypatch.setattr(cuda, "_driver", lambda: driver)

    return with_driver


def test_without_a_driver_that_is_the_reason(installed: Any) -> None:
    installed(None)
    found = CupyBackend().probe()
    assert not found.available
    assert "no NVIDIA driver is installed here" in found.reason
    assert "driver 580 or newer" in found.install


def test_a_driver_of_the_wrong_major_is_named(installed: Any) -> None:
    """CuPy for CUDA 13 on a driver for CUDA 12.4: both ways out are told."""
    installed(Driver(12040))
    found = CupyBackend().probe()
    assert "built for CUDA 13, the driver here knows CUDA 12.4 at most" in found.reason
    assert "580" in found.install
    assert "for CUDA 12" in found.install


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (Driver(13000, error=100), "CUDA_VISIBLE_DEVICES"),
        (Driver(13000, devices=0), "CUDA_VISIBLE_DEVICES"),
        (Driver(13000, error=802), "Fabric Manager"),
        (Driver(13000, error=803), "reboot"),
        (Driver(13000, error=999), "error 999"),
    ],
)
def test_a_driver_without_a_device_says_why(installed: Any, driver: Driver, words: str) -> None:
    installed(driver)
    assert words in CupyBackend().probe().reason


def test_the_runtime_has_the_last_word(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver offers a device, CUDA's runtime counts; what it raises is the reason."""
    installed(Driver(13000))

    def refuse() -> int:
        raise RuntimeError(
            "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
        )

    monkeypatch.setattr(backend_cupy, "_runtime", lambda: types.SimpleNamespace(getDeviceCount=refuse))
    found = CupyBackend().probe()
    assert "cudaErrorInsufficientDriver" in found.reason
    assert "update it to 580" in found.install
    monkeypatch.setattr(backend_cupy, "_runtime", lambda: types.SimpleNamespace(getDeviceCount=lambda: 1))
    assert CupyBackend().probe() == Availability(True)


def test_the_install_line_fits_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CuPy, a driver for CUDA 12 gets the extra for CUDA 12, any other the newest."""
    monkeypatch.setattr(
        backend_cupy, "find", lambda module, install: Availability(False, "not installed", install)
    )
    for driver, extra in ((Driver(12080), "cuda12"), (Driver(13010), "cuda13"), (None, "cuda13")):
        monkeypatch.setattr(cuda, "_driver", lambda driver=driver: driver)
        assert f"flopwatch[{extra}]" in CupyBackend().probe().install


def test_the_listing_says_what_is_missing(installed: Any) -> None:
    """Every cell of the workload that needs the device is listed, with the reason and what to do."""
    installed(None)
    rows = listing(("matmul/8192-bfloat16", "attention/8x2048x64", "load/small-normal"), ("cupy",))
    assert {row["case"] for row in rows} == {
        "matmul/8192-bfloat16",
        "attention/8x2048x64",
        "load/small-normal",
    }
    assert {(row["backend"], row["device"], row["available"]) for row in rows} == {("cupy", "cuda:0", False)}
    assert all("no NVIDIA driver" in str(row["reason"]) and "580" in str(row["install"]) for row in rows)


def test_a_cell_on_a_device_brings_the_ceilings_of_its_device() -> None:
    """Arithmetic on CUDA stands beside CUDA's chains or tensor cores, never beside those of the processor."""
    plan = make_plan(
        Profile.FULL, ("matmul/8192", "matmul/8192-float16", "relu/50M"), ("blas", "operator"), ("cupy",)
    )
    planned = [*plan.skipped, *(cell.record() for cell in plan.cells)]
    cells = {(row.case, row.device) for row in planned if row.kernel == "ceiling"}
    wanted = {"ceiling/fma-device", "ceiling/tensor-float16", "ceiling/copy-384MiB"}
    assert cells == {(case, "cuda:0") for case in wanted}


def test_cupy_itself_says_what_we_say() -> None:
    """On a machine without a driver the real CuPy raises the error that the remedy is written for."""
    runtime = pytest.importorskip("cupy_backends.cuda.api.runtime", reason="CuPy is not installed")
    if cuda.device_count()[0]:
        pytest.skip("this machine has a device")
    with pytest.raises(runtime.CUDARuntimeError) as raised:
        runtime.getDeviceCount()
    known = cuda.trouble(raised.value)
    assert known is not None
    assert known.status == "unavailable"


def test_pytorch_without_cuda_is_told_from_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setattr(backend_torch, "_built_for_cuda", lambda: None)
    found = TorchCudaBackend().probe()
    assert "a build without CUDA" in found.reason
    assert not TorchMetalBackend().probe().available or TorchMetalBackend.device == "metal"


ERRORS = {
    "cudaErrorMemoryAllocation: out of memory": ("skipped", False),
    "OutOfMemoryError: Out of memory allocating 1,073,741,824 bytes": ("skipped", False),
    "CUDA out of memory. Tried to allocate 20.00 GiB.": ("skipped", False),
    "cudaErrorIllegalAddress: an illegal memory access was encountered": ("failed", True),
    "CUDA error: an illegal memory access was encountered": ("failed", True),
    "cudaErrorLaunchFailure: unspecified launch failure": ("failed", True),
    "cudaErrorLaunchTimeout: the launch timed out and was terminated": ("timeout", True),
    "cudaErrorECCUncorrectable: uncorrectable ECC error encountered": ("failed", True),
    "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable": ("unavailable", True),
    "cudaErrorNoKernelImageForDevice: no kernel image is available": ("unsupported", False),
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_of_a_device_become_statuses_with_a_remedy(text: str) -> None:
    """Each says what it means for the measurement, whether the process can go on, and what was told."""
    known = CupyBackend().explain(RuntimeError(text))
    assert known is not None
    assert (known.status, known.lost) == ERRORS[text]
    assert text in known.reason
    assert ":" in known.reason


def test_other_errors_say_nothing_of_a_device() -> None:
    assert CupyBackend().explain(ValueError("expected float32")) is None


class Cublas:
    """cuBLAS in NumPy: it reads memory column by column, as the library does."""

    def __init__(self, *arrays: Any) -> None:
        self.memory = {array.ctypes.data: array.reshape(-1) for array in arrays}

    def gemmEx(self, handle: int, ta: int, tb: int, m: int, n: int, k: int, *rest: Any) -> None:  # noqa: N802
        alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc, compute, algorithm = rest
        self._product(m, n, k, self.memory[a], lda, self.memory[b], ldb, self.memory[c], ldc)
        assert (handle, ta, tb, compute, algorithm) == (7, 0, 0, 68, -1)
        assert type_a == type_b == type_c
        assert ctypes.cast(alpha, ctypes.POINTER(ctypes.c_float))[0] == 1
        assert ctypes.cast(beta, ctypes.POINTER(ctypes.c_float))[0] == 0

    def gemmStridedBatchedEx(self, handle: int, ta: int, tb: int, m: int, n: int, k: int, *rest: Any) -> None:  # noqa: N802
        _, a, _, lda, step_a, b, _, ldb, step_b, _, c, _, ldc, step_c, stack, _, _ = rest
        for i in range(stack):
            parts = (
                self.memory[place][i * step :] for place, step in ((a, step_a), (b, step_b), (c, step_c))
            )
            one, other, out = parts
            self._product(m, n, k, one, lda, other, ldb, out, ldc)

    @staticmethod
    def _product(m: int, n: int, k: int, a: Any, lda: int, b: Any, ldb: int, c: Any, ldc: int) -> None:
        left = np.stack([a[column * lda : column * lda + m] for column in range(k)], 1)
        right = np.stack([b[column * ldb : column * ldb + k] for column in range(n)], 1)
        for column, values in enumerate((left @ right).T):
            c[column * ldc : column * ldc + m] = values


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 1, 1), (7, 2, 3)])
@pytest.mark.parametrize("stack", [1, 3])
def test_products_are_called_as_cublas_reads_them(shape: tuple[int, int, int], stack: int) -> None:
    """Row-major operands in a library of columns: sizes, leading dimensions, strides and order are right."""
    m, n, k = shape
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((stack, *size), dtype=np.float32) for size in ((m, k), (k, n)))
    c = np.full((stack, m, n), np.nan, np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    pointers = [array.ctypes.data for array in (a, b, c)]
    scalars = (one.ctypes.data, zero.ctypes.data)
    product(7, Cublas(a, b, c), scalars, pointers, (m, n, k), stack, 0, 68)
    assert np.allclose(c, a @ b, atol=1e-5)


def test_bfloat16_rounds_to_nearest_even() -> None:
    """Halfway goes to the even neighbour, everything else to the nearest; infinities stay."""
    exact = np.array([1.0, -2.5, 0.0, np.inf], np.float32)
    assert np.array_equal(from_bfloat16_bits(bfloat16_bits(exact)), exact)
    halfway = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20], np.float32)
    assert rounded(halfway, "bfloat16").tolist() == [1.0, 1 + 4 * 2.0**-8, 1 + 2 * 2.0**-8]
    values = np.random.default_rng(0).standard_normal(10_000, np.float32)
    for dtype, unit in (("bfloat16", 2.0**-8), ("float16", 2.0**-11)):
        assert np.abs(rounded(values, dtype) / values - 1).max() <= unit
    assert rounded(values, "float32") is values


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_of_16_bits_are_judged_in_their_type(dtype: str) -> None:
    """A product that was summed in float32 and rounded once passes; operands rounded again to 8 bits do not."""
    from dataclasses import replace

    kernel = workload.kernels()["matmul"]
    case = next(case for case in kernel.cases if case.id == f"matmul/4096-{dtype}")
    case = replace(case, shape=case.shape | {"m": 64, "n": 48, "k": 512})
    inputs = kernel.inputs(case, 1)
    answer = rounded(inputs["a"] @ inputs["b"], dtype)
    assert kernel.check(case, inputs, answer).ok
    coarse = rounded(answer * (1 + (2.0**-6 if dtype == "bfloat16" else 2.0**-9)), dtype)
    assert not kernel.check(case, inputs, coarse).ok


class Management:
    """NVIDIA's management library, as far as we ask it."""

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetHandleByPciBusId(self, bus: bytes) -> str:  # noqa: N802
        return bus.decode()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        return 123_456

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:  # noqa: N802
        return 350_500

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        return 61

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return {1: 1410, 2: 2619}[kind]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:  # noqa: N802
        return 0x4 | 0x20 | 0x1

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[int]:  # noqa: N802
        return [1, 2]

    def nvmlDeviceGetEccMode(self, handle: str) -> list[int]:  # noqa: N802
        return [1, 1]

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:  # noqa: N802
        raise RuntimeError("Not Supported")


def test_a_meter_reads_what_the_device_tells() -> None:
    """Values come in units with a name; what a device does not support is absent."""
    meter = DeviceMeter("0000:41:00.0", Management())
    state = meter.state()
    assert (state["power_w"], state["energy_mj"], state["temperature_c"]) == (350.5, 123_456, 61)
    assert (state["sm_clock_mhz"], state["memory_clock_mhz"], state["computing_processes"]) == (1410, 2619, 2)
    assert reasons_of(state["clock_reasons"]) == ["heat_slowdown", "power_capped"]
    assert meter.facts() == {"ecc": True}


def test_a_meter_without_its_library_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    meter = DeviceMeter("0000:41:00.0")
    assert meter.state() == {}
    assert meter.energy_mj() is None
    assert meter.facts() == {}
