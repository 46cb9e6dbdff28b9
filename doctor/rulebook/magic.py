"""What a file really is, told from the first bytes that an engine quotes when it refuses a model file.

llama.cpp has printed them in four ways (ggml/src/gguf.cpp and its forerunners in ggml.c and llama.cpp):

- ``invalid magic characters: 'vers', expected 'GGUF'`` - the characters, each unprintable one as ``?``;
- ``invalid magic characters 'vers'`` - the characters as they are, NUL bytes included;
- ``invalid magic number 73726576`` - four bytes read as one little-endian number, so the text lies backwards in it;
- ``unknown (magic, version) combination: 67676a74, 00000003`` - likewise, from before GGUF.

The old GGML formats were written as such a number too: 'ggjt' lies in the file as ``tjgg``.
"""

from __future__ import annotations

import re

NOT_GGUF = "not a GGUF file"
_DOWNLOAD_ERROR = "an error message of the download server"
_HEX = r"(?:0[xX])?([0-9a-fA-F]{8})"

# The first match counts. Text is compared without regard to case; `?` in what the engine printed is any byte.
_TEXTS: tuple[tuple[str, str], ...] = (
    ("vers", "a Git LFS pointer"),  # version https://git-lfs.github.com/spec/v1
    ("<!do", "an HTML page"),
    ("<htm", "an HTML page"),
    ("<hea", "an HTML page"),
    ("<?xm", "an XML document"),  # what object stores answer instead of a file
    ("<err", "an XML document"),
    ("fugg", "a big-endian GGUF"),
    ("ggjt", "a pre-GGUF GGML file (GGJT)"),
    ("tjgg", "a pre-GGUF GGML file (GGJT)"),
    ("ggmf", "a pre-GGUF GGML file (GGMF)"),
    ("fmgg", "a pre-GGUF GGML file (GGMF)"),
    ("ggml", "a pre-GGUF GGML file (GGML)"),
    ("lmgg", "a pre-GGUF GGML file (GGML)"),
    ("ggla", "a pre-GGUF LoRA adapter (GGLA)"),
    ("algg", "a pre-GGUF LoRA adapter (GGLA)"),
    ("ggsn", "a saved llama.cpp session (GGSN)"),
    ("nsgg", "a saved llama.cpp session (GGSN)"),
    ("pk\x03\x04", "a zip archive / PyTorch checkpoint"),
    ("\x1f\x8b\x08", "a gzip file"),
    ("(\xb5/\xfd", "a Zstandard file"),
    ("7z\xbc\xaf", "a 7-Zip archive"),
    ("rar!", "a RAR archive"),
    ("\x80\x02", "a PyTorch checkpoint (pickle)"),
    ("\x00\x00\x00\x00", "zeros (incomplete download)"),
    ('{"', "JSON text"),
    ("{\n", "JSON text"),
    ("entr", _DOWNLOAD_ERROR),  # Entry not found
    ("inva", _DOWNLOAD_ERROR),  # Invalid username or password.
    ("acce", _DOWNLOAD_ERROR),  # Access to model ... is restricted
    ("repo", _DOWNLOAD_ERROR),  # Repository not found
    ("unau", _DOWNLOAD_ERROR),  # Unauthorized
    ("forb", _DOWNLOAD_ERROR),  # Forbidden
    ("foun", _DOWNLOAD_ERROR),  # Found. Redirecting to ...
    ("not ", _DOWNLOAD_ERROR),  # Not Found
)


def identify(magic: str) -> str:
    """What a file is whose first bytes were quoted as ``magic``, in words; ``not a GGUF file`` when they don't tell.

    Args:
        magic: four (or more) characters, or the eight hexadecimal digits of a little-endian number.
    """
    as_number = re.fullmatch(_HEX, magic.strip())
    start = bytes.fromhex(as_number[1])[::-1].decode("latin-1") if as_number else magic[:16]
    if start[:4] == "GGUF":
        return "a GGUF file"
    for text, meaning in _TEXTS:
        if start.lower().startswith((text, _as_printed(text))):
            return meaning
    if _begins_safetensors(start):
        return "a safetensors file"
    return NOT_GGUF


def _as_printed(text: str) -> str:
    """``PK??``: how newer versions show it. One known character alone would say too little."""
    shown = "".join(character if " " <= character <= "~" else "?" for character in text)
    return shown if len(shown.replace("?", "")) > 1 else text


def _begins_safetensors(start: str) -> bool:
    """Eight bytes with the length of the JSON header (padded to a multiple of 8, far below 16 MiB), then the header."""
    if len(start) > 8:
        return start[8] == "{" and start[6:8] == "\0\0"
    return start[3:4] == "\0" and start[1:3] != "\0\0" and ord(start[0]) % 8 == 0
