"""Reads a source, or restores a snapshot, in a process of its own; prints how it ended and what it took, as JSON."""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path

from vectordb.folder import FolderLibrary
from vectordb.library import BadSnapshot
from vectordb.readers import BadSource, isolated, source_of


def main(what: str, path: Path) -> None:
    start, count, status = time.monotonic(), 0, "read"
    try:
        if what == "restore":
            FolderLibrary(path.parent / "home").restore(path)
        else:
            for rows in source_of([path]).read():
                count += len(rows.texts)
    except (BadSource, BadSnapshot) as exc:
        status = f"refused: {exc}"
    except BaseException as exc:  # whatever ends a command is the finding
        status = f"{type(exc).__name__}: {exc}"
    took = time.monotonic() - start
    isolated.end()  # a process is counted when it has ended
    own = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024
    sys.stdout.write(json.dumps({"status": status[:300], "rows": count, "seconds": round(took, 2), "mib": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
