# The image of one member (target member): identity, consent, storage and gateway, or infra for the bootstrap job; and that
# of infra with PostgreSQL's clients (target backup). Works with the classic builder. All images share every layer up to
# the ARG.
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --require-hashes -r /tmp/requirements.txt

FROM ${PYTHON_IMAGE} AS member
RUN pip uninstall --yes --quiet --root-user-action=ignore pip \
 && groupadd --system --gid 10001 app \
 && useradd --system --uid 10001 --gid app --home-dir /tmp --no-create-home --shell /usr/sbin/nologin app
COPY --from=dependencies /venv /venv
COPY infra/docker/ready.py /usr/local/bin/ready.py
COPY libs /app/libs
ARG SERVICE=services/identity
COPY ${SERVICE} /app/${SERVICE}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
# A path file, as an editable install writes it, because the decoding sandbox runs without environment variables.
# The root file system is read-only later on, so bytecode is written now.
RUN printf '/app/%s/src\n' libs/contracts libs/chassis "${SERVICE}" \
    >"$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/irisvue.pth" \
 && python -m compileall -q /app
ENV PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER app
ENTRYPOINT ["python", "-m"]

FROM ${PYTHON_IMAGE} AS clients
COPY requirements-backup.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes --target /clients -r /tmp/requirements.txt

FROM member AS backup
COPY --from=clients /clients /clients
ENV PYTHONPATH=/clients
