# Sourced by try.sh and test.sh: makes .venv with this project and the extras asked for. Only what is missing is done.
# usage: prepare [EXTRA]
prepare() {
  local extra="${1:-}" python=python3
  if [ ! -x .venv/bin/python ]; then
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "llmdoctor needs Python 3.11 or newer; $("$python" --version) is on PATH" >&2
      return 1
    fi
    if ! "$python" -m venv .venv 2>/dev/null; then
      rm -rf .venv
      # Debian ships venv's ensurepip apart from Python itself.
      if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
      else
        echo "python3-venv is missing: sudo apt-get install python3-venv, then run this again" >&2
        return 1
      fi
      "$python" -m venv .venv || return 1
    fi
  fi
  local wanted=".${extra:+[$extra]}" stamp=".venv/.installed-${extra:-base}"
  if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e "$wanted" || return 1
    touch "$stamp"
  fi
  # As pip does for an installed package; without it, and with PYTHONDONTWRITEBYTECODE set (as in many container
  # images), every start would compile the sources again: a tenth of a second.
  .venv/bin/python -m compileall -q doctor || true
}
