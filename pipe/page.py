"""The page of a run: one file of HTML without scripts, and without anything that it would have to fetch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from html import escape

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

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1d2125;--soft:#4a5568;--line:#c4cbd4;--card:#f4f6f8;
--live:#2c7a57;--grace:#b8860b;--off:#76808c;--late:#c0392b;--bad:#a32015;--good:#1c6645}
@media(prefers-color-scheme:dark){:root{--bg:#16191d;--fg:#e6e9ec;--soft:#aab4bf;--line:#414a54;--card:#20252b;
--live:#4db388;--grace:#d9a93a;--off:#8a95a1;--late:#f0705e;--bad:#ff9c8f;--good:#7fd6ae}}
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1.5rem 1rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.15rem;margin:0 0 .25rem;color:var(--soft);font-weight:600}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}.said{font-size:1.35rem;line-height:1.35}.bad{color:var(--bad)}.good{color:var(--good)}
.soft,footer{color:var(--soft)}footer{margin-top:2rem;font-size:.9rem}a{color:inherit}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.25rem 0}
dl div{background:var(--card);border-radius:.5rem;padding:.6rem .9rem;display:flex;flex-direction:column-reverse;
justify-content:flex-end}
dt{color:var(--soft);font-size:.9rem}dd{margin:0;font-size:1.7rem;font-weight:600}
ul{margin:.25rem 0;padding-left:1.25rem}ul.rows{list-style:none;padding:0}
.rows>li{border-top:1px solid var(--line);padding:.4rem 0}summary{cursor:pointer}
.rows summary{display:grid;grid-template-columns:1rem minmax(0,2fr) 5.2rem clamp(6rem,13vw,13rem) minmax(0,3fr);
gap:.1rem .75rem;align-items:center}
.rows.of summary{grid-template-columns:1rem minmax(0,1fr) minmax(0,1fr)}
.rows summary::before{content:"+";color:var(--soft)}.rows [open]>summary::before{content:"-"}
.rows summary::marker{content:none}.rows details>:not(summary){margin-left:1.75rem}
u{display:block;position:relative;height:.7rem;border-radius:.35rem;text-decoration:none}
u i{position:absolute;top:-.25rem;height:1.2rem;width:3px;margin-left:-1px;background:var(--fg);
box-shadow:0 0 0 1px var(--bg)}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.9rem;color:var(--soft)}
.key b{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.4rem}
div.t{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}th{color:var(--soft)}
th,td{text-align:left;padding:.15rem 1.2rem .15rem 0;vertical-align:top;white-space:nowrap}
td:last-child{white-space:normal;min-width:14rem}
@media(max-width:44rem){.rows summary{grid-template-columns:1rem minmax(0,1fr) auto}
.rows summary u,.rows summary span:last-child{grid-column:2/-1}.rows.of summary{grid-template-columns:1rem 1fr}
.rows.of summary span:last-child{grid-column:2}}
@media print{body{max-width:none;padding:0;font-size:11px}u,.key b,dl div{print-color-adjust:exact}
.rows>li{break-inside:avoid}details::details-content{content-visibility:visible;height:auto}}
"""


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
        age = (str(oldest.age) if oldest else "-", "days: the oldest active key")
        return [age, (f"{seen.overdue:,}", "overdue"), changed, (f"{seen.targets:,}", "targets")]
    held = [each for store in seen.stores for each in store.held]
    odd = f"{sum(each.remarkable for each in held):,}"
    return [
        (f"{len(held):,}", "secrets held"),
        (odd, "not as the source"),
        changed,
        (f"{len(seen.stores):,}", "targets"),
    ]


def _page(ended: Ended, build: Build, at: datetime, most: int, shown: Shown) -> Iterator[str]:
    seen = ended.seen or Overview()
    name = f"Keyturn {build.action}"
    limits = list(dict.fromkeys(key.limits for key in seen.keys))
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">"
        f"<title>{shown(name)}: {'failed' if ended.code else 'done'}</title>"
        f"<style>{_STYLE}{''.join(map(_gradient, range(len(limits)), limits))}</style></head><body><main>"
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
    state = held.by_hand or held.source or "untouched since it was written"
    cells = (held.name, held.secret, held.version or "?", f"{held.since or '?'}", state)
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


def _gradient(number: int, limits: tuple[int, int, int]) -> str:
    """Return the colours of a bar that runs from 0 to a key's end and beyond."""
    end = limits[2] * _BEYOND
    at = [f"{100 * days / end:.1f}%" for days in limits]
    parts = f"var(--live) {at[0]},var(--grace) {at[0]} {at[1]},var(--off) {at[1]} {at[2]},var(--late) {at[2]}"
    return f".p{number}{{background:linear-gradient(90deg,{parts})}}"


def _legend(limits: tuple[int, int, int]) -> str:
    parts = (
        ("live", f"in use, replaced at {limits[0]} days"),
        ("grace", f"replaced, inactive at {limits[1]}"),
        ("off", f"inactive, deleted at {limits[2]}"),
        ("late", "overdue"),
    )
    colours = "".join(f'<span><b style="background:var(--{name})"></b>{text}</span>' for name, text in parts)
    return f'<p class="key">{colours}<span>| today</span></p>'
