#!/bin/sh
# bigger batches = faster prompts
exec /opt/llama.cpp/llama-server -m /srv/gguf/Qwen2.5-Coder-32B-Instruct-IQ3_M.gguf -ngl 99 -c 6144 -np 1 -fa on -ctk q8_0 -ctv q8_0 -b 4096 -ub 4096 -fit off --port 8080
