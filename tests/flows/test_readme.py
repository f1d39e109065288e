"""The README's commands with Prefect, letter by letter, in a checkout of their own: minutes."""

import re
import shutil

import pytest

from pipeline.bundle.opening import open_bundle
from pipeline.releases.release_log import release_history
from pipeline.store.store import Store
from tests.flows.conftest import documented
from tests.support.quick_run import ROOT
from tests.support.session import Session, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PARTS = ("base", "flows", "pipeline", "dfkd", "targets", "examples")


def test_the_commands_lead_to_a_bundle_in_service_and_a_pending_engine(tmp_path):
    checkout, home, port = tmp_path / "checkout", tmp_path / "home", free_port()
    home.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, checkout / part)
    for file in ("prefect.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, checkout)
    store = home / "store"
    session = Session(
        home, f"http://127.0.0.1:{port}/api", store, folder=checkout, PYTHONPATH=str(checkout)
    )
    commands = documented("With Prefect")
    try:
        for command in commands:
            # A port that is free here stands in for the one that is Prefect's own.
            command = command.replace("4200", str(port))
            if command.endswith(" &"):
                session.start(command.removesuffix(" &"))
                if "server" in command:
                    session.wait_until_up()
            else:
                out = session.run(command, seconds=1500)
        assert "Completed" in out
        manifest = open_bundle(checkout / "bundles" / "mnist-lenet5")
        assert manifest["verdict"]["outcome"] == "pass"
        assert "targets/local-cpu/model.int8.onnx" in manifest["files"]
        released = release_history(Store(str(store)), "mnist-lenet5")
        assert [release.bundle for release in released] == [manifest["bundle"]]

        text = (ROOT / "README.md").read_text()
        (nano,) = re.findall(r"`distill-and-quantize/(orin-nano)`", text)
        jetson = commands[-1].replace("local-cpu", nano)
        assert "Completed" in session.run(jetson, seconds=1500)
        bundles = [open_bundle(path.parent) for path in checkout.glob("bundles/*/manifest.json")]
        (entry,) = [bundle["engines"][nano] for bundle in bundles if bundle["engines"]]
        assert entry["engine"] == "pending"
        assert entry["build"].startswith("python -m targets compile BUNDLE --target orin-nano-8")
    finally:
        session.close()
