"""Build engines with TensorRT's Python bindings in a child process.

A build can crash its process (out of memory, driver errors) or hang. The parent process keeps the
log, the time limit and the diagnosis, as for trtexec.

python -m targets.tensorrt.builders.bindings BUILD.json
"""

import dataclasses
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from targets.catalogue.device_detection import command_output
from targets.graph.graph_file import read_graph
from targets.tensorrt.builders.process import run_logged
from targets.tensorrt.diagnosis.parser_errors import parser_error_line
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, BuildFiles, Options, Shape


@dataclasses.dataclass(frozen=True)
class Bindings:
    """The TensorRT that this Python imports.

    Attributes:
        version: Its version numbers.
    """

    version: tuple[int, ...]

    def build(
        self, options: Options, files: BuildFiles, shape: Shape, log: Path, timeout_s: float
    ) -> None:
        """Build an engine.

        Raises:
            BuildError: If the build fails.
        """
        job = {
            "options": dataclasses.asdict(options),
            "files": {name: str(path) for name, path in dataclasses.asdict(files).items()},
            "shape": shape,
        }
        file = files.engine.with_suffix(".build.json")
        file.write_text(json.dumps(job))
        try:
            run_logged([sys.executable, "-m", __name__, str(file)], log, timeout_s)
        finally:
            file.unlink()


VERSION_SCRIPT = "import tensorrt; print('version', tensorrt.__version__)"


def find_bindings() -> Bindings | None:
    """Return the bindings, or None; imports them in a child process, since an import can crash."""
    version = parse_version(command_output((sys.executable, "-c", VERSION_SCRIPT)))
    return Bindings(version) if version else None


def parse_version(output: str) -> tuple[int, ...] | None:
    """Return the version in the output of VERSION_SCRIPT, or None if the import failed."""
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", output)
    return tuple(map(int, found.groups())) if found else None


def main(file: str) -> int:
    """Build what a job file describes, in the child process; print one error per line to stderr."""
    job = json.loads(Path(file).read_text())
    files = BuildFiles(**{name: Path(path) for name, path in job["files"].items()})
    trt = importlib.import_module("tensorrt")
    builder = _Builder(trt, Options(**job["options"]), files, tuple(job["shape"]))
    return builder.build()


class _Builder:
    def __init__(self, trt: Any, options: Options, files: BuildFiles, shape: Shape) -> None:
        self.trt, self.options, self.files, self.shape = trt, options, files, shape
        self.logger = trt.Logger(trt.Logger.VERBOSE)
        self.builder = trt.Builder(self.logger)

    def build(self) -> int:
        network = self.builder.create_network(self._network_flags())
        parser = self.trt.OnnxParser(network, self.logger)
        if not parser.parse_from_file(str(self.files.graph)):
            self._print_parser_errors(parser)
            return 1
        config = self._config()
        if self.options.dla_core is not None:
            self._print_dla_support(network, config)
        plan = self.builder.build_serialized_network(network, config)
        if plan is None:
            return 1
        self.files.cache.write_bytes(bytes(config.get_timing_cache().serialize()))
        self.files.engine.write_bytes(bytes(plan))
        self.files.layers.write_text(self._layers(plan))
        return 0

    def _print_parser_errors(self, parser: Any) -> None:
        """Print every parser error with the node's operator and output, looked up in the graph."""
        nodes = read_graph(self.files.graph).graph.node
        for index in range(parser.num_errors):
            error = parser.get_error(index)
            number = error.node()
            # The number is -1 if the error concerns no node.
            node = nodes[number] if 0 <= number < len(nodes) else None
            outputs = list(node.output) if node is not None else []
            op = node.op_type if node is not None else "graph"
            line = parser_error_line(number, op, outputs[0] if outputs else "", error.desc())
            print(line, file=sys.stderr)

    def _print_dla_support(self, network: Any, config: Any) -> None:
        """Print for every layer whether the accelerator can run it."""
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            can = "can" if config.can_run_on_DLA(layer) else "cannot"
            print(f"[DLA] {can} run {layer.name}", file=sys.stderr)

    def _network_flags(self) -> int:
        """Return the creation flags; explicit batch is implied since 10, strong typing since 11."""
        known = self.trt.NetworkDefinitionCreationFlag
        names = ["EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if self.options.typing == "strong" else [])]
        return sum(1 << int(getattr(known, name)) for name in names if hasattr(known, name))

    def _config(self) -> Any:
        trt, options = self.trt, self.options
        config = self.builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if options.typing == "weak":
            for name in ("INT8", "FP16") if options.precision == "int8" else ("FP16",):
                config.set_flag(getattr(trt.BuilderFlag, name))
        if options.dla_core is not None:
            config.default_device_type = trt.DeviceType.DLA
            config.DLA_core = options.dla_core
            config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
            if options.precision == "int8":
                cache = self.files.graph.with_name(DLA_CALIBRATION_CACHE)
                config.int8_calibrator = self.calibrator = _cache_only(trt, cache.read_bytes())
        if self.shape[0] is None:
            profile = self.builder.create_optimization_profile()
            batches = (1, options.batch, options.largest)
            profile.set_shape("images", *((batch, *self.shape[1:]) for batch in batches))
            config.add_optimization_profile(profile)
        cache = self.files.cache
        kept = config.create_timing_cache(cache.read_bytes() if cache.exists() else b"")
        config.set_timing_cache(kept, False)
        return config

    def _layers(self, plan: Any) -> str:
        runtime = self.trt.Runtime(self.logger)
        if self.options.dla_core is not None:
            runtime.DLA_core = self.options.dla_core
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            return ""
        inspector = engine.create_engine_inspector()
        return str(inspector.get_engine_information(self.trt.LayerInformationFormat.JSON))


def _cache_only(trt: Any, scales: bytes) -> Any:
    """Return a calibrator that only supplies cached scales and refuses to calibrate."""

    class CacheOnly(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        def read_calibration_cache(self) -> bytes:
            return scales

        def write_calibration_cache(self, cache: Any) -> None:
            """Ignore it: the cache is already on disk."""

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Any) -> None:
            print("[E] the calibration cache was not accepted", file=sys.stderr)
            return None

    return CacheOnly()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
