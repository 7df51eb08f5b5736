"""Pictures for the README and the documentation, made by the project itself. Each module describes its command."""
