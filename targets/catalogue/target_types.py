"""The kinds of target, and what is known about each."""

from dataclasses import dataclass

from targets.catalogue.instruction_sets import Cpu, this_cpu


@dataclass(frozen=True)
class CpuTarget:
    """A CPU that ONNX Runtime compiles for.

    Attributes:
        name: Its name in a run file.
        title: One line for people.
        source: Where the facts come from.
        machine: "x86_64" or "aarch64"; "" for the architecture of this machine.
        int8: Its best int8 instructions, as in `Cpu.int8`.
        unverified: Names of the fields that were checked against no document.
    """

    name: str
    title: str
    source: str
    machine: str = ""
    int8: str = ""
    unverified: tuple[str, ...] = ()

    @property
    def cpu(self) -> Cpu:
        """Its instruction set."""
        return Cpu(self.title, self.machine, self.int8) if self.machine else this_cpu()

    @property
    def matches_this_machine(self) -> bool:
        """Whether this machine has the same int8 instructions, so that timings here are valid."""
        here = this_cpu()
        return (self.cpu.is_x86, self.cpu.int8) == (here.is_x86, here.int8)


@dataclass(frozen=True)
class GpuTarget:
    """The GPU of this machine, used through its TensorRT.

    Attributes:
        name: Its name in a run file.
        title: One line for people.
        source: Where the facts come from.
    """

    name: str
    title: str
    source: str


@dataclass(frozen=True)
class Architecture:
    """The throughput of one multiprocessor (SM) of a GPU.

    Attributes:
        name: NVIDIA's name.
        fp16: Dense float16 operations per clock; a multiply-add counts as two.
        int8: Dense int8 operations per clock; 0 if TensorRT has no int8 for it.
        int8_units: What computes int8.
        source: Where the facts come from.
        unverified: Names of the fields that were checked against no document.
    """

    name: str
    fp16: int
    int8: int
    int8_units: str
    source: str
    unverified: tuple[str, ...] = ()


@dataclass(frozen=True)
class PowerMode:
    """One power mode of a module; peak throughput depends on it.

    Attributes:
        name: Its name in nvpmodel.
        gpu_mhz: Highest GPU clock.
        sms: Number of active multiprocessors.
        memory_mhz: Highest memory clock.
    """

    name: str
    gpu_mhz: float
    sms: int
    memory_mhz: float


@dataclass(frozen=True)
class JetPack:
    """A generation of Jetson software, named after its first release.

    Attributes:
        name: The number of that release.
        l4t: Major and minor version of its board support package.
        ubuntu: Its Ubuntu version.
        cuda: Its CUDA version.
        tensorrt: The TensorRT version that it ships, or the first one that it supports.
        python: The system's Python version.
        opset: The highest ONNX opset that its TensorRT parser reads.
        dla: How its TensorRT uses a deep-learning accelerator; starts with "none" if it cannot.
        source: Where the facts come from.
        unverified: Names of the fields that were checked against no document.
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
    """A Jetson module. TensorRT builds the engine on the module itself.

    Attributes:
        name: Its name in a run file.
        title: One line for people.
        aliases: Shorter names for it.
        part_numbers: NVIDIA's part numbers, as listed in the device tree's `compatible`.
        super_firmware: Whether this is the module with the faster "Super" firmware.
        architecture: Of the GPU.
        compute_capability: Of the GPU.
        memory_gb: Memory shared by CPU and GPU.
        memory_bits: Width of the memory bus.
        dla: Number and version of its deep-learning accelerators, e.g. "1 x v2"; "" for none.
        jetpacks: The JetPacks that support it, the newest last.
        modes: Power modes, the fastest first.
        source: Where the facts come from.
        unverified: Names of the fields that were checked against no document.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    part_numbers: tuple[str, ...]
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
        """Whether TensorRT has int8 for it; if not, engines are float16."""
        return self.architecture.int8 > 0

    @property
    def dla_cores(self) -> int:
        """Number of deep-learning accelerators."""
        return int(self.dla.split()[0]) if self.dla else 0

    def peak_tops(self, precision: str, mode: PowerMode) -> float:
        """Return the GPU's dense peak in 10^12 operations per second; 0 without int8."""
        operations = self.architecture.int8 if precision == "int8" else self.architecture.fp16
        return operations * mode.sms * mode.gpu_mhz / 1e6

    def bandwidth_gb_s(self, mode: PowerMode) -> float:
        """Return the memory bandwidth in 10^9 bytes per second: two transfers per clock."""
        return self.memory_bits * mode.memory_mhz * 2 / 8 / 1e3


Target = CpuTarget | GpuTarget | JetsonTarget
