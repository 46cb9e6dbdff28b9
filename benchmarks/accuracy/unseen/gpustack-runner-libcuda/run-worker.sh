docker run -d --name gpustack-worker --restart=unless-stopped --privileged --network=host \
  --volume /var/run/docker.sock:/var/run/docker.sock --volume gpustack-data:/var/lib/gpustack \
  --runtime nvidia gpustack/gpustack:v2.0.1 \
  --server-url http://10.8.3.21 --token $TOKEN --advertise-address 10.8.3.21
