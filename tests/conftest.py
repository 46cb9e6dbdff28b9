"""What every test may rely on."""

from __future__ import annotations

import signal

# A shell that starts its jobs in the background has them ignore Ctrl-C, and so would every program that a test starts
# and interrupts: it would wait for ever.
for _signal in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)
