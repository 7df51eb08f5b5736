"""``python -m workers.cli``: the command line that the supervisor uses to start processes."""

from workers.cli.main import app

app()
