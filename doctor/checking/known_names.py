"""All flags and variables of some engines: a name that stands here is no slip.

The dialects list those that matter here; one that neither has may be of another release, so only what is near to a
listed one is told. Sources: llama.cpp's common/arg.cpp (flags of commit 0c1e57098; variables of that and of the
release in llama-cpp-python 0.3.7), SGLang's srt/server_args.py (0.4.6 and 0.5.5), ollama's envconfig/config.go
(commit fb3076099), with those of its earlier releases.
"""

from __future__ import annotations

_LLAMA_CPP = """
adaptive-decay adaptive-target agent alias api-key api-key-file api-prefix attention audio backend-sampling
batch-size binary-file cache-idle-slots cache-list cache-prompt cache-ram cache-reuse cache-type-k
cache-type-k-draft cache-type-v cache-type-v-draft chat-template chat-template-file chat-template-kwargs check
check-tensors checkpoint-min-step chunk chunk-separator chunk-size chunks cls-separator color completion-bash
cont-batching context-file context-shift control-vector control-vector-layer-range control-vector-scaled
conversation cors-credentials cors-headers cors-methods cors-origins cpu-mask cpu-mask-batch cpu-mask-batch-draft
cpu-mask-draft cpu-moe cpu-moe-draft cpu-range cpu-range-batch cpu-range-batch-draft cpu-range-draft cpu-strict
cpu-strict-batch cpu-strict-batch-draft cpu-strict-draft ctx-checkpoints ctx-size defrag-thold device device-draft
dflash diffusion-add-gumbel-noise diffusion-alg-temp diffusion-algorithm diffusion-block-length diffusion-cfg-scale
diffusion-eps diffusion-steps diffusion-visual display-prompt docker-repo draft draft-max draft-min draft-n
draft-n-min draft-p-min draft-p-split dry-allowed-length dry-base dry-multiplier dry-penalty-last-n
dry-sequence-breaker dynatemp-exp dynatemp-range eagle3 embd-gemma-default embd-normalize embd-output-format
embd-separator embedding embeddings epochs escape file fim-qwen-14b-spec fim-qwen-30b-default fim-qwen-3b-default
fim-qwen-7b-default fim-qwen-7b-spec fit fit-ctx fit-print fit-target flash-attn frequency-penalty from-chunk
gpt-oss-120b-default gpt-oss-20b-default gpu-layers gpu-layers-draft grammar grammar-file grp-attn-n grp-attn-w
hellaswag hellaswag-tasks help hf-file hf-repo hf-repo-draft hf-token host ids ignore-eos image image-max-tokens
image-min-tokens in-file in-prefix in-prefix-bos in-suffix interactive interactive-first jinja json-schema
json-schema-file junk keep kl-divergence kl-divergence-base kv-offload kv-unified kv-unified-per-slot lazy-mode
learning-rate learning-rate-decay-epochs learning-rate-min list-devices load-mode log-colors log-disable log-file
log-jsonl log-prefix log-prompts-dir log-timestamps log-verbose log-verbosity logit-bias logits-output-dir
lookup-cache-dynamic lookup-cache-static lora lora-init-without-apply lora-scaled main-gpu mcp-servers-config
mcp-servers-json media-path method metrics min-p mirostat mirostat-ent mirostat-lr mmproj mmproj-auto mmproj-device
mmproj-offload mmproj-url model model-draft model-url models-autoload models-dir models-max models-preset
mtmd-batch-max-tokens mtp multiline-input multiple-choice multiple-choice-tasks n-cpu-ffn n-cpu-moe n-cpu-moe-draft
n-gpu-layers n-gpu-layers-draft n-predict negative-file no-agent no-bos no-cache-idle-slots no-cache-prompt
no-cont-batching no-context-shift no-conversation no-cors-credentials no-display-prompt no-escape no-host no-jinja
no-kv-offload no-kv-unified no-log-jsonl no-log-prefix no-log-timestamps no-mmproj no-mmproj-auto no-mmproj-offload
no-models-autoload no-op-offload no-parse-special no-perf no-ppl no-prefill-assistant no-reasoning-preserve
no-repack no-show-timings no-skip-chat-parsing no-slots no-spec-draft-backend-sampling no-ui no-ui-mcp-proxy
no-warmup no-webui no-webui-mcp-proxy numa offline op-offload optimizer output output-file output-format
output-frequency override-kv override-tensor override-tensor-draft parallel parse-special path pca-batch pca-iter
perf poll poll-batch poll-batch-draft poll-draft pooling port pos positive-file ppl ppl-output-type ppl-stride
predict prefill-assistant presence-penalty print-token-count prio prio-batch prio-batch-draft prio-draft
process-output prompt prompt-cache prompt-cache-all prompt-cache-ro props reasoning reasoning-budget
reasoning-budget-message reasoning-effort reasoning-format reasoning-preserve repack repeat-last-n repeat-penalty
rerank reranking reuse-port reverse-prompt rope-freq-base rope-freq-scale rope-scale rope-scaling rpc sampler-seq
samplers sampling-seq save-all-logits save-frequency save-logits seed sequences server-base show-count
show-statistics show-timings simple-io single-turn skip-chat-parsing sleep-idle-seconds slot-prompt-similarity
slot-save-path slots spec-default spec-draft-backend-sampling spec-draft-cpu-mask spec-draft-cpu-mask-batch
spec-draft-cpu-moe spec-draft-cpu-range spec-draft-cpu-range-batch spec-draft-cpu-strict spec-draft-cpu-strict-batch
spec-draft-device spec-draft-hf spec-draft-model spec-draft-n-cpu-moe spec-draft-n-max spec-draft-n-min
spec-draft-ncmoe spec-draft-ngl spec-draft-override-tensor spec-draft-p-min spec-draft-p-split spec-draft-poll
spec-draft-poll-batch spec-draft-prio spec-draft-prio-batch spec-draft-threads spec-draft-threads-batch
spec-draft-type-k spec-draft-type-v spec-ngram-map-k-min-hits spec-ngram-map-k-size-m spec-ngram-map-k-size-n
spec-ngram-map-k4v-min-hits spec-ngram-map-k4v-size-m spec-ngram-map-k4v-size-n spec-ngram-min-hits
spec-ngram-mod-n-match spec-ngram-mod-n-max spec-ngram-mod-n-min spec-ngram-simple-min-hits spec-ngram-simple-size-m
spec-ngram-simple-size-n spec-ngram-size-m spec-ngram-size-n spec-synth-len spec-synth-rates spec-type special
split-mode spm-infill sse-ping-interval ssl-cert-file ssl-key-file stdin swa-checkpoints swa-full system-prompt
system-prompt-file tags temp temperature tensor-filter tensor-split threads threads-batch threads-batch-draft
threads-draft threads-http timeout tools tools-runtime top-k top-n-sigma top-nsigma top-p tts-lang tts-speaker-file
typical typical-p ubatch-size ui ui-config ui-config-file ui-mcp-proxy usage val-split verbose verbose-prompt
verbosity version video video-ffmpeg-dir video-fps video-timestamp-interval vision-gemma-12b-default
vision-gemma-4b-default warmup webui webui-config webui-config-file webui-mcp-proxy weight-decay winogrande
winogrande-tasks xtc-probability xtc-threshold yarn-attn-factor yarn-beta-fast yarn-beta-slow yarn-ext-factor
yarn-orig-ctx
"""
_LLAMA_ARG = """
AGENT ALIAS API_KEY_FILE API_PREFIX BACKEND_SAMPLING BATCH CACHE_IDLE_SLOTS CACHE_PROMPT CACHE_RAM CACHE_REUSE
CACHE_TYPE_K CACHE_TYPE_V CHAT_TEMPLATE CHAT_TEMPLATE_FILE CHAT_TEMPLATE_KWARGS CHECKPOINT_MIN_SPACING_NT
CONTEXT_SHIFT CONT_BATCHING CORS_CREDENTIALS CORS_HEADERS CORS_METHODS CORS_ORIGINS CPU_MOE CTX_CHECKPOINTS CTX_SIZE
CTX_SIZE_DRAFT DEFRAG_THOLD DEVICE DOCKER_REPO DRAFT_MAX DRAFT_MIN DRAFT_P_MIN DRAFT_P_SPLIT EMBEDDINGS
ENDPOINT_METRICS ENDPOINT_PROPS ENDPOINT_SLOTS FIT FIT_CTX FIT_ESTIMATE FIT_TARGET FLASH_ATTN FREQUENCY_PENALTY
GRP_ATTN_N GRP_ATTN_W HFD_REPO HF_FILE HF_FILE_V HF_REPO HF_REPO_V HOST IMAGE_MAX_TOKENS IMAGE_MIN_TOKENS JINJA
KV_OFFLOAD KV_UNIFIED KV_UNIFIED_PER_SLOT LAZY_MODE LOAD_MODE LOG_COLORS LOG_FILE LOG_JSONL LOG_PREFIX LOG_TIMESTAMPS
LOG_VERBOSITY MAIN_GPU MCP_SERVERS_CONFIG MCP_SERVERS_JSON MIN_P MLOCK MMPROJ MMPROJ_AUTO MMPROJ_OFFLOAD MMPROJ_URL
MODEL MODELS_AUTOLOAD MODELS_DIR MODELS_MAX MODELS_PRESET MODEL_DRAFT MODEL_URL MTMD_BATCH_MAX_TOKENS NO_
NO_CONTEXT_SHIFT NO_CONT_BATCHING NO_ENDPOINT_SLOTS NO_HOST NO_KV_OFFLOAD NO_MMAP NO_PERF NO_WEBUI NUMA N_CPU_FFN
N_CPU_MOE N_GPU_LAYERS N_GPU_LAYERS_DRAFT N_PARALLEL N_PREDICT OFFLINE OVERRIDE_TENSOR PERF POOLING PORT
PREFILL_ASSISTANT PRESENCE_PENALTY REASONING REASONING_EFFORT REASONING_PRESERVE REPACK REPEAT_PENALTY RERANKING
REUSE_PORT ROPE_FREQ_BASE ROPE_FREQ_SCALE ROPE_SCALE ROPE_SCALING_TYPE RPC SHOW_TIMINGS SKIP_CHAT_PARSING
SPEC_DRAFT_BACKEND_SAMPLING SPEC_DRAFT_CACHE_TYPE_K SPEC_DRAFT_CACHE_TYPE_V SPEC_DRAFT_CPU_MOE SPEC_DRAFT_HF_REPO
SPEC_DRAFT_MODEL SPEC_DRAFT_N_CPU_MOE SPEC_DRAFT_N_MAX SPEC_DRAFT_N_MIN SPEC_DRAFT_P_MIN SPEC_DRAFT_P_SPLIT
SPEC_SYNTH_LEN SPEC_SYNTH_RATES SPEC_TYPE SPLIT_MODE SSE_PING_INTERVAL SSL_CERT_FILE SSL_KEY_FILE STATIC_PATH SWA_FULL
TAGS TEMPERATURE TENSOR_SPLIT THINK THINK_BUDGET THINK_BUDGET_MESSAGE THREADS THREADS_HTTP TIMEOUT TOOLS TOOLS_RUNTIME
TOP_K TOP_P UBATCH UI UI_CONFIG UI_CONFIG_FILE UI_MCP_PROXY VIDEO_FFMPEG_DIR VIDEO_FPS VIDEO_TIMESTAMP_INTERVAL
YARN_ATTN_FACTOR YARN_BETA_FAST YARN_BETA_SLOW YARN_EXT_FACTOR YARN_ORIG_CTX
"""
_SGLANG = """
abort-on-priority-when-disabled allow-auto-truncate api-key attention-backend base-gpu-id bucket-e2e-request-latency
bucket-inter-token-latency bucket-time-to-first-token chat-template checkpoint-engine-wait-weights-before-ready
chunked-prefill-size collect-tokens-histogram completion-template config constrained-json-disable-any-whitespace
constrained-json-whitespace-pattern context-length cpu-offload-gb crash-dump-folder cuda-graph-bs cuda-graph-max-bs
custom-weight-loader data-parallel-size debug-tensor-dump-inject debug-tensor-dump-input-file debug-tensor-dump-layers
debug-tensor-dump-output-folder decode-attention-backend decode-log-interval decrypted-config-file
decrypted-draft-config-file deepep-config deepep-mode delete-ckpt-after-loading device disable-chunked-prefix-cache
disable-cuda-graph disable-cuda-graph-padding disable-custom-all-reduce disable-fast-image-processor
disable-flashinfer-cutlass-moe-fp4-allgather disable-hybrid-swa-memory disable-outlines-disk-cache
disable-overlap-schedule disable-radix-cache disable-shared-experts-fusion disable-tokenizer-batch-decode
disaggregation-bootstrap-port disaggregation-decode-dp disaggregation-decode-enable-offload-kvcache
disaggregation-decode-polling-interval disaggregation-decode-tp disaggregation-ib-device disaggregation-mode
disaggregation-prefill-pp disaggregation-transfer-backend dist-init-addr dist-timeout download-dir dp-size
ds-channel-config-path ds-heavy-channel-num ds-heavy-channel-type ds-heavy-token-num ds-sparse-decode-threshold dtype
dynamic-batch-tokenizer-batch-size dynamic-batch-tokenizer-batch-timeout elastic-ep-backend enable-cache-report
enable-cudagraph-gc enable-custom-logit-processor enable-deepep-moe enable-deterministic-inference
enable-double-sparsity enable-dp-attention enable-dp-lm-head enable-dynamic-batch-tokenizer enable-ep-moe enable-eplb
enable-expert-distribution-metrics enable-flashinfer-allreduce-fusion enable-flashinfer-mla enable-flashmla
enable-fp32-lm-head enable-hierarchical-cache enable-lmcache enable-lora enable-memory-saver enable-metrics
enable-metrics-for-all-schedulers enable-mixed-chunk enable-mscclpp enable-multimodal enable-nan-detection
enable-nccl-nvls enable-p2p-check enable-pdmux enable-piecewise-cuda-graph enable-priority-scheduling
enable-profile-cuda-graph enable-request-time-stats-logging enable-return-hidden-states enable-single-batch-overlap
enable-symm-mem enable-tokenizer-batch-encode enable-torch-compile enable-torch-symm-mem enable-trace
enable-two-batch-overlap enable-weights-cpu-backup ep ep-dispatch-algorithm ep-num-redundant-experts ep-size
eplb-algorithm eplb-min-rebalancing-utilization-threshold eplb-rebalance-layers-per-chunk
eplb-rebalance-num-iterations expert-distribution-recorder-buffer-size expert-distribution-recorder-mode
expert-parallel-size file-storage-path flashinfer-mla-disable-ragged flashinfer-mxfp4-moe-precision
gc-warning-threshold-secs generation-tokens-buckets gpu-id-step grammar-backend grpc-mode hicache-io-backend
hicache-mem-layout hicache-ratio hicache-size hicache-storage-backend hicache-storage-backend-extra-config
hicache-storage-prefetch-policy hicache-write-policy host hybrid-kvcache-ratio init-expert-location is-embedding
json-model-override-args keep-mm-feature-on-device kt-amx-method kt-amx-weight-path kt-cpuinfer
kt-max-deferred-experts-per-token kt-num-gpu-experts kt-threadpool-count kv-cache-dtype kv-events-config
load-balance-method load-format load-watch-interval log-level log-level-http log-requests log-requests-level
lora-backend lora-eviction-policy lora-paths lora-target-modules mamba-full-memory-ratio mamba-ssm-dtype
max-loaded-loras max-lora-chunk-size max-lora-rank max-loras-per-batch max-mamba-cache-size max-prefill-tokens
max-queued-requests max-running-requests max-total-tokens mem-fraction-static mm-attention-backend
mm-max-concurrent-calls mm-per-request-timeout model model-impl model-loader-extra-config model-path
modelopt-checkpoint-restore-path modelopt-checkpoint-save-path modelopt-export-path modelopt-quant moe-a2a-backend
moe-dense-tp-size moe-runner-backend mooncake-ib-device multi-item-scoring-delimiter n-share-experts-fusion
nccl-init-addr nccl-port nnodes node-rank nsa-decode-backend nsa-prefill-backend num-continuous-decode-steps
num-reserved-decode-tokens numa-node offload-group-size offload-mode offload-num-in-group offload-prefetch-step
otlp-traces-endpoint page-size pdmux-config-path piecewise-cuda-graph-compiler piecewise-cuda-graph-max-tokens
piecewise-cuda-graph-tokens pipeline-parallel-size port pp-max-micro-batch-size pp-size preferred-sampling-params
prefill-attention-backend prefill-round-robin-balance priority-scheduling-preemption-threshold prompt-tokens-buckets
quantization quantization-param-path quantize-and-serve radix-eviction-policy random-seed reasoning-parser
remote-instance-weight-loader-seed-instance-ip remote-instance-weight-loader-seed-instance-service-port
remote-instance-weight-loader-send-weights-group-ports revision rl-on-policy-target sampling-backend sampling-defaults
schedule-conservativeness schedule-low-priority-values-first schedule-policy scheduler-recv-interval served-model-name
show-time-cost skip-server-warmup skip-tokenizer-init sleep-on-idle sm-group-num speculative-accept-threshold-acc
speculative-accept-threshold-single speculative-algorithm speculative-attention-mode speculative-draft-load-format
speculative-draft-model speculative-draft-model-path speculative-draft-model-revision speculative-eagle-topk
speculative-moe-runner-backend speculative-ngram-branch-length speculative-ngram-capacity speculative-ngram-match-type
speculative-ngram-max-bfs-breadth speculative-ngram-max-match-window-size speculative-ngram-min-bfs-breadth
speculative-ngram-min-match-window-size speculative-num-draft-tokens speculative-num-steps speculative-token-map
stream-interval stream-output swa-full-tokens-ratio tbo-token-distribution-threshold tensor-parallel-size
tokenizer-metrics-allowed-custom-labels tokenizer-metrics-custom-labels-header tokenizer-mode tokenizer-path
tokenizer-worker-num tool-call-parser tool-server torch-compile-max-bs torchao-config tp-size
triton-attention-num-kv-splits triton-attention-reduce-in-fp32 triton-attention-split-tile-size trust-remote-code
warmups watchdog-timeout weight-loader-disable-mmap weight-version
"""
_OLLAMA = """
AUTH CONTEXT_LENGTH DEBUG DEBUG_LOG_REQUESTS EDITOR FLASH_ATTENTION GO_TEMPLATE GPU_OVERHEAD HOST IGPU_ENABLE
INTEL_GPU KEEP_ALIVE KV_CACHE_TYPE LLM_LIBRARY LOAD_TIMEOUT MAX_LOADED_MODELS MAX_QUEUE MAX_TRANSFER_STREAMS MAX_VRAM
MODELS MULTIUSER_CACHE NEW_ENGINE NOHISTORY NOPRUNE NO_CLOUD NUM_PARALLEL ORIGINS REMOTES
SCHED_SPREAD TMPDIR VULKAN
"""
FLAGS = {
    "llama.cpp": frozenset(f"--{name}" for name in _LLAMA_CPP.split()),
    "sglang": frozenset(f"--{name}" for name in _SGLANG.split()),
}
VARIABLES = {
    "llama.cpp": frozenset(f"LLAMA_ARG_{name}" for name in _LLAMA_ARG.split()),
    "ollama": frozenset(f"OLLAMA_{name}" for name in _OLLAMA.split()),
}
