"""Failures that are recognized by a line of the log."""

from targets.tensorrt.diagnosis.failure import Failure

KNOWN_FAILURES: tuple[tuple[str, Failure], ...] = (
    (
        r"libnvdla_compiler\.so",
        Failure(
            "no-dla-library",
            "TensorRT needs libnvdla_compiler.so, which is not installed",
            "install the package nvidia-l4t-dla-compiler",
        ),
    ),
    (
        r"Unknown option: (\S+)",
        Failure(
            "unknown-flag",
            "this trtexec has no option {0}",
            "report it with the output of `python -m targets selftest`",
        ),
    ),
    (
        r"(?:No importer registered for op: (\w+)|(?:could not|cannot) find plugin: (\w+)|"
        r"Plugin not found)",
        Failure(
            "unsupported-node",
            "this TensorRT does not support {0}",
            "use a newer JetPack, or a student without that operator",
        ),
    ),
    (
        r"(?:shiftIsAllZeros|only supports symmetric quantization|non-?zero zero ?point)",
        Failure(
            "zero-point",
            "the graph has a non-zero zero point, which TensorRT refuses",
            "export it again; `python -m targets lint GRAPH` lists the nodes",
        ),
    ),
    (
        r"Could not find any implementation for node ([^.\n]+)",
        Failure(
            "no-implementation",
            "TensorRT has no kernel for {0}",
            "stop other programs and give `compile` a larger --workspace: TensorRT skips kernels "
            "that need more memory than available",
        ),
    ),
    (
        r"No space left on device",
        Failure(
            "disk-full",
            "the disk is full",
            "free disk space in the folder of the engine",
            transient=True,
        ),
    ),
    (
        r"(?:out of memory|Cuda failure: 2\b|cudaErrorMemoryAllocation|OutOfMemory|bad_alloc)",
        Failure(
            "out-of-memory",
            "out of memory while building the engine",
            "stop other programs, or give `compile` a smaller --workspace",
            transient=True,
        ),
    ),
    (
        r"(?:Your GPU |platform does not support|doesn't support) ?.*(?:int8|DLA)",
        Failure(
            "not-on-this-device",
            "this device does not support the precision or accelerator",
            "use the target name of this device: `python -m targets list`",
        ),
    ),
    (
        r"(?:engine plan file is not compatible|incompatible (?:device|version)|"
        r"serializationVersion|Version tag does not match)",
        Failure(
            "foreign-engine",
            "the engine was built by another TensorRT version or for another device",
            "delete it and compile again on this device",
        ),
    ),
)
"""Log patterns and their failures, the most specific first; {0} is the pattern's group."""
