"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell that starts its jobs in the background has them ignore Ctrl-C, `nohup` has them ignore the end of the
# terminal, and so would every program that a test starts and interrupts: the test would wait for ever. Python itself
# ignores the other two.
for _signal in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)
