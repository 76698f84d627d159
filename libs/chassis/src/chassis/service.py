"""A service is declared once: from the declaration come its API, its worker and its command line."""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from chassis.db import Database, UnitOfWork
from chassis.entry import AddCommands, migrations_of, owner_url, run_service
from chassis.erasing import Erasing, Opened
from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.export import ExportContribution, Exporting, handled
from chassis.export_section import Section
from chassis.holdings import Holdings
from chassis.holds import Hold
from chassis.inventory import taking_inventory
from chassis.known_keys import keys_are_right, watch_keys
from chassis.process import Part, Process, run_process
from chassis.server import new_event_loop, serve
from chassis.settings import StatefulSettings
from chassis.work import Periodic, Work
from contracts.envelope import Envelope
from contracts.participation import ErasureReported, ParticipantJoined

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from chassis.auth import FetchKeys
    from chassis.data_map import DataMap
    from chassis.erasure_journal import ErasureJournal, Sweep
    from chassis.handling import Consumer
    from chassis.health import HealthCheck
    from chassis.worker import Worker

S = TypeVar("S", bound=StatefulSettings)


C = TypeVar("C", bound=Opened)


async def check_database(opened: Opened) -> None:
    """Prove that the service's schema answers and takes writes."""
    await opened.database.ping()


@dataclass(frozen=True)
class Service(Generic[S, C]):
    """A service with a schema, an API and a worker; nothing runs before `run`.

    `open` makes the collaborators of a process and closes them. `routers` and `work` import what only an API
    and only a worker needs: the other starts without it, and without its memory. `signing_keys` fetches the
    keys of access tokens, `checks` are what the API needs, `api_loops` what it does beside answering, until
    the last request is answered. `before_replay` may refuse a kept answer, and paths that match
    `unlimited_paths` limit their bodies themselves. `exporting` tells where its section of exports goes.
    """

    name: str
    settings: type[S]
    open: Callable[[S], AbstractAsyncContextManager[C]]
    routers: Callable[[], Sequence["APIRouter"]]
    signing_keys: Callable[[C], "FetchKeys"]
    erasing: Erasing[C]
    exporting: Exporting[C] | None = None
    work: Callable[[C], Work] = lambda _: Work()
    checks: Mapping[str, Callable[[C], Awaitable[str | None]]] = field(
        default_factory=lambda: {"db": check_database}
    )
    api_loops: Mapping[str, Callable[[C], Awaitable[None]]] = field(default_factory=dict)
    before_replay: Callable[[C, bytes], Awaitable[None]] | None = None
    unlimited_paths: Sequence[str] = ()

    def run(
        self,
        *,
        migrate: Callable[[S], None] | None = None,
        add_commands: AddCommands | None = None,
        run_command: Callable[[S, argparse.Namespace], int] | None = None,
    ) -> None:
        """Be the process that the command line names; see `run_service`.

        `migrate` replaces the usual migration of one schema from the service's `migrations/` folder.
        """
        processes = {"api": self._run_api, "worker": self._run_worker, "migrate": migrate or self._migrate}
        run_service(self.name, self.settings, processes, add_commands=add_commands, run_command=run_command)

    def create_api(self, settings: S, is_stopping: Callable[[], bool] = lambda: False) -> "FastAPI":
        """Return the HTTP side, which needs `install` before it can answer."""
        # A migration serves nobody, and a worker shows no map.
        from chassis.api import create_app  # noqa: PLC0415
        from chassis.data_map_routes import data_map_router  # noqa: PLC0415
        from chassis.inventory_routes import router as inventory  # noqa: PLC0415

        def check(name: str) -> "HealthCheck":
            return lambda: self.checks[name](app.state.service)

        app = create_app(
            settings,
            title=f"IrisVue {self.name}",
            routers=[*self.routers(), data_map_router(self.data_map().document()), inventory],
            checks={name: check(name) for name in self.checks},
            unlimited_paths=self.unlimited_paths,
            is_stopping=is_stopping,
        )
        return app

    def install(self, app: "FastAPI", opened: C) -> None:
        """Give the application its collaborators."""
        # A worker verifies no access token and keeps no answer.
        from chassis.auth import AccessTokens, KeySet  # noqa: PLC0415
        from chassis.idempotency import Idempotency  # noqa: PLC0415

        before_replay = None if self.before_replay is None else partial(self.before_replay, opened)
        app.state.service = opened
        app.state.service_tokens = opened.service_tokens
        app.state.take_inventory = taking_inventory(self.name, opened, self.erasing)
        app.state.idempotency = Idempotency(opened.database, before_replay=before_replay)
        app.state.access_tokens = AccessTokens(
            KeySet(self.signing_keys(opened)),
            issuer=opened.settings.access_token_issuer,
            audience=opened.settings.access_token_audience,
        )

    def data_map(self) -> "DataMap":
        """Return what the service holds of people, where, why and for how long."""
        from chassis.data_map import DataMap, usual_places  # noqa: PLC0415 - as above

        places = (*self.erasing.places, *usual_places(self.name))
        return DataMap(self.name, self.erasing.schemas, self.erasing.holdings, places)

    def participation(self, opened: C, journals: "Sequence[ErasureJournal]" = ()) -> ErasureParticipation:
        """Return the service's part in every erasure; the journals are kept before it reports one."""
        ready, tasks = self.erasing.ready, opened.database.tables.erasure_tasks
        return ErasureParticipation(
            opened.database,
            Holdings(opened, self.erasing.holdings),
            reported=ErasureReported.by(self.name),
            ready=None if ready is None else ready(opened, tasks),
            keep=[journal.keep for journal in journals],
            regimes=None if self.erasing.regimes is None else partial(self.erasing.regimes, opened),
            key_providers=self.erasing.key_providers(opened),
            deadline=None if self.erasing.deadline is None else partial(self.erasing.deadline, opened),
        )

    def create_worker(self, opened: C, journals: "Sequence[ErasureJournal]" = ()) -> "Worker":
        """Return the worker: what the service declares, and its part in erasures."""
        # An API speaks with no broker.
        from chassis.consumer import Consumer  # noqa: PLC0415
        from chassis.worker import Worker  # noqa: PLC0415

        settings, own = opened.settings, self.work(opened)
        participation = self.participation(opened, journals)
        again = partial(participation.reconcile, self.erasing.open_erasures(opened))
        reconcile = Periodic("reconcile-erasures", settings.reconcile_seconds, again)

        async def accept(uow: UnitOfWork, envelope: Envelope[Any]) -> None:
            asked = envelope.data
            holds = tuple(Hold.of(it) for it in asked.holds if it.service == self.name)
            known = (asked.erasure_id, asked.user_id, asked.requested_at, asked.deadline)
            await participation.accept(uow, OpenErasure(*known, holds, asked.holds_version))

        return Worker(
            settings=settings,
            database=opened.database,
            work=replace(
                own,
                consumers=[
                    Consumer(f"{self.name}.erase-user", {self.erasing.event: accept}),
                    *self._contributing(opened),
                    *own.consumers,
                ],
                loops={
                    "erasures": participation.run,
                    **{f"journal-of-{journal.schema}": journal.run for journal in journals},
                    **own.loops,
                },
                periodic=[reconcile, *own.periodic],
                checks={**{f"journal_of_{it.schema}": it.tell for it in journals}, **own.checks},
            ),
            announce=ParticipantJoined.by(self.name).of(
                handles=handled(self.name, self.exporting), version=settings.version
            ),
        )

    def section(self, opened: C) -> Section[C]:
        """Return what the service holds of people, as its section of an export."""
        return Section(self.name, opened, self.erasing.holdings, self.erasing.places)

    def _contributing(self, opened: C) -> "list[Consumer]":
        if self.exporting is None:
            return []
        return [ExportContribution(opened, self.section(opened), self.exporting).consumer()]

    def _run_api(self, settings: S) -> None:
        parts, grace = partial(self._api_parts, settings), settings.stop_grace_seconds
        run_process(parts, grace_seconds=grace, loop_factory=new_event_loop)

    def _run_worker(self, settings: S) -> None:
        run_process(partial(self._worker_parts, settings), loop_factory=new_event_loop)

    @asynccontextmanager
    async def _api_parts(self, settings: S, process: Process) -> AsyncIterator[list[Part]]:
        from chassis.fence import NEVER_OPENED, open_after, until_current  # noqa: PLC0415 - a migration serves nobody

        async with self.open(settings) as opened:
            await keys_are_right(opened.database)
            schemas = [opened.database, *(schema for schema, _ in self.erasing.further_schemas(opened))]
            current = partial(until_current, schemas)
            if not await open_after(current, host=settings.host, port=settings.port, process=process):
                yield [NEVER_OPENED]
                return
            app = self.create_api(settings, lambda: process.is_stopping)
            self.install(app, opened)
            server = serve(
                app, host=settings.host, port=settings.port, grace_seconds=settings.stop_grace_seconds
            )
            beside = [
                Part(name, partial(loop, opened), outlasts=True) for name, loop in self.api_loops.items()
            ]
            yield [server.part("http"), _key_check(opened), *beside]

    @asynccontextmanager
    async def _worker_parts(self, settings: S, process: Process) -> AsyncIterator[list[Part]]:
        from chassis.fence import NEVER_OPENED, absorb_all, open_after  # noqa: PLC0415 - a migration serves nobody
        from chassis.journals import open_journals  # noqa: PLC0415 - an API has no way to the store

        async with (
            self.open(settings) as opened,
            open_journals(settings, self.journaled(opened)) as journals,
        ):
            await keys_are_right(opened.database)
            absorbed = partial(absorb_all, journals)
            if not await open_after(absorbed, host=settings.host, port=settings.worker_port, process=process):
                yield [NEVER_OPENED]
                return
            async with self.create_worker(opened, journals).parts(process) as parts:
                yield [*parts, _key_check(opened)]

    def journaled(self, opened: C) -> "Sequence[tuple[Database, Sweep]]":
        """Return every schema that remembers erased people, with what sweeps it after a restore."""
        from chassis.replay import sweep_of  # noqa: PLC0415 - an API replays nothing

        holdings, reopen = Holdings(opened, self.erasing.holdings), self.erasing.reopen
        again = None if reopen is None else partial(reopen, opened)
        holds = None if self.erasing.holds is None else self.erasing.holds(opened)
        sweep = sweep_of(opened.database, holdings, self.participation(opened), again, holds)
        # The service's own schema comes last: what its sweep erases may reach into the others.
        return [*self.erasing.further_schemas(opened), (opened.database, sweep)]

    def _migrate(self, settings: S) -> None:
        from chassis.migrations import upgrade  # noqa: PLC0415 - nothing else needs its library

        upgrade(migrations_of(self.name), owner_url(settings))


def _key_check(opened: Opened) -> Part:
    return Part("keys", partial(watch_keys, opened.database))
