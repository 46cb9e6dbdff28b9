"""Programs that stand in front of another one on a command line: which of their options take a value.

Sources: the manual pages of coreutils, util-linux, sudo, numactl and qemu-user, and ``docker run --help``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from doctor.facts.config.images import started
from doctor.facts.config.values import masked

ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """``valued``: options whose value is the next word; ``operands``: own words before the wrapped command."""

    valued: frozenset[str] = field(default_factory=frozenset)
    operands: int = 0
    assignments: bool = False


def _wrapper(valued: str = "", operands: int = 0, *, assignments: bool = False) -> Wrapper:
    return Wrapper(frozenset(valued.split()), operands, assignments)


WRAPPERS: dict[str, Wrapper] = {
    "env": _wrapper("-u --unset -C --chdir", assignments=True),
    "sudo": _wrapper("-u -g -h -p -C -r -t -U -D -R -T --user --group --host --prompt --chdir", assignments=True),
    "doas": _wrapper("-u -C"),
    "nohup": _wrapper(),
    "exec": _wrapper("-a"),
    "command": _wrapper(),
    "time": _wrapper("-f -o --format --output"),
    "setsid": _wrapper(),
    "stdbuf": _wrapper("-i -o -e --input --output --error"),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c -n --class --classdata"),
    "chrt": _wrapper("-T -P -D", 1),
    "timeout": _wrapper("-s -k --signal --kill-after", 1),
    "taskset": _wrapper("", 1),
    "numactl": _wrapper(
        "-i --interleave -w --weighted-interleave -p --preferred -P --preferred-many -C --physcpubind -N --cpunodebind"
        " -m --membind"
    ),
    "setpriv": _wrapper(),
    "prlimit": _wrapper(),
    "setarch": _wrapper("", 1),
    "unshare": _wrapper(),
    "strace": _wrapper("-e -o -p -s -P -u -E -a"),
    "ltrace": _wrapper("-e -o -p -s -u -a"),
    "gdb": _wrapper("-ex -x"),
    "systemd-run": _wrapper("-p -u --unit --property --slice -E --setenv --description"),
    "systemd-inhibit": _wrapper("--what --who --why --mode"),
    "uv": _wrapper("--python -p --with --project --directory", 1),
    "uvx": _wrapper("--from --with --python -p"),
    "poetry": _wrapper("", 1),
    "conda": _wrapper("-n --name -p --prefix", 1),
    "mamba": _wrapper("-n --name -p --prefix", 1),
    "proxychains4": _wrapper("-f"),
    "mpirun": _wrapper("-n -np -H --host --hostfile -x"),
    "qemu-x86_64": _wrapper("-cpu -E -U -L -s -g -B -R -d -D -p -r -plugin -seed"),
    "qemu-aarch64": _wrapper("-cpu -E -U -L -s -g -B -R -d -D -p -r -plugin -seed"),
}

CONTAINER_TOOLS = frozenset({"docker", "podman", "nerdctl"})
_ALONE = frozenset(  # options of `docker run` without a value; all others take one
    {"-d", "--detach", "-i", "--interactive", "-t", "--tty", "--rm", "--privileged", "--init", "--read-only", "-P"}
    | {"--publish-all", "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--disable-content-trust", "--help"}
    | {"-q", "--quiet", "--replace"}
)
_JOINED = re.compile(r"-[acehlmpuvw][^=].*|-e\w+=.*")  # -p8080:80, -m4g, -eNAME=value


def skip_wrapper(words: list[str], start: int, name: str, env: dict[str, str]) -> int:
    """The index of the word after the wrapper at ``start`` with its options and operands; fills ``env``."""
    wrapper = WRAPPERS[name]
    i, operands = start + 1, wrapper.operands
    while i < len(words):
        word = words[i]
        assigned = ASSIGNMENT.fullmatch(word)
        if word == "--":
            return i + 1
        if word.startswith("-") and len(word) > 1:
            i += 2 if word in wrapper.valued else 1
        elif assigned and wrapper.assignments:
            env[assigned["name"]] = masked(assigned["name"], assigned["value"])
            i += 1
        elif operands:
            operands -= 1
            i += 1
        else:
            break
    return min(i, len(words))


@dataclass(frozen=True, slots=True)
class ContainerOption:
    """An option of ``docker run``: ``-m`` or ``--memory``, its value, the words that it takes."""

    flag: str
    value: str
    first: int
    last: int


def container_options(words: list[str], start: int) -> tuple[list[ContainerOption], int] | None:
    """The options of the ``docker run`` at ``start``, and the index of the image. ``None``: not a ``run``."""
    i = next((i for i in range(start + 1, len(words)) if words[i] == "run"), -1) + 1
    if not i:
        return None
    options = []
    while i < len(words) and words[i].startswith("-"):
        first = i
        flag, joined, value = words[i].partition("=")
        if _JOINED.fullmatch(words[i]) and not words[i].startswith("--"):
            flag, joined, value = words[i][:2], "=", words[i][2:]
        if not joined and flag not in _ALONE and not re.fullmatch(r"-[dit]+", flag):
            i += 1
            value = words[i] if i < len(words) else ""
        options.append(ContainerOption(flag, value, first, min(i, len(words) - 1)))
        i += 1
    return (options, i) if i < len(words) else None


def skip_container(words: list[str], start: int, env: dict[str, str]) -> tuple[int, str] | None:
    """The index of the first word after the image of ``docker run``, and the program that the image starts.

    The program is ``""`` when the words after the image name it themselves. ``None``: not a ``run``.
    """
    found = container_options(words, start)
    if found is None:
        return None
    options, at = found
    entry = ""
    for option in options:
        if option.flag in {"-e", "--env"} and (assigned := ASSIGNMENT.fullmatch(option.value)):
            env[assigned["name"]] = masked(assigned["name"], assigned["value"])
        if option.flag == "--entrypoint":
            entry = option.value
    image, i = words[at], at + 1
    if not entry:
        put, taken = started(image, words[i:])
        entry, i = (put[0] if put else ""), i + taken
    if not entry and (i >= len(words) or words[i].startswith("-")):
        entry = image.rsplit("/", 1)[-1].split(":", maxsplit=1)[0].split("@", maxsplit=1)[0]
    return i, entry
