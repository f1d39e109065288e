"""The flow `distill-and-quantize`: one task a step of `pipeline.chain`.

python -m flows.distill_and_quantize examples/mnist_lenet5/run.yaml
prefect deployment run distill-and-quantize/local-cpu --watch
"""

import sys
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, runtime, task
from prefect.states import Completed, Failed

from base.errors import InputError
from flows.support.events import tell
from flows.support.remote_build import build_elsewhere
from flows.support.retry_policy import TRIES
from flows.support.run_page import PageReporter, show
from flows.support.step_lock import one_at_a_time
from pipeline.bundle.bundle import open_bundle, write_bundle
from pipeline.chain import Artifacts, add_artifacts, chain, run_step
from pipeline.config.run_file import Changes, read_run_file
from pipeline.config.schema import RunConfig
from pipeline.releases.engine_orders import orders
from pipeline.releases.releases import Published, publish
from pipeline.reporter import Reporter
from pipeline.run import check_run, default_output, default_store
from pipeline.store.step_record import StepRecord, digest
from pipeline.store.store import Store
from pipeline.training.metrics import recorded
from pipeline.training.progress import reporter
from targets.bundle.bundle_files import Manifest
from targets.bundle.verdict import Outcome

JUDGED = ("Completed", *(o.capitalize() for o in Outcome if o is not Outcome.PASS))
"""States of a flow run that came to a verdict."""

TOLD = {
    Published.NOW: "bundle.accepted",
    Published.FAILED: "bundle.rejected",
    Published.ASIDE: "bundle.set-aside",
}
"""The event for what became of a bundle; none when it was in service already."""

_display: Reporter | None = None
"""Where progress goes when a terminal watches this process; workers use the run's log."""


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
    """From a teacher to a judged bundle.

    Args:
        run_file: The run file; a relative path starts at the deployment's folder.
        teacher: Other weights than the run file's, a path or a URL.
        student: Another student: an architecture, or "same".
        recipe: Another recipe to distil by.
        targets: Other targets.
        budget: Other student steps.
        seed: Another seed.
        force: Take a new seed, so that everything is done anew; the log says which.
        output: The bundle's folder; bundles/NAME when left out.
        wait: Seconds that a device has for its engine; then it is pending in the bundle, and the
            next run finds it if it was built meanwhile. One that has built it before is asked
            whether it is still the same device; if it does not answer soon, what it built is taken.
        metrics: Folder for the steps' losses, as JSON lines and for TensorBoard.

    Returns:
        Completed when the verdict is pass; else Failed, with the outcome as the state's name.
    """
    chosen = tuple(targets) if targets is not None else None
    seed = _new_seed() if force else seed
    changes = Changes(teacher, student, recipe, chosen, budget, seed)
    config = read_run_file(run_file, changes)
    folder = Path(output) if output else default_output(config)
    check_run(config, folder)
    kept = Path(metrics) if metrics else None
    manifest = _run(config, Store(default_store()), folder, wait, kept)
    verdict = manifest["verdict"]
    if verdict is None:
        return Completed(message=f"below 8 bits nothing is exported; bundle in {folder}")
    line = (
        f"{verdict['outcome']}: agreement {100 * verdict['agreement']:.2f} % with the teacher on "
        f"{verdict['images']} synthetic probes; bundle in {folder}"
    )
    if verdict["outcome"] == Outcome.PASS:
        return Completed(message=line)
    return Failed(message=line, name=Outcome(verdict["outcome"]).capitalize())


def _run(
    config: RunConfig, store: Store, folder: Path, wait: float, metrics: Path | None
) -> Manifest:
    records: dict[str, StepRecord] = {}
    artifacts: Artifacts = {}
    for step in chain(config):
        run = task(name=step.label, persist_result=False, **TRIES)(_run_step)
        record = records[step.label] = run(step.label, config, artifacts, store, metrics)
        artifacts = add_artifacts(artifacts, step, record, config)
    ordered = orders(config, records, store)
    asked = {order.name: build_elsewhere.submit(order, store, wait) for order in ordered}
    engines = {name: future.result() for name, future in asked.items()}
    bundle = task(name="bundle", persist_result=False, **TRIES)(write_bundle)
    manifest = bundle(config, records, engines, store, folder)
    show(manifest, records, folder, get_run_logger().warning)
    if manifest["verdict"]:
        _serve(manifest, store, folder)
    return manifest


@task(name="service", persist_result=False, **TRIES)
def _serve(manifest: Manifest, store: Store, folder: Path) -> None:
    """What passed is in service from now on; what did not is told, and changes nothing."""
    outcome = publish(store, folder, manifest["bundle"])
    get_run_logger().info(f"{manifest['name']}: bundle {manifest['bundle'][:12]} {outcome}")
    if outcome not in TOLD:
        return
    about = {
        "bundle": manifest["bundle"],
        "verdict": manifest["verdict"]["outcome"],
        "reason": str(outcome),
    }
    try:
        tell(TOLD[outcome], "bundle", manifest["name"], about)
    except ConnectionError as error:
        get_run_logger().warning(str(error))


def _run_step(
    label: str, config: RunConfig, artifacts: Artifacts, store: Store, metrics: Path | None
) -> StepRecord:
    step = next(step for step in chain(config) if step.label == label)
    say = _display or PageReporter(get_run_logger().info, label)
    with recorded(say, metrics, config.name, label) as watched:
        return run_step(step, config, artifacts, store, watched, one_at_a_time)


def _new_seed() -> int:
    """The same for every try of a flow run."""
    seed = int(digest(str(runtime.flow_run.id))[:7], 16)
    get_run_logger().info(f"forced: seed {seed}")
    return seed


def main(run_file: str) -> int:
    """Run the flow in this process, watched; returns the verdict's exit code."""
    global _display
    from rich.console import Console

    from pipeline.bundle.report import summary_table

    try:
        folder = default_output(read_run_file(run_file))
        with reporter() as _display:
            state = distill_and_quantize(run_file, return_state=True)
        if state.name not in JUDGED:
            # Not the verdict failed but the run: an earlier run's bundle must not speak for it.
            state.result()
        manifest = open_bundle(folder)
    except InputError as error:
        print(f"distill-and-quantize: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "distill-and-quantize: interrupted; the same command goes on where it stood",
            file=sys.stderr,
        )
        return 130
    Console().print(summary_table(manifest, folder))
    verdict = manifest["verdict"]
    return Outcome(verdict["outcome"]).exit_code if verdict else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m flows.distill_and_quantize RUN.yaml")
    sys.exit(main(sys.argv[1]))
