"""Who logs waits for nobody, and loses nothing while there is room."""

import contextlib
import io
import json
import subprocess
import sys
import threading

import pytest
import structlog

from chassis.log_writer import WHOLE_BYTES, LogWriter
from chassis.telemetry import configure_logging

PATIENCE_SECONDS = 5.0
BEGIN = """
import os, sys, structlog
from chassis.telemetry import configure_logging
configure_logging(service="under-test", level="INFO")
log = structlog.get_logger()
"""


class SlowReader(io.StringIO):
    """Takes nothing until it is told to."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()
        self.reads = threading.Event()

    def write(self, text):
        self.asked.set()
        if not self.reads.wait(PATIENCE_SECONDS):
            raise TimeoutError("nobody reads")
        return super().write(text)


@pytest.fixture
def reader():
    return SlowReader()


def lines_of(program):
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=True, timeout=30
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_line_waits_for_nobody_who_reads(reader, logged):
    with contextlib.redirect_stdout(reader):
        writer = configure_logging(service="under-test", level="INFO")
    for number in range(100):
        structlog.get_logger().info("something_happened", number=number)
    assert reader.asked.wait(PATIENCE_SECONDS)
    assert reader.getvalue() == ""
    reader.reads.set()
    writer.drain()
    assert [json.loads(line)["number"] for line in reader.getvalue().splitlines()] == list(range(100))


def test_lines_above_the_bound_are_dropped_and_their_number_is_told(reader):
    told = []
    writer = LogWriter(reader, tell_dropped=told.append, most=10)
    writer.write("first\n")
    assert reader.asked.wait(PATIENCE_SECONDS)
    for number in range(25):
        writer.write(f"{number}\n")
    reader.reads.set()
    writer.drain()
    assert reader.getvalue().split() == ["first", *map(str, range(10))]
    assert told == [15]
    writer.write("last\n")
    writer.drain()
    assert reader.getvalue().endswith("last\n")
    assert told == [15]


def test_lines_that_nobody_can_take_are_counted(reader):
    told = []
    writer = LogWriter(reader, tell_dropped=told.append)
    reader.reads.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "flush", lambda: (_ for _ in ()).throw(BrokenPipeError))
        writer.write("lost\n")
        writer.drain()
    assert told == []
    writer.write("kept\n")
    writer.drain()
    assert told == [1]


def test_process_that_ends_has_written_every_line_in_order():
    numbers = [line["number"] for line in lines_of("for n in range(5000): log.info('line', number=n)")]
    assert numbers == list(range(5000))


def test_line_of_an_error_that_ends_the_process_is_written():
    assert [line["event"] for line in lines_of("log.error('the end'); sys.exit(0)")] == ["the end"]


def test_forked_process_writes_its_own_lines_and_no_others():
    events = [
        line["event"]
        for line in lines_of(
            """
log.info("before")
child = os.fork()
log.info("in the parent" if child else "in the child")
if child:
    os.waitpid(child, 0)
"""
        )
    ]
    assert sorted(events) == ["before", "in the child", "in the parent"]


@pytest.mark.parametrize("writers", [4])
def test_lines_of_several_threads_stay_whole_and_each_in_its_order(writers):
    stream = io.StringIO()
    writer = LogWriter(stream, tell_dropped=lambda count: None)

    def write(name):
        for number in range(500):
            writer.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.drain()
    lines = [line.split() for line in stream.getvalue().splitlines()]
    for name in range(writers):
        assert [int(number) for who, number in lines if who == str(name)] == list(range(500))


def test_lines_go_out_in_pieces_that_the_system_writes_whole():
    class Pipe(io.StringIO):
        def __init__(self):
            super().__init__()
            self.pieces = []

        def write(self, text):
            self.pieces.append(text)
            return super().write(text)

    pipe = Pipe()
    writer = LogWriter(pipe, tell_dropped=lambda count: None)
    lines = [f"{number} {'é' * 150}\n" for number in range(100)] + ["x" * WHOLE_BYTES + "\n", "last\n"]
    with writer._turn:
        for line in lines:
            writer.write(line)
    writer.drain()
    assert pipe.getvalue() == "".join(lines)
    assert all(piece.endswith("\n") for piece in pipe.pieces)
    long = [piece for piece in pipe.pieces if len(piece.encode()) > WHOLE_BYTES]
    assert long == [lines[-2]]
    assert len(pipe.pieces) < 15
