# pygateway, its hot modules compiled. Two stages: the compiler stays in the first.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
ENV PYGATEWAY_COMPILE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY tools/packages tools/packages
# A C compiler, from Debian; in CI of a bare Debian also its headers of Python.
RUN tools/packages
COPY . .
RUN python3 -m pip wheel --wheel-dir /wheels .
# An environment of its own, so that it can be copied whole. Nothing but wheels is installed; the byte code does not
# ask for the times of its sources, and is never written again.
RUN python3 -m venv --without-pip /opt/pygateway \
 && python3 -m pip --python /opt/pygateway/bin/python3 install --no-compile --no-index --find-links /wheels pygateway \
 && find /opt/pygateway -type d '(' -name tests -o -name test ')' -prune -exec rm -rf {} + \
 && find /opt/pygateway -name '*.so' -path '*pygateway*' -exec strip --strip-unneeded {} + \
 && /opt/pygateway/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /opt/pygateway/lib \
 && /opt/pygateway/bin/pygateway --version

FROM ${PYTHON}
LABEL org.opencontainers.image.title="pygateway" \
      org.opencontainers.image.description="A Kubernetes gateway in Python: Gateway API, Ingress and APISIX routes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/pygateway /opt/pygateway
ENV PATH=/opt/pygateway/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# A number, so that runAsNonRoot can be checked without a look at /etc/passwd.
USER 65532:65532
# http, https, admin; Gateways have 10000 to 29999.
EXPOSE 9080 9443 9091
# No HEALTHCHECK: Kubernetes asks /readyz and /healthz on the admin port itself.
ENTRYPOINT ["pygateway"]
CMD ["run", "--kubernetes"]
