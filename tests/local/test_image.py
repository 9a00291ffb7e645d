"""The image, as far as no Docker daemon is needed: its files suffice to run, and its ports are the code's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from docker.utils.build import exclude_paths

from local.__main__ import (
    AGENT_PORTS,
    COMPAT_PORTS,
    GRPC_PORT,
    PORT,
    Refused,
    settings_from_environment,
)
from tests.e2e.shop import Services, export, http, minutes_ago

PROJECT = Path(__file__).parents[2]


class Instruction(NamedTuple):
    name: str
    rest: str


class Stage(NamedTuple):
    """From one FROM to the next."""

    name: str
    instructions: list[Instruction]

    def every(self, name: str) -> list[str]:
        return [each.rest for each in self.instructions if each.name == name]

    def one(self, name: str) -> str:
        (rest,) = self.every(name)
        return rest


def stages() -> list[Stage]:
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    instructions = [Instruction(*line.split(" ", 1)) for line in lines if line]
    found: list[Stage] = []
    for each in instructions:
        if each.name == "FROM":
            found.append(Stage(each.rest.partition(" AS ")[2], []))
        elif found:
            found[-1].instructions.append(each)
    return found


STAGES = stages()
IMAGE = STAGES[-1]
ENVIRONMENT = dict(pair.split("=", 1) for pair in IMAGE.one("ENV").split())


def context() -> set[str]:
    """The files that the daemon gets, by Docker's own reading of .dockerignore."""
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    sent = exclude_paths(str(PROJECT), patterns) - {"Dockerfile", ".dockerignore"}
    return {path for path in sent if (PROJECT / path).is_file()}


CONTEXT = context()


def copies(stage: Stage) -> list[tuple[list[str], str]]:
    """Sources in the context, and where each COPY puts them."""
    copied = [rest.split() for rest in stage.every("COPY") if not rest.startswith("--from")]
    return [(words[:-1], words[-1]) for words in copied]


def files_at(source: str) -> list[str]:
    return [path for path in CONTEXT if path == source or path.startswith(f"{source}/")]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "image")
def test_whatever_the_image_copies_is_there(stage):
    """Whatever is copied is in the project, in the context, and, from another stage, made there."""
    for sources, _ in copies(stage):
        for source in sources:
            assert (PROJECT / source).exists(), source
            assert files_at(source), source
    earlier = [each.name for each in STAGES[: STAGES.index(stage)]]
    for rest in stage.every("COPY"):
        if found := re.match(r"--from=(\S+)", rest):
            assert found[1] in earlier


def test_the_build_context_has_nothing_private():
    """The daemon gets no history, no journal, no built or installed files, no record of a deployment, no test."""
    top = {path.split("/")[0] for path in CONTEXT}
    assert top == {
        *("app.py", "LICENSE", ".chalice", "chalicelib", "infra", "local", "web"),
        *("requirements.txt", "requirements-local.txt", "requirements-node.txt"),
    }
    assert files_at(".chalice") == [".chalice/config.json"]
    unwanted = ("node_modules", "__pycache__", "present/static", ".pyc")
    assert [path for path in CONTEXT if any(each in path for each in unwanted)] == []


def test_the_image_names_every_port_it_listens_at():
    """It says that it listens at the main port and at every well-known one of the code, and at no other."""
    tcp = [PORT, GRPC_PORT, *COMPAT_PORTS]
    expected = {*map(str, tcp), *(f"{port}/udp" for port in AGENT_PORTS)}
    assert set(IMAGE.one("EXPOSE").split()) == expected
    assert ENVIRONMENT["PORT"] == str(PORT)


def test_commands_of_the_build_find_their_files():
    """What is run while it is built is there: requirements, and the web UI's scripts; so is what they leave."""
    scripts = json.loads((PROJECT / "web" / "package.json").read_text())["scripts"]
    for stage in STAGES:
        for command in stage.every("RUN"):
            for name in re.findall(r"-r (\S+)", command):
                assert any(name in sources for sources, _ in copies(stage))
            assert set(re.findall(r"npm run (?:-s )?(\w+)", command)) <= set(scripts)
    out = re.findall(r"outDir: '\.\./(.+)'", (PROJECT / "web" / "vite.config.ts").read_text())
    assert f"--from=ui /clew/{out[0]} {out[0]}" in IMAGE.every("COPY")


def test_the_image_runs_as_an_unprivileged_user():
    """It runs as nobody in particular, who owns the folder of the journal, which is a volume."""
    assert IMAGE.one("USER") not in ("root", "0")
    assert IMAGE.one("VOLUME") == ENVIRONMENT["DATA_DIR"]
    owned = f"install -d -o {IMAGE.one('USER')} -g {IMAGE.one('USER')} {ENVIRONMENT['DATA_DIR']}"
    assert owned in IMAGE.one("RUN")


def test_the_image_refuses_to_start_without_access_settings():
    """As it is, it refuses to start: who runs it must set a token, or say that everybody may."""
    with pytest.raises(Refused, match=r"TOKEN.*ACCESS=open"):
        settings_from_environment(ENVIRONMENT)
    assert settings_from_environment({**ENVIRONMENT, "ACCESS": "open"}).open
    assert not settings_from_environment({**ENVIRONMENT, "TOKEN": "0123456789abcdef"}).open


def files_of_the_image(folder: Path) -> None:
    """What the image's COPYs bring from the project, but for what other stages make."""
    for sources, target in copies(IMAGE):
        for source in sources:
            for path in files_at(source):
                to = folder / (path if target == "./" else target + path.removeprefix(source))
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / path, to)


def command_of(rest: str) -> list[str]:
    """An instruction's command in JSON, run by this Python."""
    program, *words = json.loads(rest[rest.index("[") :])
    assert program == "python"
    return [sys.executable, *words]


@pytest.mark.slow
def test_the_image_alone_takes_spans_and_answers(tmp_path):
    """With the image's files alone, its command takes spans and answers, its health check is content, and it ends."""
    project, data = tmp_path / "clew", tmp_path / "data"
    files_of_the_image(project)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CLEW_", "PYTHON"))}
    own = {k: v for k, v in ENVIRONMENT.items() if k != "PATH"}
    # Other ports and another folder than the container's own; and this machine alone.
    here = {"HOST": "127.0.0.1", "PORT": "0", "COMPAT_PORTS": "0", "DATA_DIR": str(data)}
    environment = {**kept, **own, **here}
    with subprocess.Popen(
        command_of(IMAGE.one("CMD")),
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            assert "OTEL_EXPORTER_OTLP_ENDPOINT=" in first, process.communicate()[1]
            url = first.strip().rpartition("=")[2]
            services = Services()
            services.span("contained", "ask", minutes_ago(1))
            export(url, services.take())
            assert http(f"{url}/").status == 200
            check = command_of(IMAGE.one("HEALTHCHECK"))
            for port, expected in ((url.rpartition(":")[2], 0), ("1", 1)):
                done = subprocess.run(
                    check, env={**environment, "PORT": port}, check=False, capture_output=True
                )
                assert done.returncode == expected
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=60)[1] == ""
        finally:
            process.kill()
    assert process.returncode == 0
    assert (data / "journal").stat().st_size > 0
