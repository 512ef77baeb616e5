"""Self-contained HTML pages: templates, scripts and data in one file that opens without a network."""

from slowfast_ext.analysis.page.render import render, write_page

__all__ = ["render", "write_page"]
