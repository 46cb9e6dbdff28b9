"""Starting an engine under a supervisor: for trials, for ``llmdoctor run`` and ``llmdoctor watch``.

Nothing is imported here: the supervisor, which is a process of its own, comes through this package too.
"""
