"""Engines built on another machine: with its own network and disk, and a store on S3.

The device builds for a CPU. Everything but the builder is the same on a Jetson.
"""

import json
import shlex
import shutil
import subprocess
import time

import pytest

from pipeline.bundle.opening import open_bundle
from tests.support.quick_run import QUICK, ROOT, write_run
from tests.support.session import Session
from tests.support.two_machines import HOST, NoNamespacesError, TwoMachines

pytestmark = pytest.mark.server

API, S3 = f"http://{HOST}:4200/api", f"http://{HOST}:9000"

SHORT_TIMEOUTS = {
    "config_kwargs": {"connect_timeout": 3, "read_timeout": 3, "retries": {"total_max_attempts": 1}}
}
"""Settings of the store's S3 client, which fsspec reads from the environment."""

ENVIRONMENT = {
    "PREFECT_API_URL": API,
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_ENDPOINT_URL": S3,
    "FSSPEC_S3": json.dumps(SHORT_TIMEOUTS),
    # Proxies of the real machine cannot be reached from a namespace.
    **{name: "" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")},
}

DEVICE_CODE = " by the device's code"
"""Added to a message in the device's checkout only."""

WORKER = "prefect worker start --pool shelf --limit 1"

RUN = """
import json, sys
from flows.distill_and_quantize import distill_and_quantize
run_file, output, wait = sys.argv[1:]
distill_and_quantize(run_file, output=output, wait=float(wait), return_state=True)
"""


@pytest.fixture(scope="module")
def machines():
    try:
        made = TwoMachines()
    except NoNamespacesError as error:
        pytest.skip(f"network namespaces cannot be created: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def host(machines, tmp_path_factory):
    """A Prefect server and an S3 service on the host."""
    home = tmp_path_factory.mktemp("host")
    store = "s3://datafree-edge/store"
    session = Session(home, API, store, machines.host, **ENVIRONMENT)
    try:
        session.start(f"prefect server start --host {HOST}")
        session.start(f"python tests/support/s3_stand_in.py {HOST} 9000")
        session.wait_until_up()
        session.wait_until_up(S3)
        session.run("prefect work-pool create shelf --type process")
        session.run("prefect --no-prompt deploy --prefect-file flows/devices.yaml --name shelf")
        yield session
    finally:
        session.close()


@pytest.fixture
def device(machines, host, tmp_path):
    """A machine with its own disk and checkout, and no worker."""
    home = tmp_path / "device"
    checkout = home / "checkout"
    for package in ("base", "flows", "pipeline", "targets"):
        shutil.copytree(ROOT / package, checkout / package)
    flow = checkout / "flows" / "compile_engine.py"
    flow.write_text(flow.read_text().replace(': built")', f': built{DEVICE_CODE}")'))
    store = host.environment["DATAFREE_EDGE_STORE"]
    session = Session(
        home, API, store, machines.device, home, **ENVIRONMENT, PYTHONPATH=str(checkout)
    )
    yield session
    session.close()


class Run:
    """A run on the host that orders an engine from the device.

    Args:
        host: The host's session.
        folder: Folder of the run file and the bundle.
        number: Differs between tests, so that each test has another order.
        wait_s: Time that the device has.
        target: What the device has to build.
    """

    def __init__(self, host, folder, number, wait_s, target="local-cpu@shelf"):
        gate = {**QUICK["gate"], "agreement": 0.8 + number / 1000}
        targets = ["local-cpu", target]
        run_file = write_run(folder, name="same", student="same", targets=targets, gate=gate)
        self.host, self.target, self.output = host, target, folder / f"bundle-{time.monotonic_ns()}"
        arguments = f"{run_file} {self.output} {wait_s}"
        self.process = host.start(f"python -c {shlex.quote(RUN)} {arguments}")

    def entry(self):
        """Return the target's entry in the bundle; the rest of the bundle must be whole."""
        assert self.process.wait(400) == 0, self.host.log()
        manifest = open_bundle(self.output)
        assert manifest["verdict"]["outcome"] == "pass"
        assert "targets/local-cpu/model.int8.onnx" in manifest["files"]
        return manifest["engines"][self.target]


def orders(device):
    return device.home / ".cache" / "datafree-edge" / "built"


def wait_for(find, timeout_s=120):
    """Wait until `find` returns something. Poll often: the files exist only for a short time."""
    for _ in range(timeout_s * 200):
        if list(find()):
            return
        time.sleep(0.005)
    raise AssertionError(f"nothing was found within {timeout_s} s")


def test_an_engine_built_on_the_device_is_in_the_bundle(host, device, tmp_path):
    device.start(WORKER)
    entry = Run(host, tmp_path, 1, wait_s=120).entry()
    assert entry["int8"]["parity"] >= 0.995, entry
    assert DEVICE_CODE in device.log()


@pytest.mark.slow
def test_a_fetch_is_retried_after_a_lost_connection(machines, host, device, tmp_path):
    with machines.slowed(machines.host, 400):
        device.start(WORKER)
        run = Run(host, tmp_path, 2, wait_s=200)
        wait_for(lambda: orders(device).rglob("*.part"))
        time.sleep(0.5)
        with machines.cut():
            time.sleep(8)
    entry = run.entry()
    assert "int8" in entry, entry
    assert "Retry 1/2 will start" in device.log()


def test_an_engine_is_pending_if_sending_it_fails(machines, host, device, tmp_path):
    with machines.slowed(machines.device, 200):
        device.start(WORKER)
        run = Run(host, tmp_path, 3, wait_s=40)
        wait_for(lambda: orders(device).rglob("report.json"))
        with machines.cut():
            entry = run.entry()
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "no worker of the pool shelf finished within 40 s",
    )
    assert "int8" in Run(host, tmp_path, 3, wait_s=200).entry()


@pytest.mark.slow
def test_an_engine_is_pending_if_its_build_is_killed(machines, host, device, tmp_path):
    device.start(WORKER)
    run = Run(host, tmp_path, 4, wait_s=30)
    wait_for(lambda: orders(device).rglob("built/local-cpu"))
    machines.kill(machines.device)
    assert not list(orders(device).rglob("report.json"))
    entry = run.entry()
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "no worker of the pool shelf finished within 30 s",
    )
    device.start(WORKER)
    assert "int8" in Run(host, tmp_path, 4, wait_s=200).entry()


@pytest.mark.slow
def test_a_full_disk_is_reported(host, device, tmp_path):
    folder = orders(device)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", folder], check=True)
    try:
        device.start(WORKER)
        entry = Run(host, tmp_path, 5, wait_s=200).entry()
    finally:
        device.close()
        subprocess.run(["umount", folder], check=True)
    assert entry["engine"] == "pending"
    assert "No space left on device" in entry["because"]


@pytest.mark.slow
def test_a_device_of_another_kind_rejects_the_order(host, device, tmp_path):
    device.start(WORKER)
    entry = Run(host, tmp_path, 6, wait_s=120, target="orin-nano-8@shelf").entry()
    assert entry["engine"] == "pending"
    assert "Jetson" in entry["because"], entry
