"""What a table of figures says about the machine that made them."""

import os
from pathlib import Path


def describe_machine(folder: Path) -> str:
    """Processors, file system and load in one line."""
    return (
        f"{os.process_cpu_count() if hasattr(os, 'process_cpu_count') else os.cpu_count()} × "
        f"{_model()}; {file_system(folder)} on {_device(folder)}; load {_load()}"
    )


def file_system(folder: Path) -> str:
    """Type of the file system on which a folder lies."""
    return _mount(folder)[1]


def _device(folder: Path) -> str:
    return _mount(folder)[0]


def _mount(folder: Path) -> tuple[str, str]:
    """Device and type of the mount with the longest path above a folder."""
    path = folder.resolve()
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(at), device, kind) for device, at, kind in mounts if path.is_relative_to(at)]
    _, device, kind = max(above, key=lambda mount: mount[0], default=(0, "unknown", "unknown"))
    return device, kind


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, "processor of unknown make")


def _load() -> str:
    return "/".join(f"{value:.1f}" for value in os.getloadavg())
