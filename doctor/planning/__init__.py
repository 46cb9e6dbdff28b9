"""Before the deployment: a model, settings and a machine -> what lies where, whether it fits, and what would.

``doctor.planning.plan.plan`` is the door. The arithmetic of caches, formats and graphs is that of ``doctor.memory``;
here are the rules by which an engine places them, and the search for settings that fit.
"""
