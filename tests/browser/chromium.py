"""A Chromium that comes from the npm registry, with fonts of its own: the same browser on every machine.

`make test` installs it below `.venv/chromium`, on Linux on x86-64; elsewhere CHROMIUM may name the program of another.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_HOME = Path(sys.prefix) / "chromium"
PROGRAM = Path(os.environ.get("CHROMIUM", _HOME / "chromium"))
AXE = Path(__file__).parent / "chromium" / "node_modules" / "axe-core" / "axe.min.js"

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
    "--disable-background-networking",
    "--disable-component-update",
]
# A Chromium that finds no font at all ends itself; and without one for Chinese it draws boxes.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  {directories}
  <cachedir>{home}/fontconfig</cachedir>
</fontconfig>
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. Raises FileNotFoundError where it is not installed."""
    if not PROGRAM.exists():
        raise FileNotFoundError(f"no Chromium at {PROGRAM}")
    environment = {
        "FONTCONFIG_FILE": str(_fonts_conf()),
        "LD_LIBRARY_PATH": str(PROGRAM.parent / "al2023" / "lib"),
        "TMPDIR": str(_HOME),
        # With LANG=C the browser's language would be `en-US@posix`, which its own Intl refuses.
        "LANG": "en_US.UTF-8",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=_ARGUMENTS, env={**os.environ, **environment}
        )
        try:
            yield browser
        finally:
            browser.close()


def _fonts_conf() -> Path:
    _HOME.mkdir(exist_ok=True)
    directories = [PROGRAM.parent / "fonts"]
    if spec := find_spec("noto_cjk_sans_otc"):
        directories += map(Path, spec.submodule_search_locations or [])
    path = _HOME / "fonts.conf"
    lines = "\n  ".join(f"<dir>{directory}</dir>" for directory in directories)
    path.write_text(_FONTS.format(directories=lines, home=_HOME))
    return path
