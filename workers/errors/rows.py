"""The table itself: the full name of an error's class → what follows, and the service that is away.

Names, so that nothing heavy is imported. A class without a row has that of the nearest class above it;
``tests/unit/errors`` demands a row of its own for each class of wildtag, so that whoever adds one decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NAMED_BY_ERROR = "?"
"""The error has the name of the service, in ``service``. Without one it concerns this call only."""

MODEL = "model"
"""The models of this worker: they cannot be loaded, crash, or fail for every object."""

_IN_TURN: tuple[tuple[str, str | None, str], ...] = (
    # a service is away, or set up so that it serves nothing: all work waits
    ("wait", NAMED_BY_ERROR, """
        vectordb.errors.Transient workers.outages.tracker.Away workers.redis.connection.StoreUnavailable
        workers.redis.rpc.RpcTransient workers.lifecycle.inbox_room.InboxFull
    """),
    ("wait", "store", """
        workers.stores.store.StoreAway workers.stores.store.StoreRefuses workers.stores.store.BucketMissing
        workers.stores.lookup.NotAsked workers.stores.s3_errors.BucketForbidden
    """),
    ("wait", "captions", """
        vectordb.index.IndexLocked vectordb.index.IndexFault vectordb.index.IndexMissing
        vectordb.index.WrongDimension
        vectordb.disk_space.DiskFull vectordb.server_errors.ServerAway vectordb.server_errors.ServerRefused
        vectordb.server_errors.KeyRefused
    """),
    ("wait", "broker", """
        workers.broker.publisher.BrokerUnavailable workers.broker.publisher.BrokerRefused
    """),
    ("wait", "redis", """
        workers.redis.connection.IsACluster workers.redis.connection.NoHashTag workers.redis.layout.OtherLayout
        workers.redis.slot_owner.NotACluster redis.exceptions.ConnectionError redis.exceptions.TimeoutError
        redis.exceptions.NoPermissionError
    """),
    ("wait", MODEL, """
        tasks.confidence.BadConfidenceModel tasks.encoders.requirements.MissingPackage
        tasks.encoders.requirements.ModelNotLoaded tasks.encoders.graphs.exporting.NotExportable
        tasks.encoders.hub.HubUnreachable tasks.encoders.devices.DeviceUnavailable
        workers.stages.self_test.ModelBroken
        onnxruntime.capi.onnxruntime_pybind11_state.NoSuchFile
        onnxruntime.capi.onnxruntime_pybind11_state.NoModel
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf
        onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph
        onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented
        onnxruntime.capi.onnxruntime_pybind11_state.EngineError
        onnxruntime.capi.onnxruntime_pybind11_state.DeviceReset
        onnxruntime.capi.onnxruntime_pybind11_state.EPFail
        onnxruntime.capi.onnxruntime_pybind11_state.ModelLoaded
        onnxruntime.capi.onnxruntime_pybind11_state.ModelLoadCanceled
        onnxruntime.capi.onnxruntime_pybind11_state.ModelRequiresCompilation
    """),
    # errors of libraries that no adapter translated, which would be a bug: no object pays for it
    ("wait", "store", "urllib3.exceptions.HTTPError minio.error.MinioException"),
    ("wait", "captions", "httpx.TransportError grpc.RpcError"),
    ("wait", "broker", "kombu.exceptions.OperationalError amqp.exceptions.ConnectionError"),
    # the same call may succeed later, and says nothing of a whole service
    ("retry", None, """
        ConnectionError TimeoutError sqlite3.OperationalError
        vectordb.library.BuildRunning workers.backup.places.PlaceAway
        workers.captions.datasets.download.Interrupted
        workers.captions.datasets.download.NotConnected workers.captions.encoding_backends.WorkerLost
        workers.client.errors.Postponed workers.client.errors.NotFinished workers.client.errors.Away
        workers.decoding.spawner.NoDecoder workers.dispatch.encoder_switch.NotQuiet
        workers.dispatch.sweeper.SweepRunning workers.events.listen_api.Dropped workers.events.listen_api.Deaf
        workers.images.image_requests.OtherSpace workers.images.query_embedding.QueryImageGone
        workers.monitoring.metrics_folder.FolderBusy workers.redis.rpc.RpcTimeout
        tasks.encoders.devices.DeviceFailed tasks.encoders.devices.DeviceOutOfMemory
    """),
    # what is short may suffice for fewer objects at a time
    ("alone", None, """
        MemoryError
    """),
    ("again", None, """
        workers.captions.versions.CaptionsDropped workers.redis.encoders.EncoderChanged
    """),
    ("drop", None, """
        tasks.messages.UnreadableMessage
    """),
    # the object, the request or what was asked for is at fault: never again
    ("refuse", None, """
        vectordb.errors.Permanent vectordb.errors.WildtagError vectordb.index.UnusableVectors
        vectordb.index.IndexExists tasks.messages.WrongSpace
        tasks.images.errors.BadImage tasks.images.errors.NotAnImage tasks.images.errors.UnsupportedImage
        tasks.images.errors.TruncatedImage tasks.images.errors.DamagedImage tasks.images.errors.EmptyImage
        tasks.images.errors.ImageTooLarge tasks.images.errors.TooComplex tasks.images.errors.TooMuchMemory
        tasks.images.errors.MemoryShort tasks.images.errors.TooSlow tasks.images.errors.DecoderCrashed
        tasks.images.errors.UnexpectedFault workers.stages.slow_images.SlowInBatch
        workers.stores.store.ObjectError workers.stores.store.ObjectGone workers.stores.store.ObjectTooLarge
        workers.stores.store.ObjectUnwanted workers.stores.store.ObjectForbidden
        workers.stores.store.ObjectNameRefused workers.stores.user_metadata.BadMetadata
        workers.stores.s3_errors.BucketRefused
        workers.segmentation.methods.MethodUnavailable
        workers.segmentation.methods.MethodUnknown workers.redis.rpc.RpcPermanent
    """),
    # the same, of requests, commands and start-up: no stage meets them
    ("refuse", None, """
        tasks.calibration.TooFewImages tasks.evaluation.manifest.BadManifest
        tasks.evaluation.methods.UnknownMethod
        tasks.evaluation.observing.TooFewCaptions tasks.evaluation.vocabulary.BadVocabulary
        tasks.thresholds.derived.UnreadableThresholds
        vectordb.archive.BadArchive vectordb.building.NoCaptions vectordb.copying.CopyDiffers
        vectordb.export.UnknownFormat vectordb.journal.OtherSource vectordb.library.UnsafeName
        vectordb.library.VersionExists vectordb.library.VersionActive vectordb.library.BadSnapshot
        vectordb.proxies.UnusableProxy vectordb.readers.choice.ChooseColumn vectordb.readers.rows.BadSource
        vectordb.server_addresses.BadAddress vectordb.server_library.BuildTakenOver
        workers.backup.form.BackupError workers.backup.form.DamagedBackup workers.backup.form.SpoiltBackup

        workers.captions.datasets.download.BadDownload workers.captions.datasets.known_datasets.NoDataset
        workers.captions.teaching.EmptyCaption workers.captions.teaching.NotTaught
        workers.captions.versions.SeveralVersions workers.cli.captions.look.NoFile
        workers.cli.teach.UnreadableExamples
        workers.client.errors.ApiError workers.client.errors.Refused workers.client.errors.StrangeAnswer
        workers.diagnostics.sizing.UnknownEncoder workers.dispatch.batch_room.BatchesFull
        workers.embedded.caption_copying.BadSide workers.embedded.ports.PortInUse
        workers.events.listen_api.Refused
        workers.events.redis_target.WrongFormat workers.gateway.services.NoSuchCaption
        workers.images.finding.NoVector
        workers.images.finding.NothingAsked workers.images.follow_jobs.JobGone
        workers.images.kept_lists.BadCursor
        workers.images.kept_lists.CursorExpired workers.images.label_check.BadLabel
        workers.images.query_image.BadQueryImage workers.images.search_filter.BadTime
        workers.images.statement_journal.BadEntry workers.images.teacher.NotTaggable
        workers.lifecycle.record.DamagedRecord workers.lifecycle.record_view.UnknownFields
        workers.lifecycle.stored_record.Incomplete workers.notifying.posting.BadReceiver
        workers.notifying.receivers.InUse workers.notifying.writeback.TagsUnsupported
        workers.outgoing.address_policy.OutgoingRefused workers.outgoing.http_client.BadCertificates
        workers.redis.maintenance_lock.MaintenanceRunning workers.redis.migration.NoWayBack
        workers.redis.server_program.RedisMissing
        workers.settings.names.BadSetting workers.settings.names.OldName
        workers.settings.secret_files.BadSecretFile
        workers.settings.webhook_receivers.BadReceivers workers.supervision.service.BadService
        workers.supervision.service.StackRunning workers.supervision.service.StartFailed
        workers.telemetry.tracing.TracingMissing
    """),
    # the model works for others, and fails for this object
    ("attempt", None, """
        workers.stages.self_test.InputFailed
    """),
    ("bug", None, """
        Exception workers.redis.rpc.RpcFailed
    """),
)  # fmt: skip

ROWS: Mapping[str, tuple[str, str | None]] = MappingProxyType(
    {name: (consequence, service) for consequence, service, names in _IN_TURN for name in names.split()}
)
