"""Manifests with the figures that runs are compared by."""


def make_manifest(
    name="net",
    bundle="a" * 64,
    agreement=0.95,
    outcome="pass",
    milliseconds=(0.4, 0.2),
):
    """Return the parts of a manifest that `run_figures` reads.

    Args:
        name: The name of the run.
        bundle: The digest of the bundle.
        agreement: The agreement of the int8 model; its interval is 1 % wide on each side.
        outcome: The outcome of the verdict.
        milliseconds: The latencies of the float32 and the int8 model.
    """
    models = {
        precision: {"bytes": size, "milliseconds": time, "agreement": share, "outcome": outcome}
        for precision, size, time, share in zip(
            ("fp32", "int8"), (200_000, 50_000), milliseconds, (0.97, agreement), strict=True
        )
    }
    return {
        "name": name,
        "created": "2026-01-02T03:04:05+00:00",
        "bundle": bundle,
        "teacher": {"architecture": "lenet5", "fingerprint": "f" * 64},
        "student": "lenet5-half",
        "verdict": {
            "target": "local-cpu",
            "outcome": outcome,
            "agreement": agreement,
            "low": round(agreement - 0.01, 4),
            "high": round(agreement + 0.01, 4),
        },
        "targets": {"local-cpu": {**models, "recommended": "int8", "because": "it is faster"}},
    }
