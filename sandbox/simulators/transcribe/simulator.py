"""Puts the simulator of Amazon Transcribe together: start it, point a client at `url`, script it and read it."""

import time
from types import MappingProxyType
from typing import Final

from sandbox.simulators.account import Log
from sandbox.simulators.clock_and_locks import Clock, StateLock
from sandbox.simulators.simulator import Simulator
from sandbox.simulators.transcribe.account_storage import AwsAccount
from sandbox.simulators.transcribe.config import SimulatorConfig
from sandbox.simulators.transcribe.control import ROUTES
from sandbox.simulators.transcribe.provider import Provider, RequestRecord
from sandbox.simulators.transcribe.results import Words
from sandbox.simulators.transcribe.server import Handler

_NONE_KNOWN: Final[Words] = MappingProxyType({})


class TranscribeSimulator(Simulator[Provider, RequestRecord]):
    """Amazon Transcribe on a local address, from `start` (or entering a `with`) until `stop`."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        aws: AwsAccount,
        known: Words = _NONE_KNOWN,
        clock: Clock = time.time,
        log: Log = lambda _line: None,
        ends_by_hand: bool = False,
    ) -> None:
        """Prepare the simulator.

        Args:
            config: the settings to begin with.
            aws: the account with the audio, the results and the events.
            known: the words of channels by their gains. All other audio gets words by its loudness.
            clock: gives Unix seconds.
            log: gets a line for each request and job, without a word of what was said.
            ends_by_hand: with it no thread ends jobs; `deliver_due` does, in the calling thread.
        """
        lock = StateLock(clock)
        provider = Provider(config, aws=aws, known=known, clock=clock, lock=lock, log=log)
        super().__init__(
            provider,
            lock=lock,
            handler=Handler,
            routes=ROUTES,
            callback_senders=(provider.ends,),
            by_hand=ends_by_hand,
        )
