exec /opt/llama.cpp/llama-server --models-preset /etc/llama/models.ini -ngl 99 --port 8080
