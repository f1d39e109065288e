"""Build, time and check a small network's engines on this device, and write a report."""

import dataclasses
import json
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from base.notify import Notify
from base.one_line import one_line
from targets.catalogue.device_detection import this_jetson
from targets.on_device.compile_bundle import ENGINE_REPORT, BuildRequest, compile_bundle
from targets.on_device.preflight import preflight
from targets.selftest.report_archive import build_texts, system_facts, write_archive
from targets.selftest.sample_bundle import SELFTEST_OPSET, write_selftest_bundle
from targets.selftest.this_device import DLA_BATCH, has_usable_dla, this_target
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import find_trtexec


def run_selftest(report: Path, notify: Notify) -> bool:
    """Build, time and check engines for the GPU and, if there is one, the accelerator.

    The report is written even if a step fails, with all messages.

    Args:
        report: The zip file to write; it contains logs, tables and versions, no engine.
        notify: Receives progress messages.

    Returns:
        Whether all engines were built and agree.

    Raises:
        OSError: If the report cannot be written.
    """
    messages: list[str] = []

    def record(line: str) -> None:
        messages.append(line)
        notify(line)

    with tempfile.TemporaryDirectory() as name:
        folder, passed = Path(name), False
        facts: dict[str, Any] = {"tracebacks": []}
        with _recorded_failures(facts, record):
            passed = _build_all(folder / "bundle", facts, record)
        facts |= {"passed": passed, **system_facts()}
        texts = {"device.json": json.dumps(facts, indent=1), "said.txt": "\n".join(messages) + "\n"}
        write_archive(texts | build_texts(folder / "bundle" / "built"), folder, report)
    notify(f"report: {report}")
    return passed


def _build_all(bundle: Path, facts: dict[str, Any], notify: Notify) -> bool:
    """Return whether every possible build passed; add facts about the device to `facts`."""
    device = this_jetson()
    facts["device"] = dataclasses.asdict(device)
    target = this_target()
    facts["preflight"] = [str(check) for check in preflight(target, bundle)]
    write_selftest_bundle(bundle, SELFTEST_OPSET)
    requests = [BuildRequest()]
    if has_usable_dla(target, choose_builder(find_trtexec()).version, notify):
        requests.append(BuildRequest(batch=DLA_BATCH, dla_core=0))
    passed = 0
    for request in requests:
        with _recorded_failures(facts, notify):
            output = compile_bundle(bundle, target, request, notify)
            result = json.loads((output / ENGINE_REPORT).read_text())
            passed += result["recommended"] is not None
    return passed == len(requests)


@contextmanager
def _recorded_failures(facts: dict[str, Any], notify: Notify) -> Iterator[None]:
    """Record any exception and continue: the report exists for unexpected failures."""
    try:
        yield
    except Exception as error:
        notify(f"failed: {one_line(str(error)) or type(error).__name__}")
        facts["tracebacks"].append(traceback.format_exc().splitlines())
