"""Batches, retries and time limits."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from workers.settings.topic import Topic


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
        86_400.0, description="Time after which a transient fault is no longer retried, in seconds."
    )
    images_verify_s: PositiveFloat = Field(
        3600.0,
        description="Time between two comparisons of the index of images with the records, in seconds."
        " What they find is repaired.",
    )
    task_time_limit_s: PositiveInt = Field(300, description="Time after which a running task is killed, in seconds.")
