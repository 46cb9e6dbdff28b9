"""What a machine says of itself: tools are run and files read here; what they say is read in ``doctor.facts.hardware``.

Nothing here judges, writes, needs root or loads a GPU context. ``take()`` asks everything side by side and gives back
a ``Probe``: the saved answers, with *absent*, *not permitted* and *timed out* told apart.
"""

from doctor.probe.document import Answer, Probe, Status
from doctor.probe.take import take

__all__ = ["Answer", "Probe", "Status", "take"]
