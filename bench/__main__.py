"""Measures a run: what it takes to start, what it asks, how long it lasts, how large the image is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import fleet, pull, replicate
from bench.beside import ALL, FIRST, UNCHANGED, table
from bench.beside import ROUNDS as BESIDE_ROUNDS
from bench.image import weigh
from bench.side_by_side import SECONDS, TARGETS, Span, side_by_side
from sandbox.world import Company, World

ROUNDS = 5
# How often a start is measured, and the libraries that each kind of run uses until its first request.
STARTS = 7
LIBRARIES = {
    "rotate": ("bitbucket_pipes_toolkit", "boto3"),
    "pull": ("bitbucket_pipes_toolkit", "hvac"),
}
ROOT = Path(__file__).resolve().parent.parent
IMAGE = os.environ.get("KEYTURN_IMAGE", "keyturn:latest")


class Figures(NamedTuple):
    """What one process took."""

    wall: float
    cpu: float
    memory: float
    output: str


class Run(NamedTuple):
    """What one run of the pipe took and asked."""

    figures: Figures
    aws: int
    bitbucket: int


def measure(*arguments: str, environ: dict[str, str] | None = None) -> Figures:
    """Run Python once and return what the whole process took."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environ or {}, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{output}")
    return Figures(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, output)


def start_up() -> None:
    """Print what it takes until the first request, beside what it takes to import the libraries that it uses."""
    folder = ["--volume", f"{ROOT / 'bench'}:/bench:ro", "--entrypoint", "/opt/keyturn/bin/python"]
    in_image = ["docker", "run", "--rm", "--network", "none", *folder, IMAGE, "-I", "-B"]
    in_image += ["-X", "pycache_prefix=/opt/keyturn/compiled", "/bench/first_request.py"]
    here = [sys.executable, str(ROOT / "bench" / "first_request.py")]
    command = in_image if weigh(IMAGE) else here

    def cpu(*arguments: str) -> float:
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([*command, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        return float(json.loads(run.stdout.splitlines()[-1])["cpu"])

    where = "in the image" if command is in_image else "here, without the image"
    print(f"CPU until the first request, {where}, beside an import of the same libraries (medians of {STARTS})")
    for which, libraries in LIBRARIES.items():
        took = [(cpu(which), cpu("libraries", *libraries)) for _ in range(STARTS)]
        run, bare = (median(each) for each in zip(*took, strict=True))
        print(f"  {which:<12} {run:.3f} s, {run / bare:.2f} times the {bare:.3f} s of {', '.join(libraries)}")


def pipe(world: World, company: Company) -> Run:
    """Run the pipe once and count its requests."""
    world.aws.wire.forget()
    world.bitbucket.wire.forget()
    figures = measure("-m", "pipe", environ=world.variables(company))
    return Run(figures, len(world.aws.wire.journal), len(world.bitbucket.wire.journal))


def runs() -> None:
    """Print what whole runs take, in a sandbox whose AWS knows new keys at once and whose lists do not lag."""
    print(f"Whole runs, two targets (medians of {ROUNDS})")
    found: dict[str, list[Run]] = {"nothing due": [], "rotation": [], "deactivation": [], "deletion": []}
    with World(lag=0) as world:
        for _ in range(ROUNDS):
            company = world.seed(key_age_days=30)
            found["nothing due"].append(pipe(world, company))
            company = world.seed(key_age_days=95)
            world.aws.refusals = 0
            for label, days in (("rotation", 0), ("deactivation", 10), ("deletion", 10)):
                world.clock.move(days=days)
                found[label].append(pipe(world, company))
    idle = median(run.figures.wall for run in found["nothing due"])
    for label, each in found.items():
        wall, cpu = median(run.figures.wall for run in each), median(run.figures.cpu for run in each)
        aws, bitbucket = median(run.aws for run in each), median(run.bitbucket for run in each)
        print(
            f"  {label:<12} {wall:.2f} s ({wall / idle:.1f} times nothing due), {cpu:.2f} s of CPU; "
            f"{aws:.0f} requests to AWS, {bitbucket:.0f} to Bitbucket"
        )


def many_targets() -> None:
    """Print how much longer many targets take than the requests that cannot be parallel."""
    rounds = [side_by_side(lambda environ: measure("-m", "pipe", environ=environ)) for _ in range(ROUNDS)]
    print(f"{TARGETS} targets at {1000 * SECONDS:.0f} ms a request, from the first request on (medians of {ROUNDS})")
    for label in rounds[0]:
        found: list[Span] = [each[label] for each in rounds]
        wall, chain = median(span.wall for span in found), median(span.chain for span in found)
        ratio = median(span.ratio for span in found)
        print(f"  {label:<13} {wall:.2f} s, {ratio:.2f} times the longest chain of {chain:.0f} requests")


def wall(*arguments: str, environ: dict[str, str]) -> float:
    """Run Python once and return the process's wall seconds."""
    return measure(*arguments, environ=environ).wall


def many_secrets() -> None:
    """Print what pulls take beside a bare floor of the same requests."""
    lines = pull.pulls(wall)
    print(
        "Pulls into one target, as whole processes, beside a floor: the same requests, and nothing decided\n"
        f"({UNCHANGED} and {ALL} below {pull.LARGE:,} secrets: medians of {BESIDE_ROUNDS}; "
        "serial: one after the other)"
    )
    for line in (*table(lines), *pull.goals(lines)):
        print(line)


def many_replicas() -> None:
    """Print what replications take beside a bare floor of the same requests."""
    lines = replicate.replications(wall)
    print(
        "Replications into Secrets Manager, as whole processes, beside a floor as the pulls'\n"
        f"({FIRST} and {UNCHANGED} of {replicate.GOAL} secrets: medians of {BESIDE_ROUNDS})"
    )
    for line in (*table(lines), *replicate.goals(lines)):
        print(line)


def many_repositories() -> None:
    """Print what a fleet takes."""
    print(
        f"A fleet of 1,000 repositories, 1,646 targets and ten credentials, {1000 * fleet.SECONDS:.0f} ms a request "
        "(one run each)"
    )
    for line in fleet.fleets(lambda environ: measure("-m", "pipe", environ=environ)):
        print(line, flush=True)


def size() -> None:
    """Print how large the image is."""
    weight = weigh(IMAGE) if shutil.which("docker") else None
    if weight is None:
        print(f"Image: {IMAGE} is not there; `make image` builds it")
        return
    base, above, compressed = (each / 1e6 for each in weight)
    own = sum(path.stat().st_size for path in (ROOT / "pipe").rglob("*.py")) / 1e6
    print(
        f"Image: {above:.1f} MB on top of its base of {base:.0f} MB, {compressed:.1f} MB compressed; "
        f"Keyturn's own source is {own:.2f} MB"
    )


if __name__ == "__main__":
    start_up()
    runs()
    many_targets()
    many_secrets()
    many_replicas()
    many_repositories()
    size()
