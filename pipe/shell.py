"""The shell: environment in, action, text and exit code out. Nothing else reads, prints or exits."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pipe import __version__
from pipe.audit import kept_in
from pipe.errors import KeyturnError, Refused, Unexpected
from pipe.jobs.registry import OFFLINE, WITHOUT_PAGE, Settings, read_settings
from pipe.output import CleanStream, Output
from pipe.overview import Overview
from pipe.plan import Action, AnyStep, Do, Failure, Outcome, Plan, Seen, Step
from pipe.redact import clean, clean_lines, one_line
from pipe.report import GREEN, RED, Ended, LineFormatter, Runs, Style, parts_text, plan_table
from pipe.reports import follow_up
from pipe.retry import Deadline
from pipe.settings.reader import learn_secrets
from pipe.settings.variables import ACTIONS
from pipe.values import Build

log = logging.getLogger("keyturn")


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
    except Refused as refused:
        screen.tell(refused)
        for problem in refused.problems:
            screen.say(screen.style.paint("✖ ", RED) + clean(str(problem)))
        count = refused.count
        last = f"Refused, nothing was touched: {count} problem{'' if count == 1 else 's'}, see above."
        ended = _cut_short(action, 1, last, [(problem.sentence, problem.advice) for problem in refused.problems])
    except KeyturnError as error:
        ended = _failed(action, error, screen)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        ended = _failed(action, Unexpected(error), screen)
    told_to_stop = deadline.stopping and deadline.left > 0
    follow_up(environ, _build(environ, action), ended, at_once=told_to_stop, offline=action in OFFLINE)
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

    def tell(self, error: KeyturnError) -> None:
        """Print what an error has to say besides its one line."""
        if error.details:
            self.say(clean_lines(error.details))

    def end(self, ended: Ended) -> None:
        """Print the last line, and whatever was left unfinished before it."""
        for each in self._others:
            each.close()
        mark, colour = ("✖", RED) if ended.code else ("✔", GREEN)
        self.say(self.style.paint(f"{mark} {one_line(ended.last, 1000)}", colour))


def _failed(action: str, error: KeyturnError, screen: _Screen) -> Ended:
    """Return the end of a run that failed; unless the error says otherwise, nothing was changed."""
    screen.tell(error)
    state = "Partly done" if error.changed else "Failed; keys, secrets and targets are as they were"
    return _cut_short(action, 2 if error.changed else 1, f"{state}: {error}", [(error.what, error.check)])


def _cut_short(action: str, code: int, last: str, problems: Iterable[tuple[str, str]]) -> Ended:
    """Return the end of a run that came to no plan, or lost it; the problems are what happened and what to check."""
    step = Step(Do.RUN, action, "")
    outcome = Outcome(failures=tuple(Failure(step, what, check) for what, check in problems), changed=code == 2)
    seen = None if action in WITHOUT_PAGE else Overview()
    return Ended(code, last, report=outcome.as_json(Plan(()), last), changed=outcome.changed, seen=seen)


def _build(environ: Mapping[str, str], action: str) -> Build:
    return Build(action, *(environ.get(f"BITBUCKET_{name}", "").strip() for name in ("REPO_FULL_NAME", "BUILD_NUMBER")))


def _run(settings: Settings, deadline: Deadline, screen: _Screen) -> Ended:
    """Do what the settings ask for; return how it ended."""
    if settings.action not in OFFLINE:
        for doubt in settings.doubts:
            log.warning("%s", doubt)
        log.info("Keyturn %s, %s, %s.", __version__, settings.action, settings.run.build)
    with kept_in(settings.trail):
        started = settings.job.start(settings.run, deadline)
        ended = _show(started.run(), screen) if isinstance(started, Runs) else _perform(started, settings, screen)
    return replace(ended, requests=settings.trail.requests)


def _show(ended: Ended, screen: _Screen) -> Ended:
    """Show what an action has seen or done."""
    screen.say(parts_text(ended.parts, screen.style))
    for warning in ended.warnings:
        log.warning("%s", warning)
    return ended


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
        now = _overview(lambda: action.overview(seen, plan, None if only_shown else outcome))
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


def _overview(look: Callable[[], Overview]) -> Overview:
    """Return what people look at; that it cannot be told changes nothing else."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - the run is done; its exit code is what became of it
        log.warning("The page of the run is not whole: %s", Unexpected(error).what)
        return Overview()


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
