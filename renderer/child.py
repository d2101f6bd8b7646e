"""Functions that are called in a process of their own: what crashes, hangs or eats memory there costs one call.

A `Child` is started afresh, never forked, and kept for many calls. It sends calls down the child's standard input and reads
answers from its standard output; arrays travel as they lie in memory. The child ends when its input does, hence with its parent,
however that ends.
"""

import os
import pickle
import resource
import struct
import subprocess
import sys
import threading
import time
import warnings

BURIAL_SECONDS = 5  # a child that broke the pipe is ending; a core dump may take a moment
LENGTH = struct.Struct("<Q")  # a message is a number of parts, then each part's length and bytes: a pickle, and its buffers
KERNEL_PAGES, KERNEL_STATUS = "/proc/self/statm", "/proc/self/status"  # Linux


class ChildCrashed(RuntimeError):
    """The child died over a call; the next one gets a new child."""


class ChildTimeout(RuntimeError):
    """The child was ended because a call took too long; the next one gets a new child."""


class Child:
    """A handle on the child. Thread-safe, one call at a time; `close` ends the child, and so does the end of this process.

    Args:
      task: what it does, a word for messages and for who lists processes.
      seconds: that a call may take by the clock; none for ever.
      memory: bytes that a call may ask for beyond what the started child has (Linux); more raises MemoryError. None for no bound.
    """

    def __init__(self, task, seconds=None, memory=None):
        self.task, self.seconds, self.memory = task, seconds, memory
        self.lock, self.process, self.spent = threading.Lock(), None, threading.local()
        self.peak_mb = 0.0  # of the child's memory, as of its last answer

    @property
    def cpu_seconds(self):
        """That the child has spent on this thread's calls so far."""
        return getattr(self.spent, "seconds", 0.0)

    def close(self):
        with self.lock:
            if self.process:
                self.process.stdin.close()
                self.process.stdout.close()
                self.process.wait()
                self.process = None

    def ask(self, function, *arguments):
        """What a module's function returns when the child calls it; raises what it raises, ChildCrashed or ChildTimeout."""
        with self.lock:
            if self.process is None:
                environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p or os.getcwd() for p in sys.path))
                command = [sys.executable, "-m", "renderer.child", self.task, *([str(self.memory)] if self.memory else [])]
                self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            late = threading.Event()

            def give_up(process=self.process):
                late.set()
                process.kill()

            timer = threading.Timer(self.seconds or 0, give_up)
            if self.seconds:
                timer.start()
            try:
                _send(self.process.stdin, (function, arguments))
                value, error, seconds, self.peak_mb = _receive(self.process.stdout)
            except (EOFError, BrokenPipeError) as broken:
                code = self._bury()
                if late.is_set():
                    raise ChildTimeout(f"{self.task.capitalize()} took longer than {self.seconds:g} seconds.") from broken
                raise ChildCrashed(f"The {self.task} process died with exit status {code}.") from broken
            finally:
                timer.cancel()
        self.spent.seconds = self.cpu_seconds + seconds
        if error is not None:
            raise error
        return value

    def _bury(self):
        """Exit status of a child that has broken the pipe."""
        process, self.process = self.process, None
        try:
            return process.wait(BURIAL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()
            try:
                process.stdin.close()
            except BrokenPipeError:  # what was still to be sent
                pass


def peak_mb():
    """The most memory that this process has held so far, MB.

    As the kernel's status tells it where it does: resource usage begins with what the parent held.
    """
    if not os.path.exists(KERNEL_STATUS):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with open(KERNEL_STATUS) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


def _send(stream, message):
    buffers = []
    data = pickle.dumps(message, 5, buffer_callback=buffers.append)
    parts = [data, *(buffer.raw() for buffer in buffers)]
    stream.write(LENGTH.pack(len(parts)))
    for part in parts:
        stream.write(LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def _read(stream, length):
    data = bytearray(length)
    if stream.readinto(data) < length:
        raise EOFError("the other side has ended")
    return data


def _receive(stream):
    (count,) = LENGTH.unpack(_read(stream, LENGTH.size))
    data, *buffers = (_read(stream, *LENGTH.unpack(_read(stream, LENGTH.size))) for _ in range(count))
    return pickle.loads(data, buffers=buffers)


def _portable(error):
    """The error itself where it survives a pickle, else one that says the same: GL's own carry pointers."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _bound(memory):
    """Lets this process ask for so many bytes more than it has."""
    with open(KERNEL_PAGES) as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory, held + memory))


def serve(memory=None):
    """The child's life: answer until the input ends. Whatever libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    warnings.simplefilter("ignore")  # libraries warn of each odd file; what becomes of it is told by the answer
    while True:
        try:
            function, arguments = _receive(requests)
        except EOFError:
            return
        if memory and os.path.exists(KERNEL_PAGES):
            _bound(memory)  # after the first call's modules are loaded, which are not the call's
            memory = None
        start = time.process_time()
        try:
            answer = function(*arguments), None
        except Exception as error:  # raised again in the parent, which knows what it means
            answer = None, _portable(error)
        _send(answers, (*answer, time.process_time() - start, peak_mb()))


if __name__ == "__main__":
    # As `__main__` this module's classes would be other than the parent's: serve from the imported one.
    from renderer import child

    child.serve(*map(int, sys.argv[2:]))
