# What both stages start from; make image BASE=… takes another, such as the same one pinned by its digest.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build

# Where packages come from, for those who have a mirror; nothing of it reaches the final image.
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# A virtual environment without pip: copied whole, it works wherever the base image keeps its own packages. One package
# has no wheel: it is built with the locked setuptools, which lies elsewhere, since pip would fetch another one without a
# hash.
COPY requirements/build.txt requirements/runtime.txt /tmp/
RUN python3 -m venv --without-pip /opt/keyturn \
    && pip="python3 -m pip --python /opt/keyturn/bin/python install --require-hashes --no-deps --only-binary :all:" \
    && $pip --target /tmp/build -r /tmp/build.txt \
    && PYTHONPATH=/tmp/build $pip --no-build-isolation --no-binary bitbucket-pipes-toolkit --no-compile -r /tmp/runtime.txt

# Nothing can be compiled at run time, where the file system is read-only, and the official base image has its standard
# library uncompiled: both would cost half a second a run. So what a run imports is compiled here, into one folder,
# without what no run imports: cffi and pycparser build C code, and what reads YAML uses the parser in Python.
COPY pipe/ /tmp/pipe/
RUN cp -R /tmp/pipe /opt/keyturn/lib/python3*/site-packages/ \
    && rm -r /opt/keyturn/lib/python3*/site-packages/cffi /opt/keyturn/lib/python3*/site-packages/pycparser \
         /opt/keyturn/lib/python3*/site-packages/yaml/_yaml.*.so \
    && python="/opt/keyturn/bin/python -I -X pycache_prefix=/opt/keyturn/compiled" \
    && $python -m compileall -q --invalidation-mode unchecked-hash /opt/keyturn/lib \
    && $python -c "import importlib, pkgutil, pipe; [importlib.import_module(each.name) \
         for each in pkgutil.walk_packages(pipe.__path__, 'pipe.')]"

# What no run needs goes: the descriptions of services that are not asked, which are two fifths of all of it, and their
# endpoints, in a file that each run with AWS reads whole; boto3's examples, and the commands that packages bring. The
# same source gives the same files, whatever the clone's times and umask are.
COPY pipe.yml /image/pipe.yml
RUN services=$(/opt/keyturn/bin/python -I -B -c "import typing, pipe.clients.aws as aws; \
         print(*typing.get_args(aws.Service), sep='|')") \
    && find /opt/keyturn/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
         -regextype egrep ! -regex ".*/($services)" -exec rm -r {} + \
    && /opt/keyturn/bin/python -I -B -c "import json, pathlib, sys, botocore; \
         path = pathlib.Path(botocore.__file__).parent / 'data' / 'endpoints.json'; \
         told = json.loads(path.read_text()); \
         [each.update(services={name: one for name, one in each['services'].items() if name in sys.argv[1].split('|')}) \
          for each in told['partitions']]; \
         path.write_text(json.dumps(told))" "$services" \
    && rm -r /opt/keyturn/lib/python3*/site-packages/boto3/data /opt/keyturn/lib/python3*/site-packages/boto3/examples \
    && find /opt/keyturn/bin -type f -delete \
    && mkdir /image/opt \
    && mv /opt/keyturn /image/opt/ \
    && chmod -R u=rwX,go=rX /image \
    && find /image -exec touch --no-dereference --date=@0 {} +


FROM ${BASE}

LABEL org.opencontainers.image.title="Keyturn" \
      org.opencontainers.image.description="The pipe that keeps Bitbucket's credentials fresh." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://bitbucket.org/your-account/keyturn"

COPY --from=build /image/ /

# Nothing of the base image gives its owner's or group's rights to whoever runs it.
RUN find / -xdev -perm /6000 -exec chmod a-s {} +

# Last, since they differ in every build.
ARG BASE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

USER 10001:10001

# -I: modules come from the image alone, never from the working directory, which is the clone, nor from PYTHONPATH.
ENTRYPOINT ["/opt/keyturn/bin/python", "-I", "-u", "-B", "-X", "pycache_prefix=/opt/keyturn/compiled", "-m", "pipe"]
