"""The report of a network with 1000 classes, color images, many layers, and everything amiss."""

import json

import numpy as np

from pipeline.bundle.report import write_report
from pipeline.store.step_record import Artifact, StepRecord
from targets.bundle.golden import GOLDEN, Golden

CLASSES, PROBES, LAYERS = 1000, 300, 100

TERMS = ("adversary", "batch-norm", "certainty", "class-balance", "contrast", "smoothness")


def write_large_report(bundle, folder):
    """Write the report into `folder`, from the manifest of a real bundle with other figures."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, PROBES)
    labels[:9] = 7
    names = [f"class {label} with a rather long name" for label in range(CLASSES)]
    manifest["teacher"] |= {"architecture": "huge, 25,000,000 parameters", "class_names": names}
    manifest |= {
        "student": "big, 5,000,000 parameters",
        "warnings": ["input: wrong"],
        "health": ["distill: round 12: rolled back to round 8"],
        "engines": {
            "orin-nano": {
                "engine": "pending",
                "because": "no worker was asked for it",
                "build": "python -m targets compile BUNDLE",
            },
            "thor": {
                "engine": "built",
                "recommended": "int8",
                "because": "it is faster and passed",
                "engines": {
                    "int8": {"milliseconds": 1.25, "batch": 8, "verdict": {"agreement": 0.97}}
                },
            },
        },
    }
    manifest["run"] |= {"student": {"architecture": "big"}}
    manifest["verdict"] |= {
        "outcome": "fail",
        "agreement": 0.85,
        "low": 0.84,
        "high": 0.86,
        "teacher_histogram": np.bincount(labels, minlength=CLASSES).tolist(),
        "per_class": [None if label % 7 else 0.5 for label in range(CLASSES)],
    }
    layers = [f"/blocks/{index // 4}/layer{index}/Conv" for index in range(LAYERS)]
    manifest["layer_errors"] = {layer: rng.random() / 10 for layer in layers}
    target = manifest["targets"]["local-cpu"]
    target["fp32"] |= {"bytes": 22_000_000, "milliseconds": 19.4}
    target["int8"] |= {
        "bytes": 5_600_000,
        "milliseconds": 8.1,
        "layers": [{"layer": name, "kernel": "Gemm", "time_share": 0.01} for name in layers],
    }
    target["confusions"] = rng.integers(1, CLASSES, (300, 3)).tolist()
    untimed = [{"layer": name, "kernel": None, "time_share": None} for name in layers[:3]]
    manifest["targets"]["arm"] = {
        **target,
        "int8": {
            **target["int8"],
            **{"milliseconds": None, "integer_layers": None, "layers": untimed},
        },
        "fp32": {**target["fp32"], "milliseconds": None},
    }
    Golden(
        pixels=rng.integers(0, 256, (PROBES, 3, 224, 224), np.uint8),
        mean=np.zeros(3, np.float32),
        std=np.ones(3, np.float32),
        value_range=np.array([0, 1], np.float32),
        teacher_logits=np.eye(CLASSES, dtype=np.float32)[labels],
        generator=np.zeros(PROBES, np.int64),
        asked=labels,
    ).save(folder / GOLDEN)
    write_report(manifest, _records(rng), folder)


def _records(rng):
    points = [
        {**dict.fromkeys(TERMS, float(value)), "student": 1 / (1 + index), "confidence": 0.5}
        for index, value in enumerate(rng.normal(size=200))
    ]
    notes = {
        "curve": points,
        "shares": [dict.fromkeys(TERMS, 1 / len(TERMS))] * 200,
        "cost": {"student_steps": 40_000, "images": 1_000_000, "teacher_passes": 4_000_000},
        "seconds": 1234.5,
    }
    return {
        "distill": StepRecord({"student": Artifact("student.safetensors", "b" * 64, 1)}, notes),
        "quantize": StepRecord({}, {"fine-tuning": notes}),
    }
