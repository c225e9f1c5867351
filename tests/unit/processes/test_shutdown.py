"""What can only be seen from outside: processes that end when they should."""

import os
import subprocess
import sys
import time

from aftersend.errors import EXIT_CRASHED
from tests.patience import PATIENCE

WATCHED = """
import signal, sys, time
from aftersend.processes.shutdown import end_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit(17))
end_with_parent()
print("up", flush=True)
time.sleep(60)
"""
HANGS = """
import threading, time
from aftersend.processes.shutdown import Deadline
with Deadline(0.2) as deadline:
    deadline.start()
    time.sleep(60)
"""
HANGS_AT_ITS_END = """
import threading, time
from aftersend.processes.shutdown import Deadline
threading.Thread(target=time.sleep, args=(60,)).start()
Deadline(0.2, exit_code=9).start()
"""
IN_TIME = """
import time
from aftersend.processes.shutdown import Deadline
with Deadline(1.0) as deadline:
    deadline.start()
time.sleep(1.3)
"""


def run(script: str) -> int:
    return subprocess.run([sys.executable, "-c", script], timeout=PATIENCE, check=False, capture_output=True).returncode


def test_a_process_ends_with_its_parent() -> None:
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", WATCHED], stdin=read, stdout=subprocess.PIPE)
    os.close(read)
    with process:
        assert process.stdout is not None
        assert b"up\n" == process.stdout.readline()
        time.sleep(0.2)
        assert process.poll() is None

        os.close(write)

        assert 17 == process.wait(PATIENCE)


def test_an_end_that_takes_too_long() -> None:
    assert EXIT_CRASHED == run(HANGS)


def test_an_end_that_hangs_in_pythons_own_clean_up() -> None:
    assert 9 == run(HANGS_AT_ITS_END)


def test_an_end_in_time() -> None:
    assert 0 == run(IN_TIME)
