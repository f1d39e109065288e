"""The targets by name, from one table: catalogue.json, where every fact has its source."""

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from base.suggest import did_you_mean
from targets.catalogue.instruction_sets import Cpu, this_cpu

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")


class UnknownTargetError(LookupError):
    """No target has this name; names the nearest."""


class CatalogueError(ValueError):
    """The table contradicts itself or lacks something."""


@dataclass(frozen=True)
class CpuTarget:
    """A CPU that ONNX Runtime compiles for.

    Attributes:
        name: What a run file calls it.
        title: A line for people.
        source: Where this is from.
        machine: "x86_64", "aarch64"; "" for that of this machine.
        int8: Its best int8 instructions, as `Cpu.int8`.
        unverified: Names of facts checked against no document.
    """

    name: str
    title: str
    source: str
    machine: str = ""
    int8: str = ""
    unverified: tuple[str, ...] = ()

    @property
    def cpu(self) -> Cpu:
        """What its kernels have to work with."""
        return Cpu(self.title, self.machine, self.int8) if self.machine else this_cpu()

    @property
    def matches_this_machine(self) -> bool:
        """Whether what runs here runs there with the same instructions, and may be timed."""
        here = this_cpu()
        return (self.cpu.is_x86, self.cpu.int8) == (here.is_x86, here.int8)


@dataclass(frozen=True)
class GpuTarget:
    """The GPU of this machine, through its TensorRT.

    Attributes:
        name: What a run file calls it.
        title: A line for people.
        source: Where this is from.
    """

    name: str
    title: str
    source: str


@dataclass(frozen=True)
class Architecture:
    """What one multiprocessor (SM) of a GPU does in a clock.

    Attributes:
        name: NVIDIA's.
        fp16: Dense float16 operations; a multiplication with its addition is two.
        int8: The same in int8; 0 where TensorRT has no int8 for it.
        int8_units: What computes in int8 there.
        source: Where this is from.
        unverified: Names of facts checked against no document.
    """

    name: str
    fp16: int
    int8: int
    int8_units: str
    source: str
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True)
class PowerMode:
    """One of a module's power modes, on which its peaks depend.

    Attributes:
        name: As nvpmodel calls it.
        gpu_mhz: Highest clock of the GPU.
        sms: Multiprocessors that are on.
        memory_mhz: Highest clock of the memory.
    """

    name: str
    gpu_mhz: float
    sms: int
    memory_mhz: float


@dataclass(frozen=True)
class JetPack:
    """A generation of the Jetsons' software, called by its first release.

    Attributes:
        name: That release's number.
        l4t: Major and minor number of its board support package.
        ubuntu: Its Ubuntu.
        cuda: Its CUDA.
        tensorrt: The TensorRT that comes with it, or that it is the first to take.
        python: The system's.
        opset: The highest ONNX opset that its parser takes.
        dla: What TensorRT can do on a deep-learning accelerator, where the module has one.
        source: Where this is from.
        unverified: Names of facts checked against no document.
    """

    name: str
    l4t: str
    ubuntu: str
    cuda: str
    tensorrt: str
    python: str
    opset: int
    dla: str
    source: str
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True)
class JetsonTarget:
    """A Jetson module, on which TensorRT builds the engine that will run there.

    Attributes:
        name: What a run file calls it.
        title: A line for people.
        also: Shorter names for it.
        parts: NVIDIA's part numbers, as the device tree's `compatible` has them.
        super_firmware: Whether it stands for the module with the faster firmware.
        architecture: Of the GPU.
        compute_capability: Of the GPU.
        memory_gb: Shared by CPU and GPU.
        memory_bits: Width of the memory bus.
        dla: Its deep-learning accelerators: "", "1 x v2", ...
        jetpacks: Names of the JetPacks that support it, the newest last.
        modes: Power modes, the fastest first.
        source: Where this is from.
        unverified: Names of facts checked against no document.
    """

    name: str
    title: str
    also: tuple[str, ...]
    parts: tuple[str, ...]
    super_firmware: bool
    architecture: Architecture
    compute_capability: str
    memory_gb: float
    memory_bits: int
    dla: str
    jetpacks: tuple[JetPack, ...]
    modes: tuple[PowerMode, ...]
    source: str
    unverified: tuple[str, ...] = ()

    @property
    def has_int8(self) -> bool:
        """Whether int8 engines exist for it; where not, engines are float16."""
        return self.architecture.int8 > 0

    @property
    def dla_cores(self) -> int:
        """How many deep-learning accelerators it has."""
        return int(self.dla.split()[0]) if self.dla else 0

    def peak_tops(self, precision: str, mode: PowerMode) -> float:
        """Dense peak of the GPU alone, in 10^12 operations a second; 0 where there is no int8."""
        operations = self.architecture.int8 if precision == "int8" else self.architecture.fp16
        return operations * mode.sms * mode.gpu_mhz / 1e6

    def bandwidth_gb_s(self, mode: PowerMode) -> float:
        """Of the memory, in 10^9 bytes a second: two transfers a clock."""
        return self.memory_bits * mode.memory_mhz * 2 / 8 / 1e3


Target = CpuTarget | GpuTarget | JetsonTarget


@cache
def targets_by_name() -> dict[str, Target]:
    """This package's targets, by all their names."""
    return read_catalogue(CATALOGUE_FILE)


def find_target(name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownTargetError: When there is none.
    """
    of_a_dla = re.fullmatch(r"(.+)-dla(\d+)", name)
    if of_a_dla and of_a_dla[1] in targets_by_name():
        module, core = of_a_dla.groups()
        raise UnknownTargetError(
            f"target {name!r}: name module and core apart, {module} and --dla-core {core}"
        )
    if name not in targets_by_name():
        raise UnknownTargetError(f"unknown target {name!r}{did_you_mean(name, targets_by_name())}")
    return targets_by_name()[name]


def jetsons() -> Iterator[JetsonTarget]:
    """Every Jetson once, in the table's order."""
    for name, target in targets_by_name().items():
        if isinstance(target, JetsonTarget) and name == target.name:
            yield target


def read_catalogue(path: Path) -> dict[str, Target]:
    """Read and check a table.

    Raises:
        TableError: Naming the row and what is wrong with it.
    """
    document = json.loads(path.read_text())
    parts: dict[str, dict[str, Any]] = {
        "architecture": {r["name"]: _row(Architecture, r) for r in document["architectures"]},
        "jetpacks": {r["name"]: _row(JetPack, r) for r in document["jetpacks"]},
    }
    rows: list[Target] = [
        *(_row(CpuTarget, row) for row in document["cpus"]),
        *(_row(GpuTarget, row) for row in document["gpus"]),
        *(_jetson(row, parts) for row in document["jetsons"]),
    ]
    targets: dict[str, Target] = {}
    for target in rows:
        for name in (target.name, *getattr(target, "also", ())):
            if name in targets:
                raise CatalogueError(f"{name}: stands twice")
            targets[name] = target
    return targets


def _jetson(row: dict[str, Any], parts: dict[str, dict[str, Any]]) -> JetsonTarget:
    try:
        full = {
            **row,
            "architecture": parts["architecture"][row["architecture"]],
            "jetpacks": [parts["jetpacks"][name] for name in row["jetpacks"]],
            "modes": [_row(PowerMode, mode) for mode in row["modes"]],
        }
    except KeyError as error:
        raise CatalogueError(f"{row.get('name')}: {error} is missing or unknown") from None
    if not (row["modes"] and row["jetpacks"]):
        raise CatalogueError(f"{row['name']}: needs a power mode and a JetPack")
    return _row(JetsonTarget, full)


Row = TypeVar("Row")


def _row(kind: type[Row], row: dict[str, Any]) -> Row:
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(row.keys() - fields.keys())
    missing = sorted(
        n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in row
    )
    stray = sorted(set(row.get("unverified", ())) - fields.keys())
    for what, names in (("unknown", unknown), ("missing", missing), ("marked in vain", stray)):
        if names:
            raise CatalogueError(f"{row.get('name')}: {what}: {', '.join(names)}")
    if "source" in fields and not row["source"]:
        raise CatalogueError(f"{row['name']}: needs a source")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in row.items()})
