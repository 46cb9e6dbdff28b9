@echo off
rem start-qwen38.bat
C:\llama-cpp\llama-cuda\llama-server.exe ^
  -m C:\models\Qwen3.8-27B-Q8_0_MTP.gguf ^
  --n-gpu-layers 999 --split-mode layer --fit off ^
  --ctx-size 262144 --cache-type-k q8_0 --cache-type-v q8_0 -fa on --kv-unified ^
  --batch-size 4096 --ubatch-size 4096 ^
  --spec-type draft-mtp --spec-draft-n-max 3 --parallel 1 ^
  --host 0.0.0.0 --port 8080
rem 12 Aug: ubatch was 512, raised for faster prompts
