"""Before a deployment: the same rules, the same document, and no log.

What configuration files declare becomes a run that is yet to be (``planned``): its facts are the declared settings,
variables and limits, the model's header, the machine that it is to run on (``machine``), and the memory that follows
from them (``room``); what launchers add is in ``launchers``. ``judge`` asks every rule that can be decided
without a log. ``check`` is the door.
"""

from doctor.checking.door import Request, check, check_request

__all__ = ["Request", "check", "check_request"]
