"""A web UI as its build leaves it, in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

INDEX = """<!doctype html>
<base href="./">
<script type="module" src="assets/index-Ab3_x.js"></script>
<p>the second one stays: <base href="./"></p>
"""
SCRIPT = "export const greeting = 'grüß dich';\n" * 100
FONT = bytes(range(256)) * 8
ASSETS = {
    "index-Ab3_x.js": SCRIPT.encode(),
    "index-Ab3_x.css": b"body { margin: 0 }\n" * 100,
    "sans-9.woff2": FONT,
    "tiny-1.svg": b"<svg/>",
    "odd.unknown": b"x",
}


def build(folder: Path) -> Path:
    (folder / "assets" / "inner").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX, encoding="utf-8")
    (folder / "secret.txt").write_text("not an asset")
    (folder / "assets" / "inner" / "deep.js").write_text("not an asset")
    for name, content in ASSETS.items():
        (folder / "assets" / name).write_bytes(content)
    return folder
