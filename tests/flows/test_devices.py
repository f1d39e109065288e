"""The deployments of flows/devices.yaml, compared with the catalogue of devices."""

import yaml

from targets.catalogue.catalogue import jetsons
from tests.support.quick_run import ROOT

DEVICES = yaml.safe_load((ROOT / "flows" / "devices.yaml").read_text())["deployments"]


def test_every_jetson_has_a_deployment():
    names = [deployment["name"] for deployment in DEVICES]
    assert names == [*(target.name for target in jetsons()), "shelf"]


def test_a_deployment_and_its_pool_have_the_same_name():
    for deployment in DEVICES:
        assert deployment["work_pool"]["name"] == deployment["name"]
        assert deployment["entrypoint"] == "flows.compile_engine.compile_engine"
        assert deployment["enforce_parameter_schema"] is True
        heartbeat = deployment["work_pool"]["job_variables"]["env"]
        assert heartbeat == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
