"""Secret values of all kinds, and the ways in which a server, a library or a shell may repeat one."""

from __future__ import annotations

import base64
import html
import json
import quopri
import random
import re
import shlex
import string
import unicodedata
from collections.abc import Callable
from textwrap import wrap
from urllib.parse import quote, quote_plus

# What Keyturn says itself, or what has a meaning in JSON.
OWN = ("null", "true", "false", "0", "1", "{", "}", '"', "done", "plan", "failed", "write", "Staging", "schema", "code",
       "exit_code", "INFO", "WARNING", "secret", "keys", "password", "2026", "2026-11-29", "acme/shop", "DB_PASSWORD",
       "done\nfailed\nplan", "variables", "version 2", "Nothing to do", "✔", "✖ ", "build 17")  # fmt: skip

_KINDS: tuple[str, ...] = (
    string.ascii_letters + string.digits + "+/",
    string.ascii_letters + string.digits + "-_",
    "".join(map(chr, range(33, 127))),
    "".join(map(chr, range(32, 127))) + "\n",
    string.ascii_lowercase + "äöüéñßçøå",
    "".join(map(chr, range(1, 256))),
    "日本語秘密鍵値漢字仮名交文" + string.digits,
    string.hexdigits.lower(),
)


def values(count: int, seed: int) -> list[str]:
    """Return so many values of 4 to 200 characters, of which nobody could guess any."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        length = chance.choice((4, 6, 7, 8, 9, 12, 20, 40, 64, 200)) if number % 3 else chance.randint(4, 200)
        value = ""
        while len("".join(value.split())) < 4:
            value = "".join(chance.choice(_KINDS[number % len(_KINDS)]) for _ in range(length))
        made.append(value)
    pem = "\n".join(wrap(base64.b64encode(chance.randbytes(140)).decode(), 64))
    return [*made, f"-----BEGIN KEY-----\n{pem}\n-----END KEY-----\n", f"  {chance.randbytes(9).hex()} \r\n"]


def is_strong(value: str) -> bool:
    """Tell whether nobody would hit upon a value, or upon eight characters of it, by chance."""
    return len("".join(value.split())) >= 8 and len(set(value)) >= 5


def _b64(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()


def _each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(char)) for char in text)


def _bytes(form: str, between: str = "") -> Callable[[str], str]:
    return lambda text: between.join(form.format(byte) for byte in text.encode())


def _go(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _chunks(size: int, between: str) -> Callable[[str], str]:
    return lambda text: between.join(text[at : at + size] for at in range(0, len(text), size))


def _lower_escapes(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": quote,
    "url with slashes": lambda text: quote(text, safe=""),
    "url in lower case": _lower_escapes,
    "url of every byte": _bytes("%{:02x}"),
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "json": json.dumps,
    "json in utf-8": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps({"body": text})),
    "json with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "json of go": _go,
    "json with every character": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "javascript": _each("\\u{{{:x}}}"),
    "repr": repr,
    "repr of a list": lambda text: repr([text]),
    "repr of bytes": lambda text: repr(text.encode()),
    "hexadecimal escapes": _bytes("\\x{:02x}"),
    "octal escapes": _bytes("\\{:03o}"),
    "html": html.escape,
    "html text": lambda text: html.escape(text, quote=False),
    "html twice": lambda text: html.escape(html.escape(text)),
    "html decimal": _each("&#{};"),
    "html hexadecimal": _each("&#x{:X};"),
    "html in json": lambda text: json.dumps(html.escape(text)),
    "base64": _b64,
    "base64 without its end": lambda text: _b64(text).rstrip("="),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in a url": lambda text: quote(_b64(text), safe=""),
    "base64 of a log-in": lambda text: "Basic " + _b64(f"someone@example.com:{text}"),
    "base64 behind one": lambda text: _b64(f"x{text}"),
    "base64 behind two": lambda text: _b64(f"xy{text}z"),
    "base64 of json": lambda text: _b64(json.dumps({"AccessKeyId": "AKIA", "SecretAccessKey": text})),
    "base64 twice": lambda text: _b64(_b64(text)),
    "base64 in lines": lambda text: "\n".join(wrap(_b64(text), 76)),
    "base64 in short lines": lambda text: "\r\n".join(wrap(_b64(text), 10)),
    "base64 of utf-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 behind a word": lambda text: f"token{_b64(text)}",
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper(),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "hexadecimal as numbers": _bytes("0x{:02x}", ", "),
    "decimal numbers": lambda text: str(list(text.encode())),
    "quoted printable": lambda text: quopri.encodestring(text.encode(), quotetabs=True).decode(),
    "read as latin-1": lambda text: text.encode().decode("latin-1"),
    "composed otherwise": lambda text: unicodedata.normalize("NFD", text),
    "full width": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
    "in capitals": str.upper,
    "in small letters": str.lower,
    "trimmed": str.strip,
    "without blanks": lambda text: "".join(text.split()),
    "folded": _chunks(10, "\n"),
    "folded and indented": _chunks(17, "\r\n    "),
    "folded by escapes": _chunks(12, "\\n"),
    "folded as html": _chunks(9, "<br/>"),
    "folded by a shell": _chunks(12, "\\\n"),
    "with blanks": _chunks(5, " "),
    "letter by letter": "; ".join,
    "a list of letters": lambda text: json.dumps(list(text)),
    "with marks": lambda text: f"{text[:6]}<em>{text[6:]}</em>",
    "with soft hyphens": _chunks(3, "\u00ad"),
    "with zero-width blanks": _chunks(4, "\u200b"),
    "with NULs": _chunks(2, "\0"),
    "coloured": lambda text: f"\033[31m{text[:4]}\033[1m{text[4:]}\033[0m",
    "csv": lambda text: '"' + text.replace('"', '""') + '"',
    "a word of a shell": shlex.quote,
    "an html attribute": lambda text: f"<a title='{html.escape(text)}'>",
}


def _cut(text: str) -> str:
    """Return enough of a value's beginning to be a leak."""
    size = next(size for size in range(8, len(text) + 1) if len("".join(text[:size].split())) >= 8)
    return text[: max(size, len(text) // 2)]


def _end(text: str) -> str:
    return _cut(text[::-1])[::-1]


def _middle(text: str) -> str:
    folded = "".join(text.split())
    return folded[len(folded) // 2 - 4 : len(folded) // 2 + 4]


# Parts of a value that are a leak, too.
CUTS: dict[str, Callable[[str], str]] = {
    "the beginning": lambda text: f"{_cut(text)}…",
    "the end": lambda text: f"…{_end(text)}",
    "eight of the middle": _middle,
    "the beginning in json": lambda text: json.dumps(_cut(text)),
    "the end in base64": lambda text: _b64(_end(text)),
    "the beginning in a url": lambda text: quote(_cut(text), safe=""),
    "base64 that is cut": lambda text: _b64(text)[: len(_b64(_cut(text)))],
}


def forms(value: str) -> dict[str, str]:
    """Return a value in every way that gives it away."""
    ways = ENCODINGS | (CUTS if is_strong(value) else {})
    if max(value) > "\xff":
        del ways["base64 of utf-16"]
    return {name: way(value) for name, way in ways.items()}
