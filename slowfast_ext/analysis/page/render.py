"""A page from its template: styles, scripts and packed data are written into the file itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from slowfast_ext import __version__
from slowfast_ext.analysis.page.pack import packed
from slowfast_ext.files import write_atomically

_ANALYSIS = Path(__file__).parents[1]


def render(template: str, title: str, data: Mapping[str, Any]) -> str:
    """The whole page. `template` is named by its package: report/templates/report.html.j2."""
    environment = Environment(
        loader=FileSystemLoader(_ANALYSIS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = _static
    page = environment.get_template(template)
    return page.render(title=title, version=__version__, packed=packed(data))


def write_page(path: Path, html: str) -> None:
    """Write a page whole, or leave what was there. Raises CheckpointError where it cannot be written."""
    write_atomically(path, lambda temporary: temporary.write_text(html, encoding="utf-8"))


def _static(name: str) -> Markup:
    """A style or script of ours, as it is: report/static/report.js."""
    text = (_ANALYSIS / name).read_text(encoding="utf-8")
    if "</script" in text.lower():
        raise ValueError(f"{name}: would end the script element that it is put into")
    return Markup(text)  # our own files, not data
