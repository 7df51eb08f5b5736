"""``python -m workers.cli``: the command line that the supervisor uses to start processes."""

from __future__ import annotations


def main() -> None:
    """Run the command line. Ctrl-C while modules are imported ends it without a traceback."""
    try:
        from workers.cli.main import app  # noqa: PLC0415 -- takes long enough to be interrupted

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
