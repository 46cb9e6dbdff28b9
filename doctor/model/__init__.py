"""Models at hand: a GGUF file, a Hugging Face folder, or a few numbers in YAML -> what is known of the model.

``doctor.model.read.read_model`` is the door. Nothing here reads a weight: headers and configuration only, and all of
them count as hostile.
"""
