"""Has axe-core look at the page in Chromium, light and dark: python -m test.page [folder for pictures].

Without Chromium it is installed from Debian; axe-core comes out of a package that carries it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from test.page.samples import samples
from test.support import ROOT

WIDTHS = (400, 768, 1200)
SCHEMES = {"dark": 0, "light": 1}
# Repositories in the pages that axe-core looks at: more of them have nothing else in them.
FEW = 20
RUN = """
<script>{axe}</script><script>
document.querySelectorAll("details").forEach(each => {{ each.open = true }});
axe.run(document, {{resultTypes: ["violations"]}}).then(found => {{
  const told = found.violations.map(each => each.id + ": " + each.help + ": " + each.nodes[0].html);
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = "FOUND" + JSON.stringify([found.passes.length, told]) + "END";
}});
</script>
"""


def main(pictures: str = "") -> int:
    """Look at every page and return 1 where anything is wrong with one."""
    browser, problems = chromium(), 0
    with tempfile.TemporaryDirectory() as folder:
        axe = axe_core(Path(folder))
        for name, text in samples(FEW).items():
            for scheme in SCHEMES:
                told = looked(browser, Path(folder), text, axe, scheme)
                print(f"{name}, {scheme}: {'; '.join(told) or 'nothing is wrong'}", flush=True)
                problems += len(told)
        for name, text in samples().items() if pictures else ():
            for width, scheme in ((width, scheme) for width in WIDTHS for scheme in SCHEMES):
                picture(browser, Path(pictures), f"{name}-{width}-{scheme}", text)
    return 1 if problems else 0


def looked(browser: str, folder: Path, text: str, axe: str, scheme: str) -> list[str]:
    """Return what axe-core finds wrong with a page."""
    # The page itself allows no script at all.
    bare = re.sub(r"<meta http-equiv[^>]*>", "", text)
    assert bare != text
    file = folder / "page.html"
    file.write_text(bare.replace("</body>", RUN.format(axe=axe) + "</body>"), encoding="utf-8")
    ended = chrome(browser, scheme, WIDTHS[-1], "--virtual-time-budget=60000", "--dump-dom", file.as_uri())
    found = re.search(r"FOUND(.*?)END", ended)
    assert found, f"axe-core has not come to an end: {ended[-500:]}"
    told: Any = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert told[0] > 10, "axe-core has hardly looked at anything"
    return list(told[1])


def picture(browser: str, folder: Path, name: str, text: str) -> None:
    """Take a picture of what is first seen of a page."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.html"
    file.write_text(text, encoding="utf-8")
    _, width, scheme = name.split("-")
    chrome(browser, scheme, int(width), f"--screenshot={folder / name}.png", file.as_uri())
    file.unlink()


def chrome(browser: str, scheme: str, width: int, *options: str) -> str:
    """Run the browser; return what it prints."""
    given = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},1000")
    scheme_option = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    ended = subprocess.run(
        [browser, *given, scheme_option, *options], capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout


def chromium() -> str:
    """Return where Chromium is; it is installed where there is none."""
    if not shutil.which("chromium"):
        admin = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*admin, "apt-get", "install", "-y", "--no-install-recommends", "chromium"], check=True)
    found = shutil.which("chromium")
    assert found
    return found


def axe_core(folder: Path) -> str:
    """Return axe-core's source."""
    options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder))
    locked = ROOT / "requirements" / "page.txt"
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "-r", str(locked)], check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        source = package.read("axe_playwright_python/axe.min.js").decode()
    # Within a page, that would end the script.
    return source.replace("</script", "<\\/script")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
