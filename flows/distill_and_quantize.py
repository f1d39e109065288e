# ruff: noqa: E402
"""The flow `distill-and-quantize`: a whole run, with one task for each step of `pipeline.chain`.

python -m flows.distill_and_quantize examples/mnist_lenet5/run.yaml
prefect deployment run distill-and-quantize/local-cpu --watch
"""

import sys
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, runtime, task
from prefect.states import Completed, Failed

from flows.support.installed import require_installed

require_installed()

from base.errors import InputError
from flows.support.events import send_event
from flows.support.remote_build import build_on_device
from flows.support.retry_policy import RETRIES
from flows.support.run_page import PageReporter, write_page
from flows.support.step_lock import step_lock
from pipeline.bundle.next_step import next_step
from pipeline.bundle.opening import open_bundle
from pipeline.bundle.writing import write_bundle
from pipeline.chain import Artifacts, add_artifacts, chain, run_step
from pipeline.config.run_file import read_run_file
from pipeline.config.run_overrides import RunOverrides
from pipeline.config.schema import RunConfig
from pipeline.releases.awaited_engines import await_engines
from pipeline.releases.engine_orders import create_orders
from pipeline.releases.publishing import PublishResult, pending_engines, publish
from pipeline.reporter import Reporter
from pipeline.run import check_run, default_output, default_store
from pipeline.store.step_record import StepRecord, digest
from pipeline.store.store import Store
from pipeline.training.metrics import recorded
from pipeline.training.progress import reporter
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome

PENDING_ENGINE = "Pending engine"
"""Name of the final state of a run whose verdict is pass, but which lacks an engine."""

VERDICT_STATES = (
    "Completed",
    PENDING_ENGINE,
    *(o.capitalize() for o in Outcome if o is not Outcome.PASS),
)
"""Names of the final states of a flow run with a verdict."""

EVENTS = {
    PublishResult.RELEASED: "bundle.accepted",
    PublishResult.FAILED: "bundle.rejected",
    PublishResult.WITHHELD: "bundle.set-aside",
}
"""Event for each outcome of a release; there is none for a bundle that was released before."""

_terminal: Reporter | None = None
"""Shows progress when the flow runs in a terminal; on a worker progress goes to the run's log."""


@flow(name="distill-and-quantize", persist_result=False)
def distill_and_quantize(
    run_file: str = "examples/mnist_lenet5/run.yaml",
    teacher: str | None = None,
    student: str | None = None,
    recipe: str | None = None,
    targets: list[str] | None = None,
    budget: int | None = None,
    seed: int | None = None,
    force: bool = False,
    output: str | None = None,
    wait: float = 1800.0,
    metrics: str | None = None,
) -> State[Any]:
    """Distill, quantize, export and validate a student; the result is a bundle with a verdict.

    Args:
        run_file: The run file; a relative path starts at the deployment's folder.
        teacher: Path or URL of the weights, instead of the run file's.
        student: An architecture, or "same", instead of the run file's.
        recipe: A recipe, instead of the run file's.
        targets: Targets, instead of the run file's.
        budget: Number of student steps, instead of the run file's.
        seed: A seed, instead of the run file's.
        force: Use a new seed, so that no training step is reused; the log has the seed.
        output: Folder of the bundle; bundles/NAME by default.
        wait: Time in seconds that a device has to build its engine. After that the engine is
            pending in the bundle, and the next run uses it once it is built. A device that has
            built the engine before is asked whether it has changed; if it does not answer, the
            earlier engine is used.
        metrics: Folder for the losses, as JSON lines and for TensorBoard.

    Returns:
        Completed if the verdict is pass, with the name "Pending engine" if an engine is not built
        yet; else Failed, and the state has the outcome's name.
    """
    chosen = tuple(targets) if targets is not None else None
    seed = _new_seed() if force else seed
    changes = RunOverrides(teacher, student, recipe, chosen, budget, seed)
    config = read_run_file(run_file, changes, get_run_logger().info)
    folder = Path(output) if output else default_output(config)
    check_run(config, folder)
    metrics_folder = Path(metrics) if metrics else None
    manifest = _run(config, Store(default_store()), folder, wait, metrics_folder)
    verdict = manifest["verdict"]
    if verdict is None:
        return Completed(message=f"not exported: fewer than 8 bits; bundle in {folder}")
    line = (
        f"{verdict['outcome']}: agreement {100 * verdict['agreement']:.2f} % with the teacher on "
        f"{verdict['images']} synthetic probes; {verdict['because']}; bundle in {folder}"
    )
    if verdict["outcome"] != Outcome.PASS:
        line += f"; next: {next_step(manifest)}"
        return Failed(message=line, name=Outcome(verdict["outcome"]).capitalize())
    if pending := pending_engines(manifest):
        waiting = ", ".join(pending)
        return Completed(
            message=f"{line}; not released for {waiting}: engine pending", name=PENDING_ENGINE
        )
    return Completed(message=line)


def _run(
    config: RunConfig, store: Store, folder: Path, wait_s: float, metrics: Path | None
) -> Manifest:
    records: dict[str, StepRecord] = {}
    artifacts: Artifacts = {}
    for step in chain(config):
        run = task(name=step.label, persist_result=False, **RETRIES)(_run_step)
        record = records[step.label] = run(step.label, config, artifacts, store, metrics)
        artifacts = add_artifacts(artifacts, step, record, config)
    ordered = create_orders(config, records, store)
    builds = {order.name: build_on_device.submit(order, store, wait_s) for order in ordered}
    engines = {name: future.result() for name, future in builds.items()}
    bundle = task(name="bundle", persist_result=False, **RETRIES)(write_bundle)
    manifest = bundle(config, records, engines, store, folder)
    write_page(manifest, records, folder, get_run_logger().warning)
    if manifest["verdict"]:
        _release(manifest, store, folder)
    return manifest


@task(name="release", persist_result=False, **RETRIES)
def _release(manifest: Manifest, store: Store, folder: Path) -> None:
    """Release the bundle if its verdict is pass, and send an event with the outcome."""
    outcome = publish(store, folder, manifest["bundle"])
    await_engines(store, manifest)
    get_run_logger().info(f"{manifest['name']}: bundle {manifest['bundle'][:12]} {outcome}")
    if outcome not in EVENTS:
        return
    payload = {
        "bundle": manifest["bundle"],
        "verdict": manifest["verdict"]["outcome"],
        "reason": str(outcome),
    }
    try:
        send_event(EVENTS[outcome], "bundle", manifest["name"], payload)
    except ConnectionError as error:
        get_run_logger().warning(str(error))


def _run_step(
    label: str, config: RunConfig, artifacts: Artifacts, store: Store, metrics: Path | None
) -> StepRecord:
    step = next(step for step in chain(config) if step.label == label)
    reports_to = _terminal or PageReporter(get_run_logger().info, label)
    with recorded(reports_to, metrics, config.name, label) as reporter_with_metrics:
        return run_step(step, config, artifacts, store, reporter_with_metrics, step_lock)


def _new_seed() -> int:
    """Return a seed that is new for each flow run, and the same for all attempts of one."""
    seed = int(digest(str(runtime.flow_run.id))[:7], 16)
    get_run_logger().info(f"forced: seed {seed}")
    return seed


def main(run_file: str) -> int:
    """Run the flow in this process, with progress in the terminal; return the exit code."""
    global _terminal
    from pipeline.bundle.summary import summary_table
    from pipeline.commands.tables import print_table

    try:
        folder = default_output(read_run_file(run_file))
        with reporter() as _terminal:
            state = distill_and_quantize(run_file, return_state=True)
        if state.name not in VERDICT_STATES:
            # The run itself failed: raise its error. The folder may hold an earlier run's bundle.
            state.result()
        manifest = open_bundle(folder)
    except InputError as error:
        print(f"distill-and-quantize: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "distill-and-quantize: interrupted; run the same command again to continue",
            file=sys.stderr,
        )
        return 130
    print_table(summary_table(manifest, folder))
    verdict = manifest["verdict"]
    return Outcome(verdict["outcome"]).exit_code if verdict else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m flows.distill_and_quantize RUN.yaml")
    sys.exit(main(sys.argv[1]))
