"""The shell: environment in, action, text and exit code out. Nothing else reads, prints or exits."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipe import __version__
from pipe.actions.status import KEY_HEAD, TARGET_HEAD, status_of
from pipe.errors import KeyturnError, Refused
from pipe.patience import Patience
from pipe.plan import Action, AnyStep, Outcome, Seen
from pipe.reading import learn_secrets
from pipe.redact import CleanStream, clean, one_line
from pipe.report import GREEN, RED, YELLOW, LineFormatter, Style, plan_table, table
from pipe.settings import Settings, read_settings
from pipe.settings.pull import PullJob

log = logging.getLogger("keyturn")


def main(environ: Mapping[str, str] | None = None, patience: Patience | None = None) -> int:
    """Run the action that the environment asks for and return the exit code: 0, 1 or 2."""
    environ = os.environ if environ is None else environ
    learn_secrets(environ)
    out = sys.stdout = CleanStream(sys.stdout)
    err = sys.stderr = CleanStream(sys.stderr)
    style = _style(environ, out)
    _set_up_log(style, debug=environ.get("DEBUG", "").strip().lower() == "true")
    patience = patience or Patience()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: patience.stop())
    try:
        code, last = _run(read_settings(environ), patience, style)
    except Refused as refused:
        for problem in refused.problems:
            _say(style.paint("✖ ", RED) + problem)
        count = len(refused.problems)
        code, last = 1, f"Refused, nothing was touched: {count} problem{'' if count == 1 else 's'}, see above."
    except KeyturnError as error:
        code, last = 1, f"Failed; keys, secrets and targets are as they were: {error}"
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        log.debug("%s", _where(error))
        code, last = (
            2,
            f"An unexpected {type(error).__name__} ended the run; run again with DEBUG: 'true' and report it.",
        )
    _say(
        style.paint(f"✔ {one_line(last, 1000)}", GREEN) if code == 0 else style.paint(f"✖ {one_line(last, 1000)}", RED)
    )
    out.close()
    err.close()
    return code


def _run(settings: Settings, patience: Patience, style: Style) -> tuple[int, str]:
    """Do what the settings ask for; return the exit code and the last line."""
    log.info("Keyturn %s, %s, %s.", __version__, settings.action, settings.run.build)
    # A service's library takes as long to import as all else together; a run that does not use it does not pay for it.
    if isinstance(settings.job, PullJob):
        from pipe.assemble.pull import pull  # noqa: PLC0415

        return _perform(pull(settings, settings.job, patience), settings, style)
    from pipe.assemble.rotation import rotation  # noqa: PLC0415

    action = rotation(settings, settings.job, patience)
    if settings.action == "rotate":
        return _perform(action, settings, style)
    status = status_of(action.observe(ask_all=True), action.policy)
    _say(table(KEY_HEAD, status.key_rows(), style, [YELLOW if key.blocked else "" for key in status.keys]))
    _say("")
    _say(table(TARGET_HEAD, status.target_rows(), style))
    for problem in status.problems:
        log.warning("%s", problem)
    _write_report(settings, status.as_json())
    return status.exit_code, status.sentence


def _perform(action: Action[Seen, AnyStep], settings: Settings, style: Style) -> tuple[int, str]:
    """Observe, plan and carry out, and close the action whatever happens; return the exit code and the last line."""
    try:
        seen = action.observe()
        plan = action.plan(seen)
        _say(plan_table(plan, style, whole=settings.dry_run))
        for step in plan.steps:
            if step.warn:
                log.warning("%s: %s.", step.on, step.reason)
        only_shown = settings.dry_run or bool(plan.busy)
        outcome = Outcome(failures=plan.failures) if only_shown else action.carry_out(seen, plan)
        last = action.summary(seen, plan, None if only_shown else outcome)
        _write_report(settings, outcome.as_json(plan, last))
        return outcome.exit_code, last
    finally:
        action.close()


def _write_report(settings: Settings, report: Mapping[str, Any]) -> None:
    """Write the report where one is wanted; that it cannot be written changes nothing else."""
    if not settings.report_dir:
        return
    path = Path(settings.report_dir, f"keyturn-{settings.action}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(clean(json.dumps(report, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    except OSError as error:
        log.warning("The report could not be written to REPORT_DIR: %s.", error.strerror)


def _say(text: str) -> None:
    print(text, flush=True)


def _set_up_log(style: Style, *, debug: bool) -> None:
    """Let Keyturn's own log speak, and no library's: theirs print requests and answers whole."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(LineFormatter(style))
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.CRITICAL)


def _style(environ: Mapping[str, str], out: CleanStream) -> Style:
    """Return how to print: in colours on a terminal and in Pipelines, unless NO_COLOR says otherwise."""
    in_pipelines = environ.get("CI") == "true" and bool(environ.get("BITBUCKET_BUILD_NUMBER"))
    colour = not environ.get("NO_COLOR") and (out.isatty() or in_pipelines or bool(environ.get("FORCE_COLOR")))
    width = shutil.get_terminal_size((120, 24)).columns
    return Style(max(60, min(width, 200)), colour)


def _where(error: Exception) -> str:
    """Return where an unexpected error came from: files and lines, and none of its words."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " > ".join(places)
