"""The command line: ``wildtag``. Each module holds commands that belong together."""
