#!/usr/bin/env bash
# spec.sh - two drafters, first try
exec /opt/llama.cpp/b10655/llama-server \
  -m /models/Qwen3.6-27B-MTP-UD-Q5_K_XL.gguf \
  -md /models/Qwen3.6-27B-DFlash-Q8_0.gguf \
  --spec-type draft-mtp,draft-dflash \
  --spec-draft-n-max 3 \
  -c 65536 -np 1 -fa on \
  --host 0.0.0.0 --port 8085
# without -md and with --spec-type draft-mtp alone it starts
# with -md and --spec-type draft-dflash alone it starts too
