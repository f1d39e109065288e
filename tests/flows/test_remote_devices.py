"""Orders carried out on another machine: its own network, its own disk, S3 in between.

The device here builds for a CPU, for real; what it shares with a Jetson is everything but the
builder.
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

IMPATIENT = {
    "config_kwargs": {"connect_timeout": 3, "read_timeout": 3, "retries": {"total_max_attempts": 1}}
}
"""How the store's client waits; fsspec reads it from the environment."""

ENVIRONMENT = {
    "PREFECT_API_URL": API,
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_ENDPOINT_URL": S3,
    "FSSPEC_S3": json.dumps(IMPATIENT),
    # Loopback proxies of the outer machine are not there in a namespace.
    **{name: "" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")},
}

OWN_CHECKOUT = " by the code that lies on the device"
"""What the device's checkout says and the host's does not."""

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
        # Making namespaces takes root and a kernel that has them; without, there is one machine.
        pytest.skip(f"no network namespaces here: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def host(machines, tmp_path_factory):
    """A server, a store, and a first run that leaves nothing to do but what a device does."""
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
    """A machine with a disk and a checkout of its own, and no worker yet."""
    home = tmp_path / "device"
    checkout = home / "checkout"
    for package in ("base", "flows", "pipeline", "targets"):
        shutil.copytree(ROOT / package, checkout / package)
    flow = checkout / "flows" / "compile_engine.py"
    flow.write_text(flow.read_text().replace(': built")', f': built{OWN_CHECKOUT}")'))
    store = host.environment["DATAFREE_EDGE_STORE"]
    session = Session(
        home, API, store, machines.device, home, **ENVIRONMENT, PYTHONPATH=str(checkout)
    )
    yield session
    session.close()


class Run:
    """A run on the host whose only open step is the device's.

    Args:
        host: Where.
        folder: For its run file and bundle.
        number: Of the test: every test's order is another one.
        wait: Seconds that the device has.
        target: What it is to build.
    """

    def __init__(self, host, folder, number, wait, target="local-cpu@shelf"):
        gate = {**QUICK["gate"], "agreement": 0.8 + number / 1000}
        targets = ["local-cpu", target]
        run_file = write_run(folder, name="same", student="same", targets=targets, gate=gate)
        self.host, self.target, self.output = host, target, folder / f"bundle-{time.monotonic_ns()}"
        arguments = f"{run_file} {self.output} {wait}"
        self.process = host.start(f"python -c {shlex.quote(RUN)} {arguments}")

    def entry(self):
        """What became of the target; the rest of the bundle is whole whatever it was."""
        assert self.process.wait(400) == 0, self.host.log()
        manifest = open_bundle(self.output)
        assert manifest["verdict"]["outcome"] == "pass"
        assert "targets/local-cpu/model.int8.onnx" in manifest["files"]
        return manifest["engines"][self.target]


def work(device):
    return device.home / ".cache" / "datafree-edge" / "built"


def wait_for(found, seconds=120):
    """Look again and again, often: what is waited for is the middle of something short."""
    for _ in range(seconds * 200):
        if what := list(found()):
            return what
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def test_what_a_device_builds_comes_back(host, device, tmp_path):
    device.start(WORKER)
    entry = Run(host, tmp_path, 1, wait=120).entry()
    assert entry["int8"]["parity"] >= 0.995, entry
    assert OWN_CHECKOUT in device.log()


def test_a_link_cut_while_the_order_is_fetched_costs_a_try(machines, host, device, tmp_path):
    with machines.slowed(machines.host, 400):
        device.start(WORKER)
        run = Run(host, tmp_path, 2, wait=200)
        wait_for(lambda: work(device).rglob("*.part"))
        time.sleep(0.5)
        with machines.cut():
            time.sleep(8)
    entry = run.entry()
    assert "int8" in entry, entry
    assert "Retry 1/2 will start" in device.log()


def test_a_link_cut_for_good_while_sending_leaves_it_pending(machines, host, device, tmp_path):
    with machines.slowed(machines.device, 200):
        device.start(WORKER)
        run = Run(host, tmp_path, 3, wait=40)
        wait_for(lambda: work(device).rglob("report.json"))
        with machines.cut():
            entry = run.entry()
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "no worker of the pool shelf was done within 40 s",
    )
    assert "int8" in Run(host, tmp_path, 3, wait=200).entry()


def test_a_worker_killed_while_it_builds_leaves_it_pending(machines, host, device, tmp_path):
    device.start(WORKER)
    run = Run(host, tmp_path, 4, wait=30)
    wait_for(lambda: work(device).rglob("built/local-cpu"))
    machines.kill(machines.device)
    assert not list(work(device).rglob("report.json"))
    entry = run.entry()
    assert (entry["engine"], entry["because"]) == (
        "pending",
        "no worker of the pool shelf was done within 30 s",
    )
    device.start(WORKER)
    assert "int8" in Run(host, tmp_path, 4, wait=200).entry()


def test_a_full_disk_is_told(host, device, tmp_path):
    folder = work(device)
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", folder], check=True)
    try:
        device.start(WORKER)
        entry = Run(host, tmp_path, 5, wait=200).entry()
    finally:
        device.close()
        subprocess.run(["umount", folder], check=True)
    assert entry["engine"] == "pending"
    assert "No space left on device" in entry["because"]


def test_a_device_of_another_kind_refuses(host, device, tmp_path):
    device.start(WORKER)
    entry = Run(host, tmp_path, 6, wait=120, target="orin-nano-8@shelf").entry()
    assert entry["engine"] == "pending"
    assert "Jetson" in entry["because"], entry
