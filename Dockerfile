# Builds the image of istio-discovery: docker build -t istio-discovery .
# BASE_IMAGE: a Debian image with Node 24 and npm, for both stages.
ARG BASE_IMAGE=node:24-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
# Only the manifests first: the packages are installed again only when one of these changes.
COPY package.json package-lock.json .npmrc ./
COPY src/dnstap-ts/package.json src/dnstap-ts/
RUN npm ci --no-audit --no-fund
COPY . .
RUN node scripts/bundle.mjs

FROM ${BASE_IMAGE}
# The program reads package.json, two directories up, for its version.
WORKDIR /app
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/dist/bundle dist/bundle
# Numeric, so that Kubernetes can tell that it is not root. Nothing is written below /, which may be read-only.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/dist/bundle/main.js"]
CMD ["--help"]
