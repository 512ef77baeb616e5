"""What the site adds to the pages of this folder: pages that stand elsewhere in the project, and links that lead to them.

mkdocs calls `on_files` and `on_page_markdown`. A link to a file of the project that is no page becomes its name.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

ELSEWHERE = {
    "INSTALL.md": "install.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "data_lists/README.md": "data_sets/index.md",
    "exp/README.md": "experiments.md",
    **{
        f"data_lists/{path.parent.name}/README.md": f"data_sets/{path.parent.name}.md"
        for path in sorted(ROOT.glob("data_lists/*/README.md"))
    },
}
"""Page in the project -> its place in the site."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand elsewhere."""
    for source, place in ELSEWHERE.items():
        if (ROOT / source).is_file():
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site needs them; code blocks stay as they are."""
    place = page.file.src_uri
    source = next((own for own, there in ELSEWHERE.items() if there == place), f"docs/{place}")
    parts, last = [], 0
    for block in _FENCED.finditer(markdown):
        parts += [linked(markdown[last : block.start()], source, place), block[0]]
        last = block.end()
    return "".join([*parts, linked(markdown[last:], source, place)])


def linked(text: str, source: str, place: str) -> str:
    """`text` of the file `source`, at `place` in the site, with its relative links leading there."""

    def replaced(match: re.Match[str]) -> str:
        is_image, words, target, anchor = match[1], match[2], match[3], match[4] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path == "docs":
            path = "docs/README.md"
        there = ELSEWHERE.get(path) or (
            path.removeprefix("docs/") if path.startswith("docs/") else ""
        )
        if not there:
            return words if is_image or not (ROOT / path).exists() else f"{words} (`{path}`)"
        relative = posixpath.relpath(there, posixpath.dirname(place) or ".")
        return f"{is_image}[{words}]({relative}{anchor})"

    return _LINK.sub(replaced, text)
