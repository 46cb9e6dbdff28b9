#!/usr/bin/env bash
# Sets up what is missing and diagnoses a shipped incident. Further arguments are given to `llmdoctor analyze`.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/env.sh
prepare || exit 1
if [ $# -eq 0 ]; then
  set -- fixtures/llama-box/view-abort
fi
.venv/bin/llmdoctor analyze "$@"
status=$?
# 1 means that something was found: that is the point here.
[ "$status" -le 1 ]
