"""The page of a run: one file of HTML without scripts, and without anything that it would have to fetch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from html import escape
from pathlib import Path

from pipe.overview import Held, KeyLife, Overview, Store
from pipe.redact import one_line
from pipe.report import Ended
from pipe.values import Build, count

# Returns a text as it may stand in a page.
Shown = Callable[[str], str]

_DATE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")

# Bytes that a page may have. One that would have more tells less of what is as it should be.
LARGEST = 300_000
_LEVELS = (5_000, 50, 5, 0)

# Characters of one text.
_LONGEST = 1_200

# The bar goes on behind a key's end by so much of its length, for keys that are overdue.
_BEYOND = 1.15


def page(ended: Ended, build: Build, at: datetime) -> str:
    """Return the page of a run that ended at that time; no secret value is in it."""
    # Each text by itself, so that one that is hidden hides no other; and once, since to look at it takes time.
    # No line ends between the dots and the letters of a key's name, nor within a date.
    whole = partial(_DATE.sub, "\\1-\u2060\\2-\u2060\\3")
    shown = cache(lambda text: whole(escape(one_line(text, _LONGEST)).replace("…", "…\u2060")))
    for most in _LEVELS:
        text = "".join(_page(ended, build, at, most, shown))
        if len(text.encode()) <= LARGEST:
            break
    return text


def figures(ended: Ended) -> list[tuple[str, str]]:
    """Return four numbers, each with what it counts."""
    seen = ended.seen or Overview()
    changed = (f"{len(ended.changes):,}", "changed by this run")
    if seen.keys or not seen.stores:
        oldest = seen.oldest
        age = _figure(oldest.age, "day", ": the oldest active key") if oldest else ("-", "days: the oldest active key")
        return [age, (f"{seen.overdue:,}", "overdue"), changed, _figure(seen.targets, "target")]
    held = [each for store in seen.stores for each in store.held]
    odd = f"{sum(each.remarkable for each in held):,}"
    return [
        _figure(len(held), "secret", " held"),
        (odd, "not as the source"),
        changed,
        _figure(len(seen.stores), "target"),
    ]


def _figure(number: int, noun: str, more: str = "") -> tuple[str, str]:
    shown, _, what = count(number, noun).partition(" ")
    return shown, what + more


def _page(ended: Ended, build: Build, at: datetime, most: int, shown: Shown) -> Iterator[str]:
    seen = ended.seen or Overview()
    name = f"Keyturn {build.action}"
    limits = list(dict.fromkeys(key.limits for key in seen.keys))
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">"
        f"<title>{shown(name)}: {'failed' if ended.code else 'done'}</title>"
        f"<style>{_style()}{''.join(map(_gradient, range(len(limits)), limits))}</style></head><body><main>"
    )
    tone, mark = ("bad", "✖") if ended.code else ("good", "✔")
    yield f'<h1>{shown(name)}</h1><p class="said {tone}">{mark} {shown(ended.last)}</p>'
    yield f'<p class="soft">{at:%Y-%m-%d %H:%M} UTC, {_linked(build, shown)}</p><dl>'
    yield from (f"<div><dt>{shown(what)}</dt><dd>{number}</dd></div>" for number, what in figures(ended))
    yield "</dl>"
    yield from _section("What needs a person", map(shown, ended.failures), most or 50)
    if seen.keys:
        yield from _keys(seen.keys, limits, most, shown)
    if seen.stores:
        yield from _stores(seen.stores, most, shown)
    yield from _section("What this run changed", map(shown, ended.changes), most or 50)
    yield from _section("Not looked at", map(shown, seen.unseen), most or 50)
    yield "</main><footer>Made by Keyturn; it holds no secret.</footer></body></html>\n"


def _keys(keys: Sequence[KeyLife], limits: Sequence[tuple[int, int, int]], most: int, shown: Shown) -> Iterator[str]:
    ordered = sorted(keys, key=lambda key: (not key.overdue, -key.age, key.user))
    yield f'<h2 id="keys">Keys</h2>{"".join(map(_legend, limits))}<ul class="rows">'
    told = ordered[: max(most, 1_000)]
    for key in told:
        bar, at = limits.index(key.limits), min(100.0, 100 * key.age / (key.limits[2] * _BEYOND))
        tone = ' class="bad"' if key.overdue else ""
        yield (
            f"<li><details><summary><span>{shown(key.user)} {shown(key.key)}</span><span>{count(key.age, 'day')}</span>"
            f'<u class="p{bar}"><i style="left:{at:.0f}%"></i></u>'
            f"<span{tone}>{shown(key.next)}</span></summary>"
        )
        yield f"<p>{shown(key.state)}; in {count(len(key.holders), 'target')}</p>"
        yield from _list(map(shown, key.holders), most)
        yield "</details></li>"
    yield f"</ul>{_more(len(ordered) - len(told))}"


def _stores(stores: Sequence[Store], most: int, shown: Shown) -> Iterator[str]:
    ordered = sorted(stores, key=lambda store: not (store.note or any(each.remarkable for each in store.held)))
    yield '<h2 id="held">Secrets in targets</h2><ul class="rows of">'
    told = ordered[: max(most, 1_000)]
    for store in told:
        odd = [each for each in store.held if each.remarkable]
        said = "; ".join(filter(None, (store.note, f"{len(odd)} not as the source has them" if odd else "")))
        tone = ' class="bad"' if said else ""
        yield (
            f"<li><details><summary><span>{shown(store.label)}</span>"
            f"<span{tone}>{len(store.held)} held{shown(f'; {said}' if said else '')}</span></summary>"
        )
        rows = [*odd, *(each for each in store.held if not each.remarkable)][: max(most, 5 if odd else 0)]
        if rows:
            heads = "".join(f'<th scope="col">{each}' for each in ("name", "secret", "version", "since", "state"))
            yield f'<div class="t" tabindex="0"><table><tr>{heads}</tr>'
            yield from (_row(each, shown) for each in rows)
            yield "</table></div>"
        yield f"{_more(len(store.held) - len(rows))}</details></li>"
    yield f"</ul>{_more(len(ordered) - len(told))}"


def _row(held: Held, shown: Shown) -> str:
    cells = (held.name, held.secret, held.version or "?", f"{held.since or '?'}", held.state)
    return f"<tr{' class=bad' if held.remarkable else ''}>{''.join(f'<td>{shown(cell)}' for cell in cells)}</tr>"


def _section(title: str, items: Iterable[str], most: int) -> Iterator[str]:
    texts = list(items)
    if texts:
        yield f"<section><h2>{title}</h2>"
        yield from _list(texts, most)
        yield "</section>"


def _list(items: Iterable[str], most: int) -> Iterator[str]:
    """Yield a list of HTML, and how many more there are."""
    texts = list(items)
    if texts[:most]:
        yield f"<ul><li>{'<li>'.join(texts[:most])}</ul>"
    yield _more(len(texts) - most)


def _more(count: int) -> str:
    return f'<p class="soft">and {count:,} more; the report as JSON has all</p>' if count > 0 else ""


def _linked(build: Build, shown: Shown) -> str:
    name = shown(build.name)
    return f'<a href="{escape(build.link)}">{name}</a>' if build.link else name


@cache
def _style() -> str:
    """Return the page's style without its comment."""
    return (Path(__file__).parent / "page.css").read_text("utf-8").partition("*/\n")[2]


def _gradient(number: int, limits: tuple[int, int, int]) -> str:
    """Return the colours of a bar that runs from 0 to a key's end and beyond."""
    end = limits[2] * _BEYOND
    at = [f"{100 * days / end:.1f}%" for days in limits]
    parts = f"var(--live) {at[0]},var(--grace) {at[0]} {at[1]},var(--off) {at[1]} {at[2]},var(--late) {at[2]}"
    return f".p{number}{{background:linear-gradient(90deg,{parts})}}"


def _legend(limits: tuple[int, int, int]) -> str:
    parts = (
        ("live", f"in use, replaced at {count(limits[0], 'day')}"),
        ("grace", f"replaced, inactive at {limits[1]}"),
        ("off", f"inactive, deleted at {limits[2]}"),
        ("late", "overdue"),
    )
    colours = "".join(f'<span><b style="background:var(--{name})"></b>{text}</span>' for name, text in parts)
    return f'<p class="key">{colours}<span>| today</span></p>'
