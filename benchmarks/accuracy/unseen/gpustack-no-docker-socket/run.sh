docker run -d --name gpustack-worker --restart=unless-stopped \
  --privileged --network=host --runtime nvidia \
  --volume gpustack-data:/var/lib/gpustack \
  gpustack/gpustack:main --server-url http://10.20.0.5 --token ****
