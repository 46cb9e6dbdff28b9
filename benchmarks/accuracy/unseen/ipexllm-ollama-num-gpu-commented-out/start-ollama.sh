#!/bin/bash
# start-ollama.sh  (copied from our old CPU server, oneAPI lines added)
source /opt/intel/oneapi/setvars.sh --force
#export OLLAMA_NUM_GPU=999
export no_proxy=localhost,127.0.0.1
export ZES_ENABLE_SYSMAN=1
export SYCL_CACHE_PERSISTENT=1
export ONEAPI_DEVICE_SELECTOR=level_zero:0
cd /opt/ollama-ipex && ./ollama serve
