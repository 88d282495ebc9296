"""Fakes of every port, faithful to the adapters they stand for: one contract suite runs on both."""

from tests.fakes.failing import Answer, down, flaky
from tests.fakes.guards import OpenGuard, ScriptedGuard
from tests.fakes.limits import InMemoryCounterStore, LimitRules, NoLimits
from tests.fakes.provider import Ending, ScriptedProvider, ScriptedSubmitter, provider_error
from tests.fakes.recordings import (
    CountingAnnouncementLimits,
    CountingQuota,
    InMemoryJobStore,
    InMemoryRecordingFiles,
    InMemoryRecordingQueue,
    InMemoryRecordingStore,
    ScriptedSource,
    WholeDownload,
)
from tests.fakes.sms import InMemoryMessageStore, InMemoryOrderStore, StoredOrder
from tests.fakes.status import FixedQueueReader, InMemoryDeadlineReader, InMemoryProviderLimitReader
from tests.fakes.stores import InMemoryCallbackArchive, InMemoryOutbox, InMemoryProviderLimitStore
from tests.fakes.time import START, CountingIds, FixedClock
from tests.fakes.verifications import (
    FixedCodeKeys,
    InMemoryChannelStore,
    InMemoryFallbackQueue,
    InMemoryVerificationStore,
)
from tests.fakes.voice_calls import InMemoryVoiceCallStore

__all__ = [
    "START",
    "Answer",
    "CountingAnnouncementLimits",
    "CountingIds",
    "CountingQuota",
    "Ending",
    "FixedClock",
    "FixedCodeKeys",
    "FixedQueueReader",
    "InMemoryCallbackArchive",
    "InMemoryChannelStore",
    "InMemoryCounterStore",
    "InMemoryDeadlineReader",
    "InMemoryFallbackQueue",
    "InMemoryJobStore",
    "InMemoryMessageStore",
    "InMemoryOrderStore",
    "InMemoryOutbox",
    "InMemoryProviderLimitReader",
    "InMemoryProviderLimitStore",
    "InMemoryRecordingFiles",
    "InMemoryRecordingQueue",
    "InMemoryRecordingStore",
    "InMemoryVerificationStore",
    "InMemoryVoiceCallStore",
    "LimitRules",
    "NoLimits",
    "OpenGuard",
    "ScriptedGuard",
    "ScriptedProvider",
    "ScriptedSource",
    "ScriptedSubmitter",
    "StoredOrder",
    "WholeDownload",
    "down",
    "flaky",
    "provider_error",
]
