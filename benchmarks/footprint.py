"""What our processes cost when nobody asks: start, memory, and how busy they are when idle."""

import asyncio
import time

from benchmarks import machine
from benchmarks.comparison import Row, Sample
from benchmarks.subject import Subject
from cluster.members import DATABASE_SERVICES, DOORS, SERVICES
from native.programs import MARKER

IDLE_SECONDS = 10.0
PROGRAMS = (*(f"{service}-{kind}" for service in DATABASE_SERVICES for kind in ("api", "worker")), *DOORS)


def footprint_rows(subject: Subject) -> list[Row]:
    """Measure what has no reference."""

    def ours() -> list[int]:
        mark = str(subject.cluster.layout.var)
        return [
            process
            for process in machine.processes_with(MARKER, mark)
            if machine.runs_module(process, SERVICES)
        ]

    async def start() -> Sample:
        for program in PROGRAMS:
            await asyncio.to_thread(subject.cluster.stop, program)
        began = time.monotonic()
        for program in PROGRAMS:
            await asyncio.to_thread(subject.cluster.start, program)
        await subject.cluster.until_ready(*PROGRAMS)
        return Sample(time.monotonic() - began)

    async def memory() -> Sample:
        return Sample(machine.proportional_set_mib(ours()))

    async def idle() -> Sample:
        found = ours()
        before = machine.processor_seconds(found)
        await asyncio.sleep(IDLE_SECONDS)
        return Sample((machine.processor_seconds(found) - before) * 100 / IDLE_SECONDS)

    return [
        Row("memory of all our processes after the load (PSS)", "MiB", memory, None, 600, at_most=True),
        Row("our processes idle, part of one core", "%", idle, None, 10, at_most=True),
        Row("start of all our processes until ready", "s", start, None, 8, at_most=True),
    ]
