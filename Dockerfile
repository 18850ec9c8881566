FROM python:3.13-slim-trixie AS build

# Where packages come from, for those who have a mirror; nothing of it reaches the final image.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# A virtual environment without pip: copied whole, it works wherever the base image keeps its own packages.
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m venv --without-pip /opt/keyturn \
    && python3 -m pip --python /opt/keyturn/bin/python install \
       --require-hashes --no-deps --only-binary :all: --no-compile -r /tmp/runtime.txt

# Nothing can be compiled at run time, where the file system is read-only, and the official base image has its standard
# library uncompiled: both would cost half a second a run. So what a run imports is compiled here, into one folder.
COPY pipe/ /tmp/pipe/
RUN cp -R /tmp/pipe /opt/keyturn/lib/python3*/site-packages/ \
    && python="/opt/keyturn/bin/python -I -X pycache_prefix=/opt/keyturn/compiled" \
    && $python -m compileall -q --invalidation-mode unchecked-hash /opt/keyturn/lib \
    && $python -c "import importlib, pkgutil, pipe.shell, pipe.assemble as actions; [importlib.import_module(each.name) \
         for each in pkgutil.iter_modules(actions.__path__, 'pipe.assemble.')]"


FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="Keyturn" \
      org.opencontainers.image.description="The pipe that keeps Bitbucket's credentials fresh." \
      org.opencontainers.image.licenses="Apache-2.0"

COPY pipe.yml /pipe.yml
COPY --from=build /opt/keyturn /opt/keyturn

USER 10001:10001

# -I: modules come from the image alone, never from the working directory, which is the clone, nor from PYTHONPATH.
ENTRYPOINT ["/opt/keyturn/bin/python", "-I", "-u", "-B", "-X", "pycache_prefix=/opt/keyturn/compiled", "-m", "pipe"]
