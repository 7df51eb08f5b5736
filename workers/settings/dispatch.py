"""Batches, retries and time limits."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from workers.settings.queue_names import QUEUES
from workers.settings.topic import Topic, Words


class DispatchSettings(Topic):
    """Dispatcher, keeper and workers."""

    batch_max: PositiveInt = Field(
        16,
        description="Objects in a batch at most. Images that are tagged again from kept vectors come in batches of"
        " up to four times as many.",
    )
    in_flight_max: PositiveInt = Field(
        256, description="Objects on the queues at the same time. The others wait in the inbox."
    )
    deadline_s: PositiveFloat = Field(
        60.0, description="Time without progress after which an object is sent again, in seconds."
    )
    max_attempts: PositiveInt = Field(4, description="Attempts after which an object becomes a dead letter.")
    give_up_s: PositiveFloat = Field(
        86_400.0,
        description="Time after which a transient fault of an object is no longer retried, in seconds."
        " Outages do not count.",
    )
    images_verify_s: PositiveFloat = Field(
        3600.0,
        description="Time between two comparisons of the index of images with the records, in seconds."
        " What they find is repaired.",
    )
    task_time_limit_s: PositiveInt = Field(300, description="Time after which a running task is killed, in seconds.")
    stage_time_limits: Words = Field(
        (),
        description="Other times after which a running task is killed, in seconds, by queue:"
        " `embedding=120,scoring=60`. The others have that of `WILDTAG_TASK_TIME_LIMIT_S`.",
    )
    worker_memory_mib: PositiveInt | None = Field(
        None,
        description="Memory in MiB above which a process of a worker is replaced after its message; one that takes"
        " half as much again within a message is ended. Default: 60 % of the memory of the machine or container, and"
        " 90 %.",
    )

    @field_validator("stage_time_limits")
    @classmethod
    def _known_stages(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            name, _, seconds = one.partition("=")
            if name not in QUEUES or not seconds.isdigit() or not int(seconds):
                raise ValueError(
                    f"{one!r} is no time limit: write QUEUE=SECONDS, where QUEUE is one of {', '.join(QUEUES)}"
                )
        return given

    @property
    def time_limits(self) -> dict[str, int]:
        """The time limit of each queue in seconds."""
        own = {name: int(seconds) for name, _, seconds in (one.partition("=") for one in self.stage_time_limits)}
        return {name: own.get(name, self.task_time_limit_s) for name in QUEUES}
