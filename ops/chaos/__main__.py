"""``python -m ops.chaos``: break a running system on purpose, and compare everything at the end.

Exit status: 0 if nothing was lost, wrong, stale, duplicated or leaked; 1 otherwise; 2 for wrong options.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ops.chaos.buckets import FOLDER, MOTO, parsed
from ops.chaos.faults import possible
from ops.chaos.pictures import PICTURES, bad_files
from ops.chaos.places import Conditions
from ops.chaos.plan import made
from ops.chaos.run import run
from vectordb.errors import WildtagError


def main(arguments: list[str] | None = None) -> int:
    """Run it. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ops.chaos", description=__doc__)
    parser.add_argument("--objects", type=int, default=200, help="what users do to the bucket (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan (default 1)")
    parser.add_argument("--minutes", type=float, default=2.0, help="duration of acts and faults (default 2)")
    parser.add_argument("--strikes", type=int, help="number of faults (default: three a minute)")
    parser.add_argument("--faults", help="names, separated by commas (default: all that the bucket can have)")
    parser.add_argument(
        "--bucket", default=FOLDER, help="folder, s3 (moto behind a faulty network), or the address of a bucket on a"
        " real S3 server, http://HOST:PORT/BUCKET, which must be new or empty, and is emptied at the end",
    )  # fmt: skip
    parser.add_argument(
        "--index", choices=("embedded", "server"), default="embedded", help="server: a made-up Qdrant"
    )
    parser.add_argument("--disk", type=int, help="give the home a disk in memory of so many MB; only root can")
    parser.add_argument("--prepared", type=Path, help="a home whose captions and caches are copied, to start sooner")
    parser.add_argument("--webhooks-fail", type=float, default=0.2, help="share of deliveries refused (default 0.2)")
    parser.add_argument(
        "--attack", action="store_true", help="somebody with a key of the scope write attacks the API"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    if options.bucket not in {FOLDER, MOTO}:
        try:
            parsed(options.bucket)
        except ValueError as exc:
            parser.error(str(exc))
    able = possible(store=options.bucket != FOLDER, disk=options.disk is not None, server=options.index == "server")
    faults = able if options.faults is None else [name for name in options.faults.split(",") if name]
    unknown = [name for name in faults if name not in able]
    if unknown or options.objects < 1 or options.minutes <= 0:
        parser.error(f"unknown faults {unknown}; there are {', '.join(able)}" if unknown else "numbers above 0")
    seconds = options.minutes * 60
    strikes = options.strikes if options.strikes is not None else round(3 * options.minutes)
    plan = made(options.seed, options.objects, seconds, faults, strikes, PICTURES, len(bad_files()))

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        where = Conditions(
            options.prepared,
            options.bucket,
            options.disk,
            options.webhooks_fail,
            attack=options.attack,
            index=options.index,
        )
        result = run(plan, where, say)
    except WildtagError as exc:
        print(f"ops.chaos: {exc}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=None if options.json else 2))
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
