"""The Dockerfile, read: no docker is needed here. Its steps are those of INSTALL.md, its base is an argument."""

import io
import re
import subprocess
from pathlib import Path

import pytest

dockerfile_parse = pytest.importorskip("dockerfile_parse", reason="comes with the dev extra")
ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text()


@pytest.fixture
def parsed():
    return dockerfile_parse.DockerfileParser(fileobj=io.BytesIO(TEXT.encode()))


def steps(parsed, name):
    return [step["value"] for step in parsed.structure if step["instruction"] == name]


def test_every_line_is_an_instruction_that_docker_knows(parsed):
    known = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT", "CMD", "COMMENT"}
    assert {step["instruction"] for step in parsed.structure} <= known


@pytest.mark.parametrize("base", ["debian:bookworm-slim", "nvidia/cuda:12.8.1-base-ubuntu24.04"])
def test_the_base_is_an_argument(parsed, base):
    parsed.build_args = {"BASE": base}
    assert (
        parsed.structure[[s["instruction"] for s in parsed.structure].index("FROM")]["value"]
        == "${BASE}"
    )
    built = dockerfile_parse.DockerfileParser(
        fileobj=io.BytesIO(TEXT.encode()), build_args={"BASE": base}
    )
    assert built.baseimage == base
    assert base in TEXT


def test_it_installs_as_install_md_says(parsed):
    """tools/setup.sh is the first command there; what it needs of the system is in the image."""
    assert "bash tools/setup.sh" in (ROOT / "INSTALL.md").read_text()
    (system, setup) = steps(parsed, "RUN")
    assert re.search(r"bash tools/setup\.sh", setup)
    assert {"python3", "python3-venv"} <= set(system.split())
    for command in (system, setup):
        assert subprocess.run(["bash", "-n", "-c", command], check=False).returncode == 0


def test_what_it_starts_is_the_console_command(parsed):
    assert steps(parsed, "ENTRYPOINT") == ['["slowfast-ext"]']
    assert (
        '[project.scripts]\nslowfast-ext = "slowfast_ext.cli:main"'
        in (ROOT / "pyproject.toml").read_text()
    )
    folder = steps(parsed, "WORKDIR")[0]
    assert f"{folder}/.venv/bin" in steps(parsed, "ENV")[0]  # where setup.sh puts it
    assert ".venv/bin" in (ROOT / "tools/setup.sh").read_text()


def test_what_is_copied_is_small():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "output", "datasets"} <= set(ignored)
