"""The pages: the site builds without a warning, links lead somewhere, keys and experiments exist, shown code is real code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documented.commands import PAGES, ROOT, python_blocks

from slowfast_ext.config.schema import schema
from slowfast_ext.models.attention import ATTENTION, KERNELS
from slowfast_ext.models.backbones import BACKBONES
from slowfast_ext.models.blocks import BLOCKS

FILES = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
MADE_THERE = {"ROWS", "SQUARE", "POOLED"}
"""Sections of the examples of extensions."""
EXTENDING = Path(__file__).parent / "extending"


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def text_of(path):
    return path.read_text(encoding="utf-8")


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="comes with the docs extra")
    pytest.importorskip("mkdocstrings", reason="comes with the docs extra")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    home = text_of(tmp_path / "site/index.html")
    assert "slowfast_ext" in home
    assert "normalised clips" in text_of(tmp_path / "site/api.html")  # a docstring
    fetched = re.findall(r'(?:src|href)="(https?://[^"]+)"', home)
    assert not [url for url in fetched if not url.startswith("https://squidfunk.github.io")]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_links_lead_somewhere(path):
    for target in re.findall(
        r"\]\(([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text_of(path), flags=re.S)
    ):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_keys_and_experiments_exist(path):
    if path.name == "CHANGELOG.md":
        return  # tells of keys that are gone
    text = text_of(path)
    known = schema()
    sections = {key.rsplit(".", n)[0] for key in known for n in range(1, key.count(".") + 1)}
    own = ("LRA.", "README.", "CONTRIBUTING.", "INSTALL.", "CHANGELOG.")
    for key in re.findall(r"(?<![\w./])[A-Z][A-Z0-9]+(?:\.[A-Z][A-Z0-9_]+)+(?![\w.]*\w)", text):
        foreign = (
            key.startswith(own) or path.name == "migration.md" or key.split(".")[1] in MADE_THERE
        )
        names = {key, f"ATTENTION.{key}"}  # a table of attention leaves the section out
        assert names & known.keys() or names & sections or foreign, f"no key {key}"
    for name in re.findall(r"exp/([a-z]\w*[a-zA-Z0-9])(?![\w.*{$]|_[*{$])", text):
        if name not in ("my_experiment", "name"):
            assert (ROOT / "exp" / name).exists(), f"no exp/{name}"


def own_names(registry):
    """Not those that another test has imported from a file."""
    return [name for name, one in registry if one.__module__.startswith("slowfast_ext.")]


def test_attention_has_a_section_or_row_for_every_variant_and_kernel():
    text = text_of(ROOT / "docs/attention.md")
    for name in {*own_names(ATTENTION), *own_names(BLOCKS)} - {"plain", "time"}:
        section = re.search(rf"^### {name}\n(.*?)(?=^##)", text, re.M | re.S)
        assert section, f"no section on {name}"
        assert all(word in section[1] for word in ("**Idea.**", "**Paper.**"))
    assert len(own_names(KERNELS)) > 8
    for name in own_names(KERNELS):
        assert re.search(rf"^\| .*`{name}`", text, re.M), f"no row on {name}"


def test_backbones_has_a_section_for_every_backbone():
    text = text_of(ROOT / "docs/backbones.md")
    assert all(f"\n## {name}\n" in text for name in BACKBONES.names())


@pytest.mark.parametrize("path", sorted(EXTENDING.glob("my_*.py")), ids=lambda path: path.name)
def test_the_code_of_an_extending_page_is_the_file_that_is_tested(path):
    shown = [code for page, _, code in python_blocks() if page.startswith("docs/extending/")]
    assert path.read_text().rstrip() in shown
