#!/bin/sh
exec llama-server -m /models/gemma-3-12b-it-Q4_K_M.gguf -c 16384 -np 1 -ngl 99 --host 0.0.0.0
