"""Machines as folders of files and answers of programs, so that any machine can be described anywhere."""

from pathlib import Path

from runners.system import System

CPUS = "/sys/devices/system/cpu"


class FoundSystem(System):
    """A system made of the given files and answers; programs that are not named are missing."""

    def __init__(
        self,
        folder: Path,
        files: dict[str, str] | None = None,
        answers: dict[str, str] | None = None,
        *,
        platform: str = "linux",
        variables: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, platform, variables or {})
        self.answers = answers or {}
        for path, text in (files or {}).items():
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{text}\n")

    def command(self, *words: str) -> str | None:
        line = " ".join(words)
        return next((answer for start, answer in self.answers.items() if line.startswith(start)), None)


def topology(cores: int, threads_per_core: int) -> dict[str, str]:
    """Return the files of a processor whose hardware threads are numbered core by core."""
    threads = cores * threads_per_core
    files = {f"{CPUS}/online": f"0-{threads - 1}" if threads > 1 else "0"}
    for thread in range(threads):
        core = thread // threads_per_core
        siblings = f"{core * threads_per_core}-{(core + 1) * threads_per_core - 1}"
        files |= {
            f"{CPUS}/cpu{thread}/topology/core_cpus_list": siblings,
            f"{CPUS}/cpu{thread}/cache/index0/level": "1",
            f"{CPUS}/cpu{thread}/cache/index0/type": "Data",
            f"{CPUS}/cpu{thread}/cache/index0/size": "48K",
            f"{CPUS}/cpu{thread}/cache/index0/coherency_line_size": "64",
            f"{CPUS}/cpu{thread}/cache/index0/shared_cpu_list": siblings,
            f"{CPUS}/cpu{thread}/cache/index3/level": "3",
            f"{CPUS}/cpu{thread}/cache/index3/type": "Unified",
            f"{CPUS}/cpu{thread}/cache/index3/size": "36864K",
            f"{CPUS}/cpu{thread}/cache/index3/coherency_line_size": "64",
            f"{CPUS}/cpu{thread}/cache/index3/shared_cpu_list": f"0-{threads - 1}",
        }
    return files


#: a workstation on bare metal, eight cores with two threads each, with a graphics processor
WORKSTATION = {
    **topology(8, 2),
    "/proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM)  i9-11900K @ 3.50GHz\n"
    "flags\t\t: fpu sse2 ssse3 sse4_1 sse4_2 avx f16c fma avx2 avx512f avx512bw\n\n"
    "processor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: another\nflags\t\t: fpu\n",
    "/proc/meminfo": "MemTotal:       65536000 kB\nMemFree: 1000 kB\nMemAvailable:   32768000 kB\n"
    "SwapTotal: 2048 kB\nSwapFree: 1024 kB\nHugePages_Total: 0\n",
    "/etc/os-release": 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    f"{CPUS}/cpu0/cpufreq/scaling_governor": "powersave",
    f"{CPUS}/cpu0/cpufreq/scaling_driver": "intel_pstate",
    f"{CPUS}/cpu0/cpufreq/cpuinfo_max_freq": "5300000",
    f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "3500000",
    f"{CPUS}/cpu1/cpufreq/scaling_cur_freq": "800000",
    f"{CPUS}/intel_pstate/no_turbo": "0",
    f"{CPUS}/smt/control": "on",
    f"{CPUS}/cpu0/thermal_throttle/core_throttle_count": "2",
    f"{CPUS}/cpu1/thermal_throttle/core_throttle_count": "3",
    "/sys/devices/system/node/node0/cpulist": "0-15",
    "/sys/class/thermal/thermal_zone0/type": "acpitz",
    "/sys/class/thermal/thermal_zone0/temp": "99000",
    "/sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
    "/sys/class/thermal/thermal_zone1/temp": "71500",
    "/proc/loadavg": "1.50 0.70 0.30 2/345 6789",
    "/proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.10 total=123\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "/sys/class/power_supply/BAT0/type": "Battery",
    "/sys/class/power_supply/BAT0/capacity": "80",
    "/sys/class/power_supply/BAT0/status": "Discharging",
    "/sys/class/power_supply/hidpp_battery_0/type": "Battery",
    "/sys/class/power_supply/hidpp_battery_0/scope": "Device",
    "/sys/class/power_supply/hidpp_battery_0/capacity": "5",
}

NVIDIA = {
    "nvidia-smi --query-gpu=name": "NVIDIA H200, 143771, 580.65.06, 9.0, Enabled, Disabled, 1980, 3201, 700.00",
    "nvidia-smi --query-gpu=temperature": "41, 1980, 3201, 120.50, 0, 4, 0x0000000000000020, [N/A]",
    "nvidia-smi --query-compute-apps": "4242, python3, 1024",
}
