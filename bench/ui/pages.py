"""Measures pages with the browser's own clock."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


_WATCH = """
window.longest = 0
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration)
}).observe({type: 'longtask', buffered: true})
"""
_SCROLL = """
([step, frames]) => new Promise(resolve => {
  const scroller = document.querySelector('.spans')
  const times = []
  let blank = 0
  scroller.scrollTop = 0
  const tick = now => {
    times.push(now)
    const box = scroller.getBoundingClientRect()
    for (const share of [0.1, 0.5, 0.9]) {
      const found = document.elementFromPoint(box.left + 200, box.top + box.height * share)
      if (!found?.closest('.span-row')) blank++
    }
    if (times.length > frames) resolve({seconds: (now - times[0]) / 1e3, frames: times.length - 1, blank})
    else { scroller.scrollTop += step; requestAnimationFrame(tick) }
  }
  requestAnimationFrame(tick)
})
"""
_PRESS = """
key => new Promise(resolve => {
  const began = performance.now()
  document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))
  // Two frames later what was drawn has been seen.
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - began)))
})
"""
_TYPE = """
text => new Promise(resolve => {
  const field = document.getElementById('find')
  window.longest = 0
  let at = 0
  const next = () => {
    field.value = text.slice(0, ++at)
    field.dispatchEvent(new Event('input', {bubbles: true}))
    if (at < text.length) setTimeout(next, 120)
    else setTimeout(() => resolve(window.longest), 1500)
  }
  next()
})
"""
_PAN = """
frames => new Promise(resolve => {
  const ask = window.requestAnimationFrame.bind(window)
  const redraws = []
  // The page draws in its own frame callbacks: what they take is what drawing takes of the page's thread.
  window.requestAnimationFrame = act => ask(now => {
    const began = performance.now()
    act(now)
    redraws.push(performance.now() - began)
  })
  let first, count = 0
  const step = now => {
    first ??= now
    if (count++ === frames) {
      window.requestAnimationFrame = ask
      redraws.sort((one, other) => one - other)
      resolve({redraw: redraws[redraws.length >> 1], frames: frames / ((now - first) / 1e3)})
      return
    }
    const key = count % 20 < 10 ? 'ArrowRight' : 'ArrowLeft'
    document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))
    ask(step)
  }
  ask(step)
})
"""
RUNS = 5
_PAN_FRAMES = 60
_SCROLL_FRAMES = 120


def open_trace(browser: Browser, url: str, span_count: int, trace_id: str) -> dict[str, Any]:
    """Return milliseconds from navigation to the first rows and to the whole page, the longest task and the heap."""
    found: dict[str, list[float]] = {"first_rows": [], "complete": [], "longest_task": []}
    heap = 0.0
    for _ in range(RUNS):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.goto(f"{url}/#/trace/{trace_id}")
        page.wait_for_function(
            "() => performance.getEntriesByName('clew:complete').length", timeout=60_000
        )
        for name, mark in (("first_rows", "clew:first-rows"), ("complete", "clew:complete")):
            found[name].append(
                page.evaluate(f"performance.getEntriesByName('{mark}')[0].startTime")
            )
        page.wait_for_timeout(400)
        found["longest_task"].append(page.evaluate("window.longest"))
        heap = _heap_megabytes(page)
        context.close()
    return {
        "spans": span_count,
        **{f"{name}_milliseconds": statistics.median(each) for name, each in found.items()},
        "heap_megabytes": heap,
    }


def _heap_megabytes(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")) / 1e6


def use_trace(browser: Browser, url: str, trace_id: str) -> dict[str, Any]:
    """Return frames a second while scrolling, frames without a row, and milliseconds of usual actions."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(f"{url}/#/trace/{trace_id}")
    page.wait_for_function(
        "() => performance.getEntriesByName('clew:complete').length", timeout=60_000
    )
    page.keyboard.press("]")
    page.wait_for_timeout(300)
    found: dict[str, Any] = {}
    for step in (60, 600):
        scrolled = page.evaluate(_SCROLL, [step, _SCROLL_FRAMES])
        found[f"frames_a_second_{step}"] = scrolled["frames"] / scrolled["seconds"]
        found[f"blank_{step}"] = scrolled["blank"]
    page.evaluate("document.querySelector('.spans').scrollTop = 0")
    keys = {
        "open": "Enter",
        "collapse_all": "[",
        "expand_all": "]",
        "collapse_level": "o",
        "next_error": "e",
    }
    page.locator(".span-row:visible").nth(5).click()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    for name, key in keys.items():
        times = [page.evaluate(_PRESS, key) for _ in range(RUNS)]
        found[f"{name}_milliseconds"] = statistics.median(times)
    found["find_longest_task_milliseconds"] = page.evaluate(_TYPE, "step-7 error")
    context.close()
    return found


def topology(browser: Browser, url: str, fragment: str) -> dict[str, float]:
    """Return medians: milliseconds of first drawing, layout and redrawing in motion, and frames a second in motion."""
    found: dict[str, list[float]] = {"drawn": [], "layout": [], "redraw": [], "frames": []}
    for _ in range(RUNS):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(f"{url}/{fragment}")
        page.wait_for_function(
            "() => performance.getEntriesByName('clew:topology-drawn').length", timeout=60_000
        )
        for name, expression in (
            ("drawn", "performance.getEntriesByName('clew:topology-drawn')[0].startTime"),
            ("layout", "performance.getEntriesByName('clew:topology-layout')[0].duration"),
        ):
            found[name].append(page.evaluate(expression))
        page.wait_for_timeout(300)
        panned = page.evaluate(_PAN, _PAN_FRAMES)
        found["redraw"].append(panned["redraw"])
        found["frames"].append(panned["frames"])
        context.close()
    return {name: float(statistics.median(each)) for name, each in found.items()}
