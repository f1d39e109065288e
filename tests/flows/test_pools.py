"""Container pools: what a worker would send to Docker and to Kubernetes; neither runs here.

Prefect's own workers render the templates for a run.
"""

import json

import pytest

pytestmark = pytest.mark.server

RENDERED = """
import asyncio, json, sys
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect_docker.worker import DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

KINDS = {"docker": DockerWorkerJobConfiguration, "kubernetes": KubernetesWorkerJobConfiguration}

async def rendered(kind):
    await Secret(value="a secret value").save("bucket-key", overwrite=True)
    variables = {"env": {"AWS_SECRET_ACCESS_KEY": "{{ prefect.blocks.secret.bucket-key }}"}}
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(f"distill-and-quantize/{kind}")
        variables["env"] = {**deployment.job_variables.get("env", {}), **variables["env"]}
        run = await client.create_flow_run_from_deployment(deployment.id, job_variables=variables)
        stored = (await client.read_flow_run(run.id)).model_dump_json()
        assert "a secret value" not in stored
        return await KINDS[kind].resolve_for_flow_run(
            run, client=client, work_pool=await client.read_work_pool(kind), worker_name="test"
        )

print(asyncio.run(rendered(sys.argv[1])).model_dump_json())
"""


@pytest.fixture(scope="module")
def rendered(session):
    script = session.home / "rendered.py"
    script.write_text(RENDERED)

    def render(kind):
        template = f"--base-job-template flows/pools/{kind}.json"
        session.run(f"prefect work-pool create {kind} --type {kind} {template}")
        session.run(
            f"prefect --no-prompt deploy --prefect-file flows/containers.yaml --name {kind}"
        )
        return json.loads(session.run(f"python {script} {kind}"))

    return render


def test_docker_template_is_rendered_for_a_run(rendered):
    container = rendered("docker")
    assert container["image"] == "datafree-edge:latest"
    assert container["command"] == "prefect flow-run execute"
    assert container["volumes"] == ["datafree-edge-store:/store"]
    assert container["env"]["DATAFREE_EDGE_STORE"] == "/store"
    assert container["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    assert container["env"]["AWS_SECRET_ACCESS_KEY"] == "a secret value"
    assert not container["privileged"]


def test_kubernetes_template_is_rendered_for_a_run(rendered):
    job = rendered("kubernetes")["job_manifest"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["DATAFREE_EDGE_STORE"] == "s3://bucket/store"
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "a secret value"
    assert container["args"] == ["prefect", "flow-run", "execute"]
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "8Gi"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": 0},
    }
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert job["spec"]["backoffLimit"] == 0
