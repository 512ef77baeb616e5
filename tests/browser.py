"""Pages in headless Chromium: any error on the console or request to a network fails the test."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def opened(path, width=1280, height=900, dark=False, touch=False):
    """The page of a file, its data unpacked."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    scheme = "dark" if dark else "light"
    wrong = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=touch
        )
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith(("file:", "data:", "blob:")) or wrong.append(r.url),
        )
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("#main[aria-busy=false]")
        yield page
        browser.close()
    assert wrong == []


def overflow(page):
    """Pixels that the page is wider than the screen."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def point_where(page, canvas, tip):
    """A point of a canvas (in page pixels) over which the hint has a text in it."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for y in range(int(box["y"]) + 4, int(box["y"] + box["height"]), 9):
        for x in range(int(box["x"]) + 4, int(box["x"] + box["width"]), 9):
            page.mouse.move(x, y)
            if tip in (page.text_content(".tip") or "") and page.is_visible(".tip"):
                return x, y
    raise AssertionError(f"nowhere does the hint say {tip}")
