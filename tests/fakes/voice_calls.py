"""Voice calls in a dict, with tokens and results by the provider's ids."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from switchboard.domain.call_results import CallResult
from switchboard.domain.orders import Claim, Deadlines, Outcome
from switchboard.domain.voice_calls import MAX_RESULTS, CallResultFact, VoiceCall, next_due
from switchboard.ports.callbacks import EventPlace
from switchboard.ports.listing import ListingQuery, Page
from switchboard.ports.voice_calls import VoiceCallStore
from tests.fakes.sms import InMemoryOrderStore


class InMemoryVoiceCallStore(InMemoryOrderStore[VoiceCall], VoiceCallStore):
    """A VoiceCallStore in dicts."""

    keeps_unsent_content = True

    def __init__(self, *, deadlines: Deadlines | None = None) -> None:
        times = deadlines or Deadlines()
        super().__init__(next_due=lambda call: next_due(call, deadlines=times), deadlines=times)
        self.tokens: dict[str, str] = {}
        self.results: dict[str, dict[str, datetime]] = {}
        self.newest: dict[str, CallResultFact] = {}
        self.revisions: Counter[str] = Counter()

    def record_outcome(self, order: VoiceCall, claim: Claim, outcome: Outcome, *, queue: bool = False) -> VoiceCall:
        call_id = outcome.facts.get("call_id")
        if call_id is not None:
            self.tokens.setdefault(call_id, order.token)
        return super().record_outcome(order, claim, outcome, queue=queue)

    def record_result(self, result: CallResult, *, seen_at: datetime) -> EventPlace:
        seen = self.results.setdefault(result.call_id, {})
        if result.result not in seen and len(seen) >= MAX_RESULTS:
            newest = self.newest.get(result.call_id)
            if newest is None or newest.first_seen_at < seen_at:
                self.newest[result.call_id] = CallResultFact(result.result, seen_at)
                self.revisions[result.call_id] += 1
            return EventPlace.OVERFLOWED
        if seen_at < seen.get(result.result, seen_at):
            self.revisions[result.call_id] += 1
        seen[result.result] = min(seen_at, seen.get(result.result, seen_at))
        return EventPlace.RECORDED if result.call_id in self.tokens else EventPlace.ORPHAN

    def token_of(self, call_id: str) -> str | None:
        return self.tokens.get(call_id)

    def get(self, order_id: str) -> VoiceCall | None:
        call = super().get(order_id)
        return self._add_reports(call) if call is not None else None

    def find(self, query: ListingQuery, *, client: str) -> Page[VoiceCall]:
        page = super().find(query, client=client)
        return replace(page, items=[self._add_reports(call) for call in page.items])

    def _add_reports(self, call: VoiceCall) -> VoiceCall:
        results = self.results.get(call.call_id or "", {})
        newest = self.newest.get(call.call_id or "")
        facts = [CallResultFact(result, at) for result, at in results.items()] + ([newest] if newest else [])
        reports = tuple(sorted(facts, key=lambda fact: (fact.first_seen_at, fact.result)))
        return replace(call, reports=reports, revisions=self.revisions[call.call_id or ""])
