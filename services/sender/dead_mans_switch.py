"""Ends a process that was stopped, before it can go on.

A worker may be stopped (SIGSTOP, a frozen machine) between committing an attempt and writing its request. Others then
take its batch and, after a while, settle that attempt as never sent. If the worker woke up and went on, it would send
what is settled. No check in the program closes that gap, since the stop may come right after the check. The kernel's
alarm does: it keeps running while the process is stopped, and a pending SIGALRM ends the process before its next
instruction (signal(7); setitimer(2), ITIMER_REAL counts real time). The process is then started anew by whatever
supervises it. An event loop that hangs for as long ends the same way.
"""

import asyncio
import os
import signal

from libs.common.runtime.worker import Worker


async def run(worker: Worker) -> None:
    """Push the alarm out again and again; it goes off `lease` seconds after this stops stirring.

    Raise RuntimeError in a process that the alarm would not end: the first of a container, which the kernel spares
    every signal that it does not handle (pid_namespaces(7)).
    """
    if os.getpid() == 1:
        raise RuntimeError("a sender must not be process 1: run the container with an init (`docker run --init`)")
    lease = worker.settings.lease
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        while True:
            signal.setitimer(signal.ITIMER_REAL, lease)
            await asyncio.sleep(min(1.0, lease / 8))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
