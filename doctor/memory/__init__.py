"""What a model needs, device by device, and what would fit: from hyper-parameters to the numbers that remedies name.

``doctor.memory.plan`` is the door: ``assess`` does it all from facts. The other modules are plain arithmetic that the
plan for a machine uses as well: ``model`` (hyper-parameters), ``kv``, ``weights``, ``compute``, ``numa``, ``fit``.
Everything is in bytes and tokens. What the engine printed wins over what is computed here.
"""
