# What people type. Each target installs what it needs first.

SHELL := /bin/sh
export PATH := $(shell scripts/env)

OUT := out
MODULES := node_modules/.package-lock.json
PROGRAM := dist/.built

.PHONY: help run demo test test-cluster check bench build docker install uninstall clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

run: $(PROGRAM) ## listen for CoreDNS on out/dnstap.sock, keep hosts in out/store, write YAML to out/service-entries
	@mkdir -p $(OUT)
	@echo "Add this line to the server block of CoreDNS, then look names up; Ctrl-C ends:"
	@echo "    dnstap unix://$(CURDIR)/$(OUT)/dnstap.sock full"
	@node dist/main.js run --dnstap unix://$(CURDIR)/$(OUT)/dnstap.sock --store embedded://$(CURDIR)/$(OUT)/store \
	  --output $(OUT)/service-entries

demo: $(PROGRAM) ## replay a capture of a real CoreDNS, print what was learnt, write YAML to out/demo/service-entries
	@rm -rf $(OUT)/demo
	@node dist/main.js run --once --read test/data/coredns.fstrm.gz --objects test/data/coredns-objects.json.gz \
	  --store embedded://$(CURDIR)/$(OUT)/demo/store --output $(OUT)/demo/service-entries

test: ## set everything up and run every test
	scripts/setup --test
	$(MAKE) $(PROGRAM)
	scripts/parts
	npm run check
	npm test

test-cluster: ## install into a whole one-node Kubernetes with real pods, and remove again (Linux, root)
	scripts/setup --test
	scripts/setup --cluster
	$(MAKE) $(PROGRAM)
	scripts/parts etcd coredns coredns-1.11 kube-apiserver kube-controller-manager kubectl helm istio-crds
	scripts/parts --cluster
	scripts/images
	npm run test:cluster

check: $(PROGRAM) ## formatting, lint, types, unused code, package, folders
	npm run check

bench: $(PROGRAM) ## our figures beside those of others, in one run
	scripts/setup --test
	scripts/parts golang-dnstap-bench
	npm run bench

build: $(PROGRAM) ## compile and bundle
	node scripts/bundle.mjs

docker: ## build the image istio-discovery:dev
	docker build --tag istio-discovery:dev .

install: ## install into the cluster of the current kubectl context
	./deploy.sh

uninstall: ## remove it again
	./deploy.sh --uninstall

clean: ## remove what was built and what runs wrote
	rm -rf dist $(OUT) src/dnstap-ts/dist *.tsbuildinfo

$(MODULES): package.json package-lock.json src/dnstap-ts/package.json
	scripts/setup --run
	npm ci --ignore-scripts --engine-strict
	@touch $@

$(PROGRAM): $(MODULES) $(shell find src -name '*.ts' -not -path '*/dist/*' -not -path '*/node_modules/*') tsconfig.json src/tsconfig.json
	npx tsc -b src
	@chmod +x dist/main.js
	@touch $@
