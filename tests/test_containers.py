"""The Dockerfiles, compose files and what they mount, as far as no container engine is needed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import av
import pytest
import yaml

from livevision.config import Settings
from livevision.config.yaml_file import load
from livevision.errors import UsageError
from livevision.files import cache_folder
from livevision.output.target import PAGE
from livevision.web.page_options import access_of, listen_address, page_of
from tests import clips
from tests.web.running import LIVE, page, wait_for

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "containers"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))
COMPOSE_FILES = sorted(FOLDER.glob("compose*.yaml"))
each_dockerfile = pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
each_compose_file = pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)

# Those of the Compose Specification that are used here.
SERVICE_KEYS = {
    *("build", "cap_drop", "command", "depends_on", "deploy", "entrypoint", "environment"),
    *("group_add", "healthcheck", "hostname", "image", "init", "logging", "ports", "profiles"),
    *("read_only", "restart", "runtime", "secrets", "security_opt", "stop_grace_period", "tmpfs"),
    *("user", "volumes"),
}
HEALTH_KEYS = {"test", "interval", "timeout", "start_period", "retries", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
SECRET = re.compile(r"token|password|secret|credential|api.?key", re.IGNORECASE)


def instructions(file: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, of continued lines in one."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(name, arguments.strip()) for name, arguments in found]


def last_stage(file: Path) -> dict[str, str]:
    """The last of each instruction after the last FROM."""
    found = instructions(file)
    start = max(n for n, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def default(file: Path, name: str) -> str:
    """The default of an ARG."""
    return next(
        a.partition("=")[2]
        for n, a in instructions(file)
        if n == "ARG" and a.startswith(f"{name}=")
    )


def is_pinned(image: str) -> bool:
    tag = image.rpartition("/")[2].partition(":")[2]
    return bool(re.search(r"\d", tag)) and tag != "latest"


def sent_to_the_builder() -> set[str]:
    """What .dockerignore lets through, which leaves out all else."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    return {rule.removeprefix("!") for rule in rules if rule.startswith("!")}


def test_there_is_an_image_for_each_kind_of_machine() -> None:
    names = {file.name for file in DOCKERFILES}
    assert names == {"cpu.Dockerfile", "cuda.Dockerfile", "jetson.Dockerfile"}


@each_dockerfile
def test_base_images_have_versions(file: Path) -> None:
    stages: set[str] = set()
    for name, arguments in instructions(file):
        if name != "FROM":
            continue
        image, _, stage = arguments.partition(" AS ")
        for variable in re.findall(r"\$\{(\w+)\}", image):
            image = image.replace(f"${{{variable}}}", default(file, variable))
        assert image in stages or is_pinned(image), image
        stages.add(stage)


@each_dockerfile
def test_what_is_copied_is_there_and_reaches_the_builder(file: Path) -> None:
    sent = sent_to_the_builder()
    copied = [a.split()[:-1] for n, a in instructions(file) if n == "COPY" and "--from" not in a]
    assert copied
    for source in (one for line in copied for one in line):
        assert (ROOT / source).exists(), source
        assert source in sent, f"{source} is left out by .dockerignore"


def test_nothing_else_is_sent_to_the_builder() -> None:
    sent = sent_to_the_builder()
    copied = {
        source
        for file in DOCKERFILES
        for name, arguments in instructions(file)
        if name == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    }
    assert sent == copied
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packed = wheel["targets"]["wheel"]
    assert {*packed["packages"], *packed["force-include"]} <= copied


@each_dockerfile
def test_the_extras_exist_and_pytorch_is_not_among_them(file: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = default(file, "EXTRAS").split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert "web" in extras
    assert not any(
        "torch" in need for extra in extras for need in project["optional-dependencies"][extra]
    )


@each_dockerfile
def test_opencv_without_windows_has_the_version_of_the_lock_file(file: Path) -> None:
    found = re.search(r"sed --quiet '([^']+)' requirements\.lock", file.read_text())
    assert found is not None
    done = subprocess.run(
        ["sed", "--quiet", found[1], str(ROOT / "requirements.lock")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(r"opencv-python-headless==[\d.]+\n", done.stdout)


@each_dockerfile
def test_it_runs_as_nobody_special_and_says_how_it_is(file: Path) -> None:
    stage = last_stage(file)
    user = stage["USER"]
    assert user in ("10001:10001", "livevision")
    assert "useradd --uid 10001" in stage["RUN"]
    assert [name for name, _ in instructions(file)].index("USER") > [
        n for n, (name, _) in enumerate(instructions(file)) if name in ("RUN", "COPY")
    ][-1]
    assert "/healthz" in stage["HEALTHCHECK"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(stage["VOLUME"]) == ["/data", "/cache"]
    environment = dict(pair.split("=", 1) for pair in stage["ENV"].split())
    assert environment["XDG_CACHE_HOME"] == "/cache"
    assert environment["XDG_DATA_HOME"] == environment["HOME"] == stage["WORKDIR"] == "/data"
    assert environment["PATH"].startswith("/opt/livevision/bin:")
    assert json.loads(stage["ENTRYPOINT"]) == ["livevision"]


@each_dockerfile
def test_no_secret_is_baked_in(file: Path) -> None:
    for name, arguments in instructions(file):
        if name in ("ARG", "ENV", "LABEL"):
            assert not SECRET.search(arguments), arguments


def probe(file: Path, port: int) -> int:
    """The exit code of an image's HEALTHCHECK, asked of another port."""
    command = json.loads(last_stage(file)["HEALTHCHECK"].partition(" CMD ")[2])
    assert command[0] == "python"
    asked = [word.replace(":8080/", f":{port}/") for word in command[1:]]
    return subprocess.run([sys.executable, *asked], capture_output=True, check=False).returncode


def test_the_health_check_follows_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {last_stage(file)["HEALTHCHECK"].partition(" CMD ")[2] for file in DOCKERFILES}
    assert len(checks) == 1
    with page(source=LIVE.format("160x120", 5)) as one:
        wait_for(lambda: one.ask("GET", "/healthz").status == 200)
        assert probe(DOCKERFILES[0], one.port) == 0
        monkeypatch.setattr("livevision.runtime.health.HEALTHY_S", 0.0)
        assert one.ask("GET", "/healthz").status == 503
        assert probe(DOCKERFILES[0], one.port) == 1
        port = one.port
    assert probe(DOCKERFILES[0], port) == 1


def services(file: Path = FOLDER / "compose.yaml") -> dict[str, Any]:
    found = yaml.safe_load(file.read_text())["services"]
    assert isinstance(found, dict)
    return found


def is_duration(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"(\d+(us|ms|s|m|h))+", value))


@each_compose_file
def test_services_are_as_the_compose_specification_has_them(file: Path) -> None:
    whole = yaml.safe_load(file.read_text())
    assert {key for key in whole if not key.startswith("x-")} <= {
        *("name", "services", "volumes", "secrets")
    }
    for name, service in services(file).items():
        assert service.keys() <= SERVICE_KEYS, name
        assert service.keys() <= services().get(name, service).keys() | {
            *("deploy", "runtime", "group_add")
        }, name
        for key in ("cap_drop", "group_add", "ports", "profiles", "secrets", "security_opt"):
            assert isinstance(service.get(key, []), list), (name, key)
        for key in ("command", "entrypoint", "tmpfs", "volumes"):
            words = service.get(key, [])
            assert all(isinstance(word, str) for word in words), (name, key)
        for key, value in service.get("environment", {}).items():
            assert isinstance(value, str), f"{name}: {key}: YAML would make it {value!r}"
        health = service.get("healthcheck", {})
        assert health.keys() <= HEALTH_KEYS, name
        for key in ("interval", "timeout", "start_period"):
            assert is_duration(health.get(key, "1s")), (name, key)
        assert is_duration(service.get("stop_grace_period", "1s")), name
        if "build" in service:
            build = service["build"]
            assert build.keys() == {"context", "dockerfile"}
            assert (FOLDER / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]) in DOCKERFILES


def test_every_service_is_pinned_confined_and_looked_after() -> None:
    for name, service in services().items():
        if "build" not in service:
            assert is_pinned(service["image"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("0", "root"), name
        assert "max-size" in service["logging"]["options"], name
        health = service["healthcheck"]
        assert health.get("disable") is True or health["test"][0] == "CMD", name
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in CONDITIONS, name
            needed = services()[other]
            assert set(needed.get("profiles", [])) <= set(service.get("profiles", [])), name
            if how["condition"] == "service_healthy":
                assert "test" in needed["healthcheck"], name


@each_compose_file
def test_ports_are_open_on_this_machine_alone(file: Path) -> None:
    for name, service in services(file).items():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), (name, port)


def mounts() -> Iterator[tuple[str, str, PurePosixPath, str]]:
    """Each mount: its service, what is mounted, where, and how."""
    for name, service in services().items():
        for volume in service.get("volumes", []):
            source, place, how = (*volume.split(":"), "rw")[:3]
            yield name, source, PurePosixPath(place), how


def test_what_is_mounted_exists_and_only_volumes_are_written() -> None:
    named = yaml.safe_load((FOLDER / "compose.yaml").read_text())["volumes"]
    used = set()
    for name, source, place, how in mounts():
        assert place.is_absolute(), (name, place)
        if source.startswith("."):
            assert (FOLDER / source).exists(), (name, source)
            assert how == "ro", (name, source)
        else:
            assert source in named, (name, source)
            used.add(source)
    assert used == set(named)


def test_secrets_are_files_that_neither_git_nor_an_image_has() -> None:
    secrets = yaml.safe_load((FOLDER / "compose.yaml").read_text())["secrets"]
    used = {secret for service in services().values() for secret in service.get("secrets", [])}
    assert used == set(secrets)
    for name, secret in secrets.items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "/containers/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert not any(path.startswith("containers") for path in sent_to_the_builder())
    for service in services().values():
        for key, value in service.get("environment", {}).items():
            assert not SECRET.search(key) or value.startswith("/run/secrets/"), key


@pytest.fixture
def watched() -> Settings:
    """What compose.yaml's livevision runs."""
    (config,) = [(s, p) for n, s, p, _ in mounts() if n == "livevision" and s.startswith(".")]
    stage = last_stage(FOLDER / "cpu.Dockerfile")
    command = services()["livevision"].get("command", json.loads(stage["CMD"]))
    inside = PurePosixPath(command[command.index("--config") + 1])
    assert inside.parent == config[1]
    return load(FOLDER / config[0] / inside.name, {})


def test_the_page_in_the_container_needs_a_token(
    watched: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = page_of(watched)
    assert uri is not None
    assert uri.startswith(f"{PAGE}:")
    listen = listen_address(uri)
    assert not listen.is_loopback
    published = [port.split(":") for port in services()["livevision"]["ports"]]
    assert str(listen.port) in {inner for _, _, inner in published}
    given = {f"/run/secrets/{name}" for name in services()["livevision"]["secrets"]}
    assert {str(watched.web_token_file), str(watched.web_watch_token_file)} == given
    for name in ("LIVEVISION_WEB_TOKEN", "LIVEVISION_WEB_WATCH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    open_to_all = watched.model_copy(update={"web_token_file": None, "web_watch_token_file": None})
    with pytest.raises(UsageError, match="no token"):
        access_of(open_to_all, listen)


def test_files_of_a_run_go_where_the_container_may_write(watched: Settings) -> None:
    assert watched.recordings.is_relative_to("/data")
    places = {
        str(place) for name, _, place, how in mounts() if name == "livevision" and how == "rw"
    }
    assert places == {"/data", "/cache"}


def test_prometheus_asks_livevision_with_a_token_it_has(watched: Settings) -> None:
    given = {source: place for name, source, place, _ in mounts() if name == "prometheus"}
    settings = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    assert given["./prometheus.yaml"] == PurePosixPath("/etc/prometheus/prometheus.yml")
    assert f"--config.file={given['./prometheus.yaml']}" in services()["prometheus"]["command"]
    assert settings["rule_files"] == [str(given["../configs/monitoring/alerts.yaml"])]
    (job,) = settings["scrape_configs"]
    listen = listen_address(page_of(watched) or "")
    name = services()["livevision"]["hostname"]  # the page answers to its machine's name alone
    assert name == "livevision"
    assert job["static_configs"] == [{"targets": [f"{name}:{listen.port}"]}]
    (secret,) = services()["prometheus"]["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    assert str(watched.web_watch_token_file) == f"/run/secrets/{secret}"


def test_alerts_have_one_line_that_says_what_is_wrong() -> None:
    groups = yaml.safe_load((ROOT / "configs" / "monitoring" / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    for rule in rules:
        # A comma in a summary without quotes makes a second, nameless annotation of its rest.
        assert rule["annotations"].keys() == {"summary"}, rule["alert"]
        assert isinstance(rule["annotations"]["summary"], str)


def test_python_keeps_its_bytecode_in_the_volume() -> None:
    environment = dict(
        pair.split("=", 1) for pair in last_stage(FOLDER / "cpu.Dockerfile")["ENV"].split()
    )
    assert environment["PYTHONPYCACHEPREFIX"].startswith("/cache/")


def test_grafana_is_chosen_and_finds_its_data_and_dashboard() -> None:
    grafana = services()["grafana"]
    assert grafana["profiles"] == ["grafana"]
    given = {source: place for name, source, place, _ in mounts() if name == "grafana"}
    for source, folder in (
        ("./grafana/datasources", "datasources"),
        ("./grafana/dashboards", "dashboards"),
    ):
        assert given[source] == PurePosixPath("/etc/grafana/provisioning") / folder
    (data,) = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert data["url"] == "http://prometheus:9090"
    assert "prometheus" in services()
    board = ROOT / "configs" / "monitoring" / "grafana.json"
    variables = json.loads(board.read_text())["templating"]["list"]
    wanted = {one["query"] for one in variables if one["type"] == "datasource"}
    assert wanted == {data["type"]}
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards/livevision.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == str(given["../configs/monitoring/grafana.json"].parent)
    reports_home = {
        key: value
        for key, value in grafana["environment"].items()
        if key.startswith(("GF_ANALYTICS", "GF_NEWS"))
    }
    assert reports_home
    assert set(reports_home.values()) == {"false"}


def published() -> dict[str, list[str]]:
    """What the service "feed" tells FFmpeg for each stream, by its address."""
    words = services()["feed"]["command"]
    ends = [n for n, word in enumerate(words) if word.startswith("rtsp://")]
    starts = [words.index("-filter_complex") + 2, *(n + 1 for n in ends[:-1])]
    return {words[end]: words[start:end] for start, end in zip(starts, ends, strict=True)}


def test_the_cameras_of_the_demonstration_are_those_that_are_watched(watched: Settings) -> None:
    assert set(published()) == {source.uri for source in watched.sources.values()}
    for address in published():
        assert address.startswith("rtsp://cameras:8554/")
    assert services()["cameras"]["ports"] == ["127.0.0.1:8554:8554"]
    assert {services()[name]["profiles"][0] for name in ("cameras", "clip", "feed")} == {"demo"}


def test_the_clip_that_is_played_is_the_one_that_the_demo_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services()["clip"]["command"][0] == "demo"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder("demo")
    assert folder is not None
    inside = PurePosixPath("/cache") / folder.relative_to(tmp_path).as_posix()
    words = services()["feed"]["command"]
    assert words[words.index("-i") + 1] == str(inside / "bikes.mp4")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg here")
def test_ffmpeg_takes_the_commands_of_the_feed(tmp_path: Path) -> None:
    clip = clips.make_clip(tmp_path / "bikes.mp4", frames=12)
    words = list(services()["feed"]["command"])
    words[words.index("-i") + 1] = str(tmp_path / "bikes.mp4")
    words[words.index("-stream_loop") + 1] = "1"
    files = {}
    for n, address in enumerate(published()):
        files[address] = tmp_path / f"{n}.ts"
        at = words.index(address)
        assert words[at - 4 : at] == ["-f", "rtsp", "-rtsp_transport", "tcp"]
        words[at - 4 : at + 1] = ["-f", "mpegts", str(files[address])]
    done = subprocess.run(
        [*services()["feed"]["entrypoint"], *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}\n{clip}"
    for address, file in files.items():
        with av.open(str(file)) as container:
            frames = sum(1 for _ in container.decode(video=0))
            assert container.streams.video[0].codec_context.name == "h264", address
        assert frames == 24, address
