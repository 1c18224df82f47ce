# docker build --tag atariari . ; see docs/clusters.md.
FROM python:3.11-slim
COPY . /opt/atariari
RUN pip install --no-cache-dir --requirement /opt/atariari/requirements.lock \
 && pip install --no-cache-dir --no-deps /opt/atariari
WORKDIR /run
ENTRYPOINT ["snakemake"]
