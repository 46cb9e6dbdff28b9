# docker build -t llmdoctor .
# docker run --rm -v "$PWD:/work:ro" llmdoctor check deploy/ --target host.yaml
# docker logs llm 2>&1 | docker run --rm -i llmdoctor analyze -
FROM python:3.12-slim AS build
COPY . /src
RUN python3 -m venv /opt/llmdoctor \
 && /opt/llmdoctor/bin/python -m pip install --no-cache-dir --disable-pip-version-check /src \
 && /opt/llmdoctor/bin/llmdoctor rules lint

FROM python:3.12-slim
COPY --from=build /opt/llmdoctor /opt/llmdoctor
ENV PATH=/opt/llmdoctor/bin:$PATH LLMDOCTOR_CACHE_DIR=/tmp/llmdoctor
RUN useradd --system --no-create-home llmdoctor
USER llmdoctor
WORKDIR /work
ENTRYPOINT ["llmdoctor"]
CMD ["--help"]
