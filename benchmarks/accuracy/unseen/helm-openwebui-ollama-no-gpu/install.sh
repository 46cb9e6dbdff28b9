helm install --namespace open-webui open-webui open-webui/open-webui --set image.tag=cuda
