"""What somebody could read a text as: each escape and encoding undone, one inside of the other, too."""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

# So many encodings inside of each other are undone, and so many readings of one text are looked at.
DEEPEST = 4
MOST = 200

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPE = r"(?s)\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))"
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}
_QUOTED = r"=\r?\n|=([0-9A-Fa-f]{2})"
_NUMBERED = r"&#(?:[xX]([0-9a-fA-F]{1,6})|([0-9]{1,7}));"
_TAG = r"<[^<>]{1,200}>"
_DOUBLED = re.compile(r"'\\''|'\"'\"'|([\"'`])\1")
_SPACED = re.compile(r".(\W{1,4}?)(?:.\1){2,}.", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{6,}")
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{11,}")
_HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[\s:,;-]{0,2}(?:0x|\\x)?[0-9A-Fa-f]{2}){3,}")
_DIGITS = re.compile(r"\d{1,3}(?:[\s,;]{1,2}\d{1,3}){3,}")
_NO_DIGIT = re.compile(r"0x|\\x|[^0-9A-Fa-f]")
_NO_TEXT = re.compile(r"[\x01-\x08\x0e-\x1f\x7f-\x9f\ufffd]")


def decodings(text: str) -> Iterator[str]:
    """Yield the text, and whatever it can be read as, each once; the most obvious come first."""
    text = _COLOUR.sub("", text)
    seen = {text}
    level = [text]
    yield text
    for _ in range(DEEPEST):
        found = [new for each in level for undo in _WAYS for new in undo(each)]
        level = []
        for new in found:
            if new in seen or len(seen) >= MOST:
                continue
            seen.add(new)
            yield new
            if _is_text(new):
                level.append(new)


def _url(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text)
        yield unquote(text, encoding="latin-1")
    if "+" in text:
        yield text.replace("+", " ")


def _escaped(text: str) -> Iterator[str]:
    """Undo what JSON, Python and their like do to a string; JSON writes what is beyond 16 bits as two halves."""
    if "\\" not in text:
        return
    plain = re.sub(_ESCAPE, _character, text)
    yield plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    yield from _bytes(plain)


def _character(found: re.Match[str]) -> str:
    code = next(filter(None, found.groups()[:4]), "")
    if code:
        return _char(code, 16)
    return chr(int(found[5], 8)) if found[5] else _CONTROLS.get(found[6], found[6])


def _char(code: str, base: int) -> str:
    return chr(min(int(code, base), 0x10FFFF))


def _bytes(text: str) -> Iterator[str]:
    """Undo reading UTF-8 byte by byte."""
    if text.isascii():
        return
    for encoding in ("latin-1", "cp1252"):
        yield text.encode(encoding, "replace").decode(errors="replace")


def _marked(text: str) -> Iterator[str]:
    if "&" in text:
        # By HTML's own rules some numbers are other characters than their own, or none.
        yield html.unescape(re.sub(_NUMBERED, lambda found: _char(found[1] or found[2], 16 if found[1] else 10), text))
    if "<" in text:
        yield re.sub(_TAG, "", text)


def _quoted(text: str) -> Iterator[str]:
    if "=" in text and (plain := re.sub(_QUOTED, lambda found: f"%{found[1]}" if found[1] else "", text)) != text:
        yield unquote(plain)


def _respaced(text: str) -> Iterator[str]:
    """Undo doubled quotation marks, and what stands between each two letters."""
    if _DOUBLED.search(text):
        yield _DOUBLED.sub(lambda found: found[1] or "'", text)
    if _SPACED.search(text):
        yield _SPACED.sub(lambda found: found[0].replace(found[1], ""), text)


def _digital(text: str) -> Iterator[str]:
    """Undo base64, wherever in a longer text the part stands; hexadecimal; and lists of numbers."""
    # Folded into lines of any length, it is one run without the blanks; but then words before it belong to the run.
    plain = text.replace("-", "+").replace("_", "/")
    runs = dict.fromkeys((*_LONG_BASE64.findall(plain), *_BASE64.findall("".join(plain.split()))))
    for start in range(4):
        yield from _sorted(_from_base64(run[start:]) for run in runs)
    runs = dict.fromkeys(_NO_DIGIT.sub("", found[0]) for found in _HEX.finditer(text))
    for start in range(2):
        yield from _sorted(bytes.fromhex(run[start : len(run) - (len(run) - start) % 2]) for run in runs)
    lists = (re.findall(r"\d+", found[0]) for found in _DIGITS.finditer(text))
    yield from _sorted(bytes(int(each) & 255 for each in numbers) for numbers in lists)


def _from_base64(run: str) -> bytes:
    whole = run[: len(run) - (len(run) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


def _sorted(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield what looks like text, and what does not, such as words and names that were no base64 at all."""
    found: tuple[list[str], list[str]] = ([], [])
    for piece in pieces:
        in_two_bytes = piece.count(0) * 3 > len(piece)
        text = piece.decode("utf-16-le" if in_two_bytes else "utf-8", errors="replace")
        found[_is_text(text)].append(text)
    yield from ("\n".join(texts) for texts in found if texts)


def _is_text(text: str) -> bool:
    return len(_NO_TEXT.findall(text)) * 4 <= len(text)


_WAYS: tuple[Callable[[str], Iterator[str]], ...] = (
    _url, _escaped, _marked, _bytes, _quoted, _respaced, _digital,
)  # fmt: skip
