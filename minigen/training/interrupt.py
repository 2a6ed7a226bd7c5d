"""Ctrl-C at a good moment: the first is noted, so that the step under way can finish; the second stops at once."""
import signal
import sys
import threading


class Interruption:
    """Context manager; ``requested`` tells whether Ctrl-C was pressed inside. Does nothing outside the main thread."""

    def __init__(self):
        self.requested, self._before = False, None

    def __enter__(self):
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) not in (None, signal.SIG_IGN):         # one who ignores it goes on
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt("stopped at once; nothing was saved since the last checkpoint")
        self.requested = True
        print("\nstopping after this step; press Ctrl-C again to stop at once, without saving", file=sys.stderr)

    def __exit__(self, *exception):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
