"""The manifests for KubeRay: their shape, and that the commands in them are ours.

``LIVEVISION_KUBERAY_CRDS`` names a folder with the operator's own schemas (``rayjobs.yaml``, as in
its chart); where it is set, manifests are validated against these too.
"""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from livevision.cli.commands import cli
from livevision.config import Settings
from livevision.config.yaml_file import load
from livevision.fleet import commanding

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Quantities(_Strict):
    cpu: str = Field(pattern=r"^\d+m?$")
    memory: str = Field(pattern=r"^\d+[KMG]i$")


class Resources(_Strict):
    limits: Quantities
    requests: Quantities


class Mount(_Strict):
    name: str
    mountPath: str = Field(pattern="^/")


class Container(_Strict):
    name: str
    image: str
    env: list[dict[str, Any]]
    resources: Resources
    volumeMounts: list[Mount]
    livenessProbe: dict[str, Any]
    readinessProbe: dict[str, Any]
    ports: list[dict[str, Any]] = []


class Pod(_Strict):
    containers: list[Container] = Field(min_length=1)
    volumes: list[dict[str, Any]] = []


class Template(_Strict):
    spec: Pod
    metadata: dict[str, Any] = {}


class Group(_Strict):
    rayStartParams: dict[str, str]
    template: Template


class WorkerGroup(Group):
    groupName: str
    replicas: int
    minReplicas: int
    maxReplicas: int


class Cluster(_Strict):
    rayVersion: str
    headGroupSpec: Group
    workerGroupSpecs: list[WorkerGroup]
    enableInTreeAutoscaling: bool = False


class JobSpec(_Strict):
    entrypoint: str
    rayClusterSpec: Cluster
    backoffLimit: int
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: int = 0


class Named(_Strict):
    name: str = Field(pattern="^[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?$")


class Job(_Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Named
    spec: JobSpec


def _documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def _job(file: Path) -> Job:
    (found,) = [one for one in _documents(file) if one["kind"] == "RayJob"]
    return Job.model_validate(found)


@each_file
def test_the_job_has_the_shape_of_a_ray_job(file: Path) -> None:
    cluster = _job(file).spec.rayClusterSpec
    for group in (cluster.headGroupSpec, *cluster.workerGroupSpecs):
        pod = group.template.spec
        volumes = {volume["name"] for volume in pod.volumes}
        for container in pod.containers:
            assert {mount.name for mount in container.volumeMounts} <= volumes
            # The command line of ``ray start`` takes no more than the pod has.
            assert container.resources.limits == container.resources.requests
            told = {row["name"]: row.get("value") for row in container.env}
            assert told["RAY_USAGE_STATS_ENABLED"] == "0"
            assert str(told["RAY_USAGE_STATS_REPORT_URL"]).startswith("http://127.0.0.1")
    for workers in cluster.workerGroupSpecs:
        assert workers.minReplicas <= workers.replicas <= workers.maxReplicas
    assert cluster.headGroupSpec.rayStartParams["num-cpus"] == "0"
    lock = (ROOT / "requirements-dev.lock").read_text()
    assert f"ray=={cluster.rayVersion}\n" in lock
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "kubernetes" in extras["optional-dependencies"]


def test_the_backlog_s_command_is_one_of_ours() -> None:
    words = shlex.split(_job(FOLDER / "backlog.yaml").spec.entrypoint)
    assert words[0] == "livevision"
    context = cli.make_context("livevision", words[1:])
    name, command, rest = cli.resolve_command(context, ["run", *words[1:]])
    assert name == "run"
    assert command is not None
    given = command.make_context("run", rest).params
    settings = Settings.of(**{k: v for k, v in given.items() if v and k in Settings.model_fields})
    assert (settings.on, settings.cpus_per_worker) == ("ray", 2.0)


def test_the_fleet_s_cameras_and_page_fit_together(tmp_path: Path) -> None:
    file = FOLDER / "fleet.yaml"
    cameras, _, service = _documents(file)
    (tmp_path / "cameras.yaml").write_text(cameras["data"]["cameras.yaml"])
    settings = load(tmp_path / "cameras.yaml", {})
    commanding.check(settings)
    assert settings.sources["door"].read_scene() is not None
    job = _job(file)
    words = shlex.split(job.spec.entrypoint)
    (head,) = job.spec.rayClusterSpec.headGroupSpec.template.spec.containers
    folder = {mount.name: mount.mountPath for mount in head.volumeMounts}["cameras"]
    assert words[:3] == ["livevision", "fleet", f"{folder}/cameras.yaml"]
    port = next(iter(re.findall(r":(\d+)", settings.output[0])))
    (page,) = head.ports
    assert page == {"name": "page", "containerPort": int(port)}
    assert service["spec"]["ports"][0]["targetPort"] == "page"
    labels = job.spec.rayClusterSpec.headGroupSpec.template.metadata["labels"]
    assert service["spec"]["selector"] == labels
    assert any(row["name"] == "LIVEVISION_WEB_TOKEN" for row in head.env)


@each_file
def test_the_operator_s_own_schema_accepts_it(file: Path) -> None:
    folder = os.environ.get("LIVEVISION_KUBERAY_CRDS")
    if folder is None:
        pytest.skip("LIVEVISION_KUBERAY_CRDS names no folder with the schemas of KubeRay")
    jsonschema = pytest.importorskip("jsonschema")
    crd = yaml.safe_load(Path(folder, "rayjobs.yaml").read_text())
    (schema,) = [
        version["schema"]["openAPIV3Schema"]
        for version in crd["spec"]["versions"]
        if version["name"] == "v1"
    ]
    (found,) = [one for one in _documents(file) if one["kind"] == "RayJob"]
    validator = jsonschema.Draft202012Validator(_closed(schema))
    assert [error.message for error in validator.iter_errors(found)] == []


def _closed(schema: Any) -> Any:
    """The schema with unknown keys refused, as a server prunes them without a word."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        open_ = closed.get("x-kubernetes-preserve-unknown-fields")
        if "apiVersion" not in closed["properties"] and not open_:
            closed.setdefault("additionalProperties", False)
    if closed.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
        closed.pop("pattern", None)
    return closed
