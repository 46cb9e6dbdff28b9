docker run -it --rm --runtime nvidia --name llama-swap -p 9292:8080 \
  -v /home/tess/llm/models:/models \
  -v /home/tess/llm/config.yaml:/app/config.yaml \
  ghcr.io/mostlygeek/llama-swap:cuda
