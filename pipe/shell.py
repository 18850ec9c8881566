"""The shell: environment in, action, text and exit code out. Nothing but it and `__main__` prints or exits."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pipe import __version__
from pipe.access.notify import read_notice, send
from pipe.apply import Action, Seen, overview_of
from pipe.audit import kept_in
from pipe.clients.insights import CodeInsights
from pipe.errors import KeyturnError, Refused, Unexpected
from pipe.jobs.registry import OFFLINE, WITHOUT_PAGE, Settings, read_settings
from pipe.notice import insight, notice
from pipe.output import CleanStream, Output, write_file
from pipe.overview import Overview
from pipe.page import page
from pipe.plan import AnyStep, Do, Failure, Outcome, Plan, Step
from pipe.redact import clean, clean_json, clean_lines, one_line
from pipe.report import GREEN, RED, Ended, LineFormatter, Runs, Style, parts_text, plan_table
from pipe.retry import Deadline
from pipe.settings.reader import Reader, learn_secrets
from pipe.settings.variables import ACTIONS
from pipe.values import Build, count

log = logging.getLogger("keyturn")

# Seconds that Code Insights may take, and of the usual time for an answer so much: the run's end waits for it.
INSIGHTS_BUDGET, INSIGHTS_PACE = 10.0, 0.2


def main(
    environ: Mapping[str, str] | None = None,
    deadline: Deadline | None = None,
    read: Callable[[Mapping[str, str]], Settings] = read_settings,
) -> int:
    """Run the action that the environment asks for and return the exit code: 0, 1 or 2."""
    environ = os.environ if environ is None else environ
    deadline = deadline or Deadline()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: deadline.stop())
    learn_secrets(environ)
    screen = _Screen(environ)
    action = environ.get("ACTION", "").strip().lower()
    action = action if action in ACTIONS else "run"
    try:
        ended = _run(read(environ), deadline, screen)
    except KeyturnError as error:
        ended = _failed(action, error, screen)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        ended = _failed(action, Unexpected(error), screen)
    told_to_stop = deadline.stopping and deadline.left > 0
    build = Build(
        action, *(environ.get(f"BITBUCKET_{name}", "").strip() for name in ("REPO_FULL_NAME", "BUILD_NUMBER"))
    )
    _follow_up(environ, build, ended, at_once=told_to_stop)
    screen.end(ended)
    return ended.code


class _Screen:
    """What people see of a run."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._out = Output(sys.stdout)
        self.style = _style(environ, self._out)
        # Whatever a library or Python itself prints is looked at, too.
        self._others = [CleanStream(self._out), CleanStream(Output(sys.stderr))]
        sys.stdout, sys.stderr = self._others
        _set_up_log(self._out, self.style, debug=environ.get("DEBUG", "").strip().lower() == "true")

    def say(self, text: str) -> None:
        """Print a text that is clean."""
        self._out.write(f"{text}\n")

    def end(self, ended: Ended) -> None:
        """Print the last line, and whatever was left unfinished before it."""
        for each in self._others:
            each.close()
        mark, colour = ("✖", RED) if ended.code else ("✔", GREEN)
        self.say(self.style.paint(f"{mark} {one_line(ended.last, 1000)}", colour))


def _set_up_log(out: Output, style: Style, *, debug: bool) -> None:
    """Let Keyturn's own log speak, and no library's: theirs print requests and answers whole."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter(style))
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
    root = logging.getLogger()
    root.handlers[:] = [logging.NullHandler()]
    root.setLevel(logging.CRITICAL)


def _style(environ: Mapping[str, str], out: Output) -> Style:
    """Return how to print: in colours on a terminal and in Pipelines, unless NO_COLOR says otherwise."""
    in_pipelines = environ.get("CI") == "true" and bool(environ.get("BITBUCKET_BUILD_NUMBER"))
    colour = not environ.get("NO_COLOR") and (out.isatty() or in_pipelines or bool(environ.get("FORCE_COLOR")))
    width = shutil.get_terminal_size((120, 24)).columns
    return Style(max(60, min(width, 200)), colour)


def _run(settings: Settings, deadline: Deadline, screen: _Screen) -> Ended:
    """Do what the settings ask for, and show it; return how it ended."""
    if settings.action not in OFFLINE:
        for doubt in settings.doubts:
            log.warning("%s", doubt)
        log.info("Keyturn %s, %s, %s.", __version__, settings.action, settings.run.build)
    with kept_in(settings.trail):
        started = settings.job.start(settings.run, deadline)
        ended = started.run() if isinstance(started, Runs) else _perform(started, settings, screen)
    if ended.parts:
        screen.say(parts_text(ended.parts, screen.style))
    for warning in ended.warnings:
        log.warning("%s", warning)
    return ended._replace(requests=settings.trail.requests)


def _perform(action: Action[Seen, AnyStep], settings: Settings, screen: _Screen) -> Ended:
    """Observe, plan and carry out, and close the action whatever happens; return how it ended."""
    begun = False
    try:
        seen = action.observe()
        plan = action.plan(seen)
        screen.say(plan_table(plan, screen.style, whole=settings.run.dry_run))
        for step in plan.steps:
            if step.warn:
                log.warning("%s: %s.", step.on, step.reason)
        only_shown = settings.run.dry_run or bool(plan.busy)
        begun = not only_shown
        outcome = action.carry_out(seen, plan) if begun else Outcome(failures=plan.failures, unmet=plan.unmet)
        last = action.summary(seen, plan, None if only_shown else outcome)
        now = overview_of(action, seen, plan, None if only_shown else outcome)
        return Ended(
            outcome.exit_code, last, report=outcome.as_json(plan, last), changed=outcome.touched,
            changes=outcome.changes, seen=now,
        )  # fmt: skip
    except KeyturnError:
        raise
    except Exception as error:
        raise Unexpected(error, changed=begun) from error
    finally:
        action.close()


def _failed(action: str, error: KeyturnError, screen: _Screen) -> Ended:
    """Return the end of a run that failed; unless the error says otherwise, nothing was changed."""
    if error.details:
        screen.say(clean_lines(error.details))
    problems = [(error.what, error.check)]
    last = f"Failed; keys, secrets and targets are as they were: {error}"
    if isinstance(error, Refused):
        for problem in error.problems:
            screen.say(screen.style.paint("✖ ", RED) + clean(str(problem)))
        problems = [(problem.sentence, problem.advice) for problem in error.problems]
        last = f"Refused, nothing was touched: {count(error.count, 'problem')}, see above."
    elif error.changed:
        last = f"Partly done: {error}"
    step = Step(Do.RUN, action, "")
    outcome = Outcome(failures=tuple(Failure(step, what, check) for what, check in problems), changed=error.changed)
    seen = None if action in WITHOUT_PAGE else Overview()
    report = outcome.as_json(Plan(()), last)
    return Ended(outcome.exit_code, last, report=report, changed=outcome.changed, seen=seen)


def _follow_up(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool) -> None:
    """Write and send all that is wanted; `at_once` repeats no request. What cannot be done is said, and no more."""
    folder = environ.get("REPORT_DIR", "").strip()
    if folder:
        _try("The report could not be written to REPORT_DIR", lambda: _write(folder, build, ended))
    if build.action in OFFLINE:
        return
    _try("Code Insights could not be written", lambda: _show(environ, build, ended, at_once=at_once))
    _try("The notice could not be sent", lambda: _notify(environ, build, ended, at_once=at_once))


def _try(otherwise: str, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        advice = " Let the image's user write there, or give its run --user."
        log.warning("%s: %s.%s", otherwise, why, advice if isinstance(error, PermissionError) else "")
    except KeyturnError as error:
        log.warning("%s: %s", otherwise, error)
    except Exception as error:  # noqa: BLE001 - the run has ended; its exit code is what became of it
        log.warning("%s: %s", otherwise, Unexpected(error).what)


def _write(folder: str, build: Build, ended: Ended) -> None:
    name = f"{build.action}-{ended.part}" if ended.part else build.action
    write_file(folder, f"keyturn-{name}.json", clean_json(ended.report) + "\n")
    if ended.seen is not None:
        write_file(folder, "keyturn.html", page(ended, build, datetime.now(UTC)))


def _show(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool) -> None:
    commit, api = (environ.get(f"BITBUCKET_{name}", "").strip() for name in ("COMMIT", "API_URL"))
    if not (build.link and commit):
        return
    report, annotations = insight(ended, build)
    reports = CodeInsights(
        build.repository, commit, api, Deadline(0.0 if at_once else INSIGHTS_BUDGET, pace=INSIGHTS_PACE)
    )
    reports.write(f"keyturn-{build.action}", report, annotations)


def _notify(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool) -> None:
    if not any(environ.get(name, "").strip() for name in ("SNS_TOPIC_ARN", "NOTIFY_URL", "NOTIFY_URL_FROM")):
        return
    settings = read_notice(Reader(environ))
    if ended.is_worth(settings.when):
        send(settings, notice(ended, build), at_once=at_once)
