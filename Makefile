# What the README names. Everything sets up what it needs first; `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test test-browser widget studio chaos crowds autobahn fuzz bench bench-live bench-mail bench-inner lint deps test-deps

# Arguments for the program (make run) or for cargo test (make test).
ARGS ?=
STENTOR := $(or $(CARGO_TARGET_DIR),target)/debug/stentor

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: deps ## Build Stentor and run all of it here, with a demo page; ARGS="--listen 127.0.0.1:9000" and the like
	@echo "==> Building Stentor (the first time takes several minutes on 2 cores, later a few seconds)"
	cargo build --package stentor-server
	@echo "==> Starting it; Ctrl-C ends it"
	@$(STENTOR) dev $(ARGS)

test: test-deps ## Run the whole suite, on servers of its own; ARGS="-p stentor-queue lanes" for a part of it
	@scripts/test.sh $(ARGS)

test-browser: test-deps ## Run the browser tests alone; ARGS="specs/sharing.spec.ts" for a part of them
	cargo build --package stentor-server
	@scripts/browser-tests.sh $(ARGS)

widget: ## Build the file that crates/api embeds from widget/src (needs Node)
	cd widget && npm ci && npm run build

studio: ## Build the file that crates/api embeds from studio/src and the widget's views (needs Node)
	cd studio && npm ci && npm run build

chaos: test-deps ## Send through every fault at full length and print what was lost; ARGS="Redis" for a part of it
	@STENTOR_FAULTS=full scripts/test.sh -p stentor-tests --test faults -- $(ARGS)

crowds: test-deps ## Run 10,000 operations beside a plain list, crowds of thousands and 10,000 mails, at full length
	@STENTOR_FAULTS=full scripts/test.sh -p stentor-tests --test suite -- model:: crowds:: kill_nine:: mail_pool::

autobahn: deps ## Run the Autobahn cases against the sockets
	@scripts/autobahn.sh

fuzz: deps ## Fuzz the parser of WebSocket frames and uploaded templates; ARGS="600 templates" for so many seconds and one of them
	@scripts/fuzz.sh $(ARGS)

bench: test-deps ## Measure what Stentor costs beside bare floors and peers; ARGS="accept queue" for some parts, ROUNDS=1 QUICK=1 for a short look
	cargo build --release --package stentor-server --package stentor-bench
	@scripts/bench-peers.sh
	@$(or $(CARGO_TARGET_DIR),target)/release/bench $(ARGS)

bench-live: ## Measure pushes alone: 1,000, 5,000 and 10,000 sockets beside raw send(), bare axum and peers
	@SOCKETS="$${SOCKETS:-1000,5000,10000}" $(MAKE) bench ARGS=live

bench-mail: ## Measure mails alone: per second through all of Stentor, beside lettre's own pool on the same local server
	@$(MAKE) bench ARGS=mail

bench-inner: deps ## Measure the inner loops alone, with Criterion, beside the least that could do the work; ARGS="frames" for some of them
	cargo bench --package stentor-bench --bench inner -- $(ARGS)

lint: ## Check format, clippy, the arrows between the crates, and the scripts
	@scripts/install-deps.sh --lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/check-arrows.sh
	scripts/check-arrows-test.sh
	scripts/check-widget.sh
	scripts/browser-tests.sh --types
	shellcheck .ci/run scripts/*.sh

deps: ## Install what `make run` needs from the system, if it is absent
	@scripts/install-deps.sh

test-deps: ## Install what `make test` needs from the system, if it is absent
	@scripts/install-deps.sh --tests
