#!/usr/bin/env bash
# Sets up what is missing and runs the tests. Further arguments are given to pytest.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh
prepare dev
exec .venv/bin/python -m pytest -n auto "$@"
