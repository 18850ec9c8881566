"""The shell: environment in, action, text and exit code out. Nothing else reads, prints or exits."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipe import __version__
from pipe.access.notice import read_notice_alone
from pipe.errors import KeyturnError, Refused, Unexpected
from pipe.jobs.registry import OFFLINE, Settings, read_settings
from pipe.notice import Build, Ended, notice
from pipe.plan import Action, AnyStep, Do, Failure, Outcome, Plan, Seen, Step
from pipe.redact import CleanStream, clean, one_line
from pipe.report import GREEN, RED, LineFormatter, Looks, Style, plan_table, view_text
from pipe.retry import Patience
from pipe.settings.reader import learn_secrets
from pipe.settings.variables import ACTIONS

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
    action = environ.get("ACTION", "").strip().lower()
    action = action if action in ACTIONS else "run"
    try:
        ended = _run(read_settings(environ), patience, style)
    except Refused as refused:
        _tell(refused)
        for problem in refused.problems:
            _say(style.paint("✖ ", RED) + str(problem))
        count = len(refused.problems)
        last = f"Refused, nothing was touched: {count} problem{'' if count == 1 else 's'}, see above."
        ended = _cut_short(action, 1, last, [(problem.sentence, problem.advice) for problem in refused.problems])
    except KeyturnError as error:
        ended = _failed(action, error)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        ended = _failed(action, Unexpected(error))
    _write_report(environ.get("REPORT_DIR", "").strip(), action, ended.report)
    _notify(environ, action, ended, patience)
    last = one_line(ended.last, 1000)
    _say(style.paint(f"✔ {last}", GREEN) if ended.code == 0 else style.paint(f"✖ {last}", RED))
    out.close()
    err.close()
    return ended.code


def _tell(error: KeyturnError) -> None:
    """Print what an error has to say besides its one line."""
    if error.details:
        _say(error.details)


def _failed(action: str, error: KeyturnError) -> Ended:
    """Return the end of a run that failed; unless the error says otherwise, nothing was changed."""
    _tell(error)
    state = "Partly done" if error.changed else "Failed; keys, secrets and targets are as they were"
    return _cut_short(action, 2 if error.changed else 1, f"{state}: {error}", [(error.what, error.check)])


def _cut_short(action: str, code: int, last: str, problems: Iterable[tuple[str, str]]) -> Ended:
    """Return the end of a run that came to no plan, or lost it; the problems are what happened and what to check."""
    step = Step(Do.RUN, action, "")
    outcome = Outcome(failures=tuple(Failure(step, what, check) for what, check in problems), changed=code == 2)
    return Ended(code, last, outcome.as_json(Plan(()), last), outcome.changed)


def _notify(environ: Mapping[str, str], action: str, ended: Ended, patience: Patience) -> None:
    """Send a notice where one is wanted; that it cannot be sent is said, and changes nothing else."""
    if action in OFFLINE or not environ.get("SNS_TOPIC_ARN", "").strip():
        return
    told_to_stop = patience.stopping and patience.left > 0
    try:
        settings = read_notice_alone(environ)
        if not settings.topic or not ended.is_worth(settings.when):
            return
        from pipe.access.notify import send  # noqa: PLC0415 - a run without a notice does not pay for AWS's library

        text = notice(ended, Build(action, settings.repository, settings.build))
        send(settings, text, at_once=told_to_stop)
    except KeyturnError as error:
        log.warning("The notice could not be sent: %s", error)
    except Exception as error:  # noqa: BLE001 - the run has ended; its exit code is what became of it
        log.warning("The notice could not be sent: %s", Unexpected(error).what)


def _run(settings: Settings, patience: Patience, style: Style) -> Ended:
    """Do what the settings ask for; return how it ended."""
    if settings.action not in OFFLINE:
        for doubt in settings.doubts:
            log.warning("%s", doubt)
        log.info("Keyturn %s, %s, %s.", __version__, settings.action, settings.run.build)
    started = settings.job.start(settings.run, patience)
    return _show(started, style) if isinstance(started, Looks) else _perform(started, settings, style)


def _show(action: Looks, style: Style) -> Ended:
    """Show what an action that changes nothing has seen; return how it ended."""
    view = action.look()
    _say(view_text(view, style))
    for warning in view.warnings:
        log.warning("%s", warning)
    return Ended(view.exit_code, view.sentence, view.report)


def _perform(action: Action[Seen, AnyStep], settings: Settings, style: Style) -> Ended:
    """Observe, plan and carry out, and close the action whatever happens; return how it ended."""
    begun = False
    try:
        seen = action.observe()
        plan = action.plan(seen)
        _say(plan_table(plan, style, whole=settings.run.dry_run))
        for step in plan.steps:
            if step.warn:
                log.warning("%s: %s.", step.on, step.reason)
        only_shown = settings.run.dry_run or bool(plan.busy)
        begun = not only_shown
        outcome = action.carry_out(seen, plan) if begun else Outcome(failures=plan.failures, unmet=plan.unmet)
        last = action.summary(seen, plan, None if only_shown else outcome)
        return Ended(outcome.exit_code, last, outcome.as_json(plan, last), outcome.touched)
    except KeyturnError:
        raise
    except Exception as error:
        raise Unexpected(error, changed=begun) from error
    finally:
        action.close()


def _write_report(folder: str, action: str, report: Mapping[str, Any]) -> None:
    """Write the report where one is wanted; that it cannot be written changes nothing else."""
    if not folder:
        return
    path = Path(folder, f"keyturn-{action}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(clean(json.dumps(report, indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    except OSError as error:
        advice = (
            " Let the image's user write there, or give its run --user." if isinstance(error, PermissionError) else ""
        )
        log.warning("The report could not be written to REPORT_DIR: %s.%s", error.strerror, advice)


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
