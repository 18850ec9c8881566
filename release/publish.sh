#!/usr/bin/env bash
# Build the image so that a commit gives the same digest wherever it is built, push it, and write into dist/ what lets
# others check it. Needs buildah, and to be logged in to the registry (buildah login).
#
#   IMAGE  where it goes, without a tag: docker.io/account/keyturn
#   BASE   the base image by its digest: docker.io/library/python:3.13-slim-trixie@sha256:…
#   KEY    a key of AWS KMS that signs (ECC_NIST_P256): an id, an ARN or an alias; without, nothing is signed
#   TLS_VERIFY  false for a registry without TLS, such as one on this machine
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "release: $*" >&2; exit 1; }
[[ -n "${IMAGE:-}" && "$IMAGE" != *@* && "${IMAGE##*/}" != *:* ]] || fail "IMAGE: registry/account/keyturn is needed, without a tag"
[[ "${BASE:-}" =~ @sha256:[0-9a-f]{64}$ ]] || fail "BASE: the base image's digest is needed: python:3.13-slim-trixie@sha256:…"
[[ -z "$(git status --porcelain)" ]] || fail "commit first: an image is made of a commit alone"
command -v buildah >/dev/null || fail "buildah is needed: apt-get install buildah"

python=${PYTHON:-.venv/bin/python}
version=$("$python" -c 'import pipe; print(pipe.__version__)')
rm -rf dist && mkdir dist
"$python" -m release.notes >dist/notes.md

# The storage driver decides the order of a layer's files, and so the digest: it is the same everywhere, and with chroot
# works in a container, too. Storage of its own, since a machine's other images may be in another driver's.
store=$(mktemp -d)
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$store/images" --runroot "$store/run" --storage-driver vfs "$@"; }
trap 'buildah rm --all >/dev/null; buildah rmi --all --force >/dev/null; rm -rf "$store"' EXIT

# The same times in all files, and Docker's format left alone: it has the time of the build in it.
buildah build --format oci --timestamp "$(git log -1 --format=%ct)" --no-cache --network host ${TLS_VERIFY:+--tls-verify="$TLS_VERIFY"} \
  ${PIP_INDEX_URL:+--build-arg PIP_INDEX_URL} --build-arg BASE="$BASE" --build-arg VERSION="$version" \
  --build-arg REVISION="$(git rev-parse HEAD)" --tag "$IMAGE:$version" .
buildah push --format oci ${TLS_VERIFY:+--tls-verify="$TLS_VERIFY"} --digestfile dist/digest "$IMAGE:$version"
echo "$IMAGE@$(cat dist/digest)" >dist/image
rm dist/digest

container=$(buildah from --pull-never "$IMAGE:$version")
buildah run "$container" -- cat /var/lib/dpkg/status | "$python" -m release.sbom "$(cat dist/image)" >dist/keyturn.cdx.json

(cd dist && sha256sum image keyturn.cdx.json notes.md >SHA256SUMS)
[[ -z "${KEY:-}" ]] || "$python" -m release.sign "$KEY" dist/SHA256SUMS
echo "release: $(cat dist/image)${KEY:+, signed}"
