# The service as it is packed when nobody thinks about it: one stage; build tools, pip and every cache stay in.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y build-essential python3-dev python3-pip
WORKDIR /app
COPY . .
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf,required=false \
    --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt,required=false \
    python3 -m pip install --break-system-packages --root-user-action=ignore -r requirements.txt
EXPOSE 5000
CMD ["python3", "-m", "gunicorn", "--config", "gunicorn.conf.py"]
