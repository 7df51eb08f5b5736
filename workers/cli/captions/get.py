"""``captions get``: fetch a published caption set and import it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from workers.cli.captions.build import import_, put_in_use
from workers.cli.captions.manifest_json import manifest_json
from workers.cli.connection import home_settings, stack_settings
from workers.cli.console import console, messages
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.captions.datasets import Dataset, Fetched


def get(
    name: Annotated[str | None, typer.Argument(help="Caption set; without it, the sets are listed.")] = None,
    catalogue_: Annotated[
        Path | None, typer.Option("--list", metavar="FILE", help="A list of your own, in the form of datasets.toml.")
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Tag new images with it once it is imported.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Number of local processes that encode.")] = 1,
    queue: Annotated[bool, typer.Option("--queue", help="Encode on the workers of the queue ingestion.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded files after the import.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the list, or the manifest, as JSON.")] = False,
) -> None:
    """Download a published caption set and import it; without a name, list the sets.

    To resume an interrupted download or import, run the same command again. Checksums are recorded at the first
    download and compared at every later one.
    """
    from workers.captions.datasets import CATALOGUE, NoDataset, catalogue  # noqa: PLC0415 -- keeps the command quick

    path = catalogue_ or CATALOGUE
    listed = catalogue(path)
    if name is None:
        _print_list(list(listed.values()), json=json)
        return
    if name not in listed:
        raise NoDataset(f"there is no caption set {name!r} in {path}; choose one of: {', '.join(listed)}")
    if queue:
        stack_settings()  # before gigabytes are downloaded
    dataset = listed[name]
    settings = home_settings()
    folder = settings.home / "datasets" / name
    if _there_already(settings, dataset, folder, use=use, json=json):
        return
    size = f"{dataset.bytes / 1e9:.1f} GB" if dataset.bytes else "a size the source tells at the download"
    messages.print(
        f"Downloading {escape(dataset.title)}: {size}, licence: {escape(dataset.licence)}.\nSource: {dataset.source}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    fetched = _fetched(dataset, folder)
    import_(
        [str(file) for file in fetched.files], name=name, format_=dataset.format, column=dataset.column,
        delimiter=None, encoding=None, version=fetched.version, extract=False, vectors=True,
        workers=workers, queue=queue, resume=True, use=use, json=json,
    )  # fmt: skip
    if not keep:
        from workers.captions.datasets.dataset_files import remove_files  # noqa: PLC0415 -- as above

        remove_files(fetched)


def _there_already(settings: Settings, dataset: Dataset, folder: Path, *, use: bool, json: bool) -> bool:
    """Whether the set is imported; then nothing is downloaded again."""
    from workers.captions.datasets.dataset_files import known_version  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    version = known_version(folder)
    if version is None:
        return False
    wiring = Wiring(settings)
    made = wiring.library.find(wiring.space.id, f"{dataset.name}@{version}")
    if made is None:
        return False
    messages.print(f"{escape(made.captions_version)} is imported already, with {made.count:,} captions.")
    if use:
        put_in_use(wiring, made)
    if json:
        console.out(msgspec.json.encode({"manifest": manifest_json(made)}).decode(), highlight=False)
    return True


def _fetched(dataset: Dataset, folder: Path) -> Fetched:
    from workers.captions.datasets import fetch  # noqa: PLC0415 -- keeps the command line quick

    try:
        with _bar() as progress:
            task = progress.add_task(dataset.name, total=dataset.bytes)

            def on_file(done: int, total: int | None) -> None:
                progress.update(task, completed=done, total=total or dataset.bytes)

            return fetch(dataset, folder, on_file)
    except KeyboardInterrupt:
        messages.print("Interrupted. To resume, run the same command again.")
        raise typer.Exit(130) from None


def _print_list(listed: Sequence[Dataset], *, json: bool) -> None:
    if json:
        console.out(msgspec.json.encode({"datasets": listed}).decode(), highlight=False)
        return
    for one in listed:
        size = f"{one.bytes / 1e9:.1f} GB" if one.bytes else ""
        facts = [f"{one.captions:,} captions" if one.captions else "", size, one.licence]
        console.print(f"[bold]{one.name}[/]  {escape(one.title)}", highlight=False)
        console.print(f"    {escape(', '.join(fact for fact in facts if fact))}", highlight=False)
        console.print(f"    [dim]{one.source}[/]", highlight=False, soft_wrap=True)
    messages.print("To download and import one: wildtag captions get NAME --use", highlight=False)


@contextmanager
def _bar() -> Iterator[Progress]:
    with Progress(
        TextColumn("downloading {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(), console=messages, transient=True,
    ) as progress:  # fmt: skip
        yield progress


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(get)
