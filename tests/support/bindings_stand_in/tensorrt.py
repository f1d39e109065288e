"""A stand-in for TensorRT's Python bindings without a GPU: names, calls, failures.

STANDIN_VERSION selects the version; names that were removed in 10 or 11 are missing there.
STANDIN_FAILS is "parse", "build" or "hung". The serialized "plan" is a JSON note of all settings.
"""

import json
import os
import time

VERSION = os.environ["STANDIN_VERSION"]
MAJOR = int(VERSION.partition(".")[0])
FAILS = os.environ.get("STANDIN_FAILS", "")

__version__ = f"{VERSION}.0"


class Logger:
    VERBOSE = 4

    def __init__(self, severity):
        self.severity = severity


class NetworkDefinitionCreationFlag:
    if MAJOR < 11:
        EXPLICIT_BATCH = 0
    if MAJOR >= 10:
        STRONGLY_TYPED = 1


class BuilderFlag:
    GPU_FALLBACK = 3
    if MAJOR < 11:
        FP16, INT8 = 0, 1


class MemoryPoolType:
    WORKSPACE = 0


class ProfilingVerbosity:
    DETAILED = 2


class DeviceType:
    DLA = 1


if MAJOR < 11:

    class IInt8EntropyCalibrator2:
        pass


class Network(dict):
    num_layers = 2

    def get_layer(self, index):
        return Layer(("conv", "softmax")[index])


class Layer:
    def __init__(self, name):
        self.name = name


class LayerInformationFormat:
    JSON = 1


class Cache:
    def __init__(self, blob):
        self.blob = blob

    def serialize(self):
        return self.blob + b"+"


class Profile:
    def set_shape(self, name, least, best, most):
        self.shapes = [name, least, best, most]


class Config:
    def __init__(self):
        self.flags, self.profiles, self.pool = [], [], {}

    def set_memory_pool_limit(self, pool, size):
        self.pool[pool] = size

    def can_run_on_DLA(self, layer):  # noqa: N802
        return layer.name == "conv"

    def set_flag(self, flag):
        self.flags.append(flag)

    def add_optimization_profile(self, profile):
        self.profiles.append(profile.shapes)

    def create_timing_cache(self, blob):
        return Cache(blob)

    def set_timing_cache(self, cache, ignore_mismatch):
        assert not ignore_mismatch
        self.cache = cache

    def get_timing_cache(self):
        return self.cache


class Error:
    def __init__(self, number):
        self.number = number

    def node(self):
        return self.number

    def desc(self):
        if self.number < 0:
            return "the graph has no output"
        return f"No importer registered for op: Mystery{self.number}\nand no plugin"


class OnnxParser:
    num_errors = 5

    def __init__(self, network, logger):
        self.network = network

    def parse_from_file(self, path):
        self.network["graph"] = path
        return FAILS != "parse"

    def get_error(self, index):
        return Error((0, 1, 2, 3, -1)[index])


class Builder:
    def __init__(self, logger):
        pass

    def create_network(self, flags):
        return Network(network_flags=flags)

    def create_builder_config(self):
        return Config()

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, config):
        if FAILS == "build":
            return None
        if FAILS == "hung":
            print(f"[I] pid {os.getpid()}", flush=True)
            time.sleep(600)
        settings = {k: v for k, v in vars(config).items() if k != "cache"}
        calibrator = settings.pop("int8_calibrator", None)
        if calibrator is not None:
            assert calibrator.get_batch([]) is None
            settings["scales"] = calibrator.read_calibration_cache().decode()
        return json.dumps({**network, **settings}).encode()


class Runtime:
    def __init__(self, logger):
        pass

    def deserialize_cuda_engine(self, plan):
        return self

    def create_engine_inspector(self):
        return self

    def get_engine_information(self, form):
        row = {"Name": "conv", "LayerType": "Convolution", "Inputs": [{"Format/Datatype": "Int8"}]}
        return json.dumps({"Layers": [row], "Bindings": ["images"]})
