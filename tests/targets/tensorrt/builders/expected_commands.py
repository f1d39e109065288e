"""The expected trtexec commands on every Jetson of the catalogue, written by hand.

They follow the help of each version (trtexec_flags.json), not the code under test. The network's
images are 3x32x32, in batches of 1 to 8 on the GPU, optimized for 1, and of 8 on an accelerator.
"""

TENSORRT = {
    "4.6": "8.0.1",
    "4.6.1": "8.2.1",
    "5.0.2": "8.4.1",
    "5.1": "8.5.2",
    "6.0": "8.6.2",
    "6.1": "10.3.0",
    "7.0": "10.13",
    "7.1": "10.13.3",
    "7.2": "10.16.2",
    "7.2.2": "11.4.1",
}
"""TensorRT version by JetPack."""

GPU = "int8 fp16"
DLA = "dla-int8 dla-fp16"

ONLY_FP16 = {"4.6": "fp16", "4.6.1": "fp16"}
XAVIER = {name: f"{GPU} {DLA}" for name in ("4.6", "4.6.1", "5.0.2", "5.1")}
ORIN_NANO = {"5.1": GPU, "6.0": GPU, "6.1": GPU, "7.2": GPU}
ORIN_NANO_SUPER = {"6.1": GPU, "7.2": GPU}
ORIN_NX = {"5.1": f"{GPU} {DLA}", "6.0": f"{GPU} {DLA}", "6.1": f"{GPU} {DLA}", "7.2": GPU}
ORIN_NX_SUPER = {"6.1": f"{GPU} {DLA}", "7.2": GPU}
AGX_ORIN = {"5.0.2": f"{GPU} {DLA}", **ORIN_NX, "7.2.2": GPU}

ENGINES = {
    "nano": ONLY_FP16,
    "tx2": ONLY_FP16,
    "xavier-nx-8": XAVIER,
    "xavier-nx-16": XAVIER,
    "agx-xavier-32": XAVIER,
    "agx-xavier-64": XAVIER,
    "orin-nano-4": ORIN_NANO,
    "orin-nano-4-super": ORIN_NANO_SUPER,
    "orin-nano-8": ORIN_NANO,
    "orin-nano-super": ORIN_NANO_SUPER,
    "orin-nx-8": ORIN_NX,
    "orin-nx-8-super": ORIN_NX_SUPER,
    "orin-nx-16": ORIN_NX,
    "orin-nx-16-super": ORIN_NX_SUPER,
    "agx-orin-32": AGX_ORIN,
    "agx-orin-64": AGX_ORIN,
    "thor-t4000": {"7.1": GPU, "7.2": GPU, "7.2.2": GPU},
    "thor-t5000": {"7.0": GPU, "7.1": GPU, "7.2": GPU, "7.2.2": GPU},
}
"""The engines to build, by module and JetPack."""

IN_10 = {
    "int8": [
        """--onnx=student.int8-fp16.onnx --saveEngine=engine.part --stronglyTyped
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --skipInference""",
        """--onnx=student.int8.onnx --saveEngine=engine.part --int8 --fp16
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --skipInference""",
    ],
    "fp16": [
        """--onnx=student.fp16.onnx --saveEngine=engine.part --stronglyTyped
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --skipInference""",
        """--onnx=student.fp32.onnx --saveEngine=engine.part --fp16
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --skipInference""",
    ],
    "dla-int8": [
        """--onnx=student.dla-int8.onnx --saveEngine=engine.part --int8 --fp16
        --memPoolSize=workspace:1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
        --calib=student.dla.cache --skipInference"""
    ],
    "dla-fp16": [
        """--onnx=student.dla-fp16.onnx --saveEngine=engine.part --fp16
        --memPoolSize=workspace:1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
        --skipInference"""
    ],
}

IN_8_4_AND_8_5 = {
    "int8": [
        """--onnx=student.int8-float-weights.onnx --saveEngine=engine.part --int8 --fp16
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --buildOnly"""
    ],
    "fp16": [
        """--onnx=student.fp32.onnx --saveEngine=engine.part --fp16
        --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
        --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --buildOnly"""
    ],
    "dla-int8": [
        """--onnx=student.dla-int8.onnx --saveEngine=engine.part --int8 --fp16
        --memPoolSize=workspace:1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
        --calib=student.dla.cache --buildOnly"""
    ],
    "dla-fp16": [
        """--onnx=student.dla-fp16.onnx --saveEngine=engine.part --fp16
        --memPoolSize=workspace:1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
        --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
        --buildOnly"""
    ],
}

COMMANDS = {
    "8.0": {
        "int8": [
            """--onnx=student.int8-float-weights.onnx --saveEngine=engine.part --int8 --fp16
            --workspace=1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
            --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --buildOnly"""
        ],
        "fp16": [
            """--onnx=student.fp32.onnx --saveEngine=engine.part --fp16
            --workspace=1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
            --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache --buildOnly"""
        ],
        "dla-int8": [
            """--onnx=student.dla-int8.onnx --saveEngine=engine.part --int8 --fp16
            --workspace=1024 --explicitBatch --timingCacheFile=timing.cache --useDLACore=0
            --allowGPUFallback --verbose --calib=student.dla.cache --buildOnly"""
        ],
        "dla-fp16": [
            """--onnx=student.dla-fp16.onnx --saveEngine=engine.part --fp16
            --workspace=1024 --explicitBatch --timingCacheFile=timing.cache --useDLACore=0
            --allowGPUFallback --verbose --buildOnly"""
        ],
    },
    "8.2": {
        "int8": [
            """--onnx=student.int8-float-weights.onnx --saveEngine=engine.part --int8 --fp16
            --workspace=1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
            --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache
            --profilingVerbosity=detailed --exportLayerInfo=layers.json --buildOnly"""
        ],
        "fp16": [
            """--onnx=student.fp32.onnx --saveEngine=engine.part --fp16
            --workspace=1024 --minShapes=images:1x3x32x32 --optShapes=images:1x3x32x32
            --maxShapes=images:8x3x32x32 --timingCacheFile=timing.cache
            --profilingVerbosity=detailed --exportLayerInfo=layers.json --buildOnly"""
        ],
        "dla-int8": [
            """--onnx=student.dla-int8.onnx --saveEngine=engine.part --int8 --fp16
            --workspace=1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
            --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
            --calib=student.dla.cache --buildOnly"""
        ],
        "dla-fp16": [
            """--onnx=student.dla-fp16.onnx --saveEngine=engine.part --fp16
            --workspace=1024 --timingCacheFile=timing.cache --profilingVerbosity=detailed
            --exportLayerInfo=layers.json --useDLACore=0 --allowGPUFallback --verbose
            --buildOnly"""
        ],
    },
    "8.4": IN_8_4_AND_8_5,
    "8.5": IN_8_4_AND_8_5,
    "8.6": {
        "int8": [
            """--onnx=student.int8-float-weights.onnx --saveEngine=engine.part --int8 --fp16
            --memPoolSize=workspace:1024 --minShapes=images:1x3x32x32
            --optShapes=images:1x3x32x32 --maxShapes=images:8x3x32x32
            --timingCacheFile=timing.cache --profilingVerbosity=detailed
            --exportLayerInfo=layers.json --skipInference"""
        ],
        "fp16": IN_10["fp16"][1:],
        "dla-int8": IN_10["dla-int8"],
        "dla-fp16": IN_10["dla-fp16"],
    },
    "10.3": IN_10,
    "10.13": {engine: IN_10[engine] for engine in ("int8", "fp16")},
    "10.16": {engine: IN_10[engine] for engine in ("int8", "fp16")},
    "11.4": {engine: IN_10[engine][:1] for engine in ("int8", "fp16")},
}
"""The build commands of an engine in the order of attempts, by TensorRT version."""

TIMING = """--loadEngine=engine.part --shapes=images:1x3x32x32 --warmUp=2000 --duration=5
    --iterations=100 --noDataTransfers --useSpinWait --exportTimes=times.json"""

TIMING_ON_DLA = """--loadEngine=engine.part --warmUp=2000 --duration=5
    --iterations=100 --noDataTransfers --useSpinWait --exportTimes=times.json --useDLACore=0"""

INFERENCE = """--loadEngine=engine.part --shapes=images:4x3x32x32 --loadInputs=images:in.raw
    --exportOutput=out.json --warmUp=0 --duration=0 --iterations=1"""

INFERENCE_ON_DLA = """--loadEngine=engine.part --loadInputs=images:in.raw
    --exportOutput=out.json --warmUp=0 --duration=0 --iterations=1 --useDLACore=0"""
"""The timing and inference commands, equal in every version."""
