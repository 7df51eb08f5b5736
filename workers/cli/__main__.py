"""``python -m workers.cli``: how the supervisor starts wildtag's processes."""

from workers.cli.main import app

app()
