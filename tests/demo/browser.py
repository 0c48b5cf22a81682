"""Renders the picture of a Create in a browser, in light and in dark, and measures whether it is legible.

    python tests/demo/browser.py docs/create.svg

Run by `make picture`, with the Chromium or Chrome that is in the path. No text may leave the picture or touch another one, and
each colour must stand out from the page as WCAG 2 asks: 4.5 : 1 for text, 3 : 1 for bars and lines that mean something.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCHEMES = {"light": ("1", "#ffffff"), "dark": ("0", "#0d1117")}
"""Blink's number of each, and the page of a repository's README in it."""

MEASURE = """
  const all = (kind) => [...document.querySelectorAll(kind)].map((each) => {
    const style = getComputedStyle(each), box = each.getBBox();
    const colour = style.fill === "none" ? style.stroke : style.fill;
    return {text: each.textContent, colour, left: box.x, top: box.y, right: box.x + box.width, bottom: box.y + box.height};
  });
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.body.textContent = JSON.stringify({dark, texts: all("text"), bars: all("rect")});
"""


def measure(browser: str, svg: str, scheme: str) -> dict[str, Any]:
    """What the browser makes of the picture."""
    number, background = SCHEMES[scheme]
    page = f'<!doctype html><body style="background: {background}">{svg}<script>{MEASURE}</script></body>'
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        command += [f"--blink-settings=preferredColorScheme={number}", "--dump-dom", file.as_uri()]
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r"<body[^>]*>(\{.*\})", out, re.DOTALL)
    if not found:
        raise SystemExit(f"{browser} has measured nothing: {out[:500]}")
    return json.loads(found[1])


def luminance(colour: str) -> float:
    """The relative luminance of `#rrggbb` or `rgb(r, g, b)`, as WCAG 2 defines it."""
    hexadecimal = re.fullmatch(r"#(..)(..)(..)", colour)
    parts = [int(part, 16) for part in hexadecimal.groups()] if hexadecimal else [int(part) for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def faults(measured: dict[str, Any], scheme: str, size: tuple[float, float]) -> list[str]:
    """All that keeps the picture from being legible."""
    found = [] if measured["dark"] == (scheme == "dark") else [f"the browser does not show it in {scheme}"]
    for kind, least in (("texts", 4.5), ("bars", 3.0)):
        for each in measured[kind]:
            name = each["text"] or f"the bar at {each['left']:.0f}, {each['top']:.0f}"
            if (ratio := contrast(each["colour"], SCHEMES[scheme][1])) < least:
                found.append(f"{name}: {each['colour']} has a contrast of {ratio:.1f} on the page, less than {least}")
            if each["left"] < 0 or each["top"] < 0 or each["right"] > size[0] or each["bottom"] > size[1]:
                found.append(f"{name} leaves the picture")
    for one, other in itertools.combinations(measured["texts"], 2):
        apart = one["right"] <= other["left"] or other["right"] <= one["left"] or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]
        if not apart:
            found.append(f"{one['text']} touches {other['text']}")
    return [f"{scheme}: {fault}" for fault in found]


def main() -> None:
    """Exit status 1, with the faults, if the picture is not legible."""
    svg = Path(sys.argv[1]).read_text()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"no browser in the path: install one of {', '.join(BROWSERS)}")
    viewed = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert viewed, "the picture says how large it is"
    size = (float(viewed[1]), float(viewed[2]))
    measured = {scheme: measure(browser, svg, scheme) for scheme in SCHEMES}
    if found := [fault for scheme, each in measured.items() for fault in faults(each, scheme, size)]:
        raise SystemExit("\n".join(found))
    texts, bars = (len(measured["light"][kind]) for kind in ("texts", "bars"))
    print(f"{sys.argv[1]}: {texts} texts and {bars} bars are legible in {' and '.join(SCHEMES)}")


if __name__ == "__main__":
    main()
