docker run -d --name lmd --gpus all -p 23333:23333 -v /models:/models openmmlab/lmdeploy:latest \
  lmdeploy serve api_server /models/internlm3-8b --backend pytorch --tp 2
