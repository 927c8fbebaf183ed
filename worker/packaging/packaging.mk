# Installing winnow, and making a Debian package of it. Included by the Makefile.
PREFIX    ?= /usr/local
INSTALL   ?= install
PACKAGING := worker/packaging
SYSTEMD   := $(PACKAGING)/systemd

# ---- systemd units: one text for the pool of winnow.conf and for those of other files, one for hardening
UNITS := $(addprefix $(BUILD)/systemd/,winnow.service winnow@.service winnow-console.service winnow-retain.service)

$(BUILD)/systemd/winnow.service:  pool_name := winnow
$(BUILD)/systemd/winnow@.service: pool_name := %i
$(BUILD)/systemd/winnow.service $(BUILD)/systemd/winnow@.service: $(SYSTEMD)/pool.service.in
$(BUILD)/systemd/winnow-console.service: $(SYSTEMD)/winnow-console.service.in
$(BUILD)/systemd/winnow-retain.service: $(SYSTEMD)/winnow-retain.service.in
$(UNITS): $(SYSTEMD)/hardening.conf $(BUILD)/systemd/prefix
	$(call Q,UNIT,$@)sed -e 's|@bindir@|$(PREFIX)/bin|; s|@name@|$(pool_name)|' \
	  -e '/^@hardening@$$/r $(SYSTEMD)/hardening.conf' -e '/^@hardening@$$/d' $(filter %.in,$^) > $@

$(BUILD)/systemd/prefix: FORCE
	$(call write_if_changed,$(PREFIX))

# ---- the manual and completion, as the program prints them; reproducible builds bring a date of their own
PRINTED := $(addprefix $(BUILD)/printed/,winnow.1 winnow.conf.5 winnow.bash _winnow winnow.fish)

$(BUILD)/printed/winnow.1:      printed_by := manual 1
$(BUILD)/printed/winnow.conf.5: printed_by := manual 5
$(BUILD)/printed/winnow.bash:   printed_by := completion bash
$(BUILD)/printed/_winnow:       printed_by := completion zsh
$(BUILD)/printed/winnow.fish:   printed_by := completion fish
$(PRINTED): $(BUILD)/winnow
	@mkdir -p $(@D)
	$(call Q,PRINT,$@)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || date +%s)} \
	  $(BUILD)/winnow $(printed_by) > $@

# ---- what is installed: SOURCE:MODE:PLACE. Configuration is not: it is the operator's.
DOCDIR    ?= $(PREFIX)/share/doc/winnow
UNITDIR   ?= $(PREFIX)/lib/systemd/system
INSTALLED = $(BUILD)/winnow:755:$(PREFIX)/bin/winnow \
    $(foreach unit,$(UNITS),$(unit):644:$(UNITDIR)/$(notdir $(unit))) \
    $(SYSTEMD)/winnow-retain.timer:644:$(UNITDIR)/winnow-retain.timer \
    $(SYSTEMD)/winnow.sysusers:644:$(PREFIX)/lib/sysusers.d/winnow.conf \
    $(BUILD)/printed/winnow.1:644:$(PREFIX)/share/man/man1/winnow.1 \
    $(BUILD)/printed/winnow.conf.5:644:$(PREFIX)/share/man/man5/winnow.conf.5 \
    $(BUILD)/printed/winnow.bash:644:$(PREFIX)/share/bash-completion/completions/winnow \
    $(BUILD)/printed/_winnow:644:$(PREFIX)/share/zsh/site-functions/_winnow \
    $(BUILD)/printed/winnow.fish:644:$(PREFIX)/share/fish/vendor_completions.d/winnow.fish \
    README.md:644:$(DOCDIR)/README.md \
    worker/OPERATIONS.md:644:$(DOCDIR)/OPERATIONS.md \
    $(SYSTEMD)/secrets.conf:644:$(DOCDIR)/examples/secrets.conf \
    $(PACKAGING)/prometheus/prometheus.yml:644:$(DOCDIR)/examples/prometheus.yml \
    $(PACKAGING)/prometheus/winnow.rules.yml:644:$(DOCDIR)/examples/winnow.rules.yml \
    $(PACKAGING)/grafana/winnow.json:644:$(DOCDIR)/examples/grafana-winnow.json

.PHONY: install uninstall deb version
version: ## print the version
	@echo '$(VERSION)'

install: $(BUILD)/winnow $(UNITS) $(PRINTED) ## copy program, units, manual, completion below DESTDIR= PREFIX=/usr/local
	@set -e; for file in $(INSTALLED); do IFS=: read -r from mode place <<<"$$file"; \
	  $(INSTALL) -D -m "$$mode" "$$from" "$(DESTDIR)$$place"; echo "  $(DESTDIR)$$place"; done

uninstall: ## remove what install has copied; same DESTDIR= PREFIX=
	@for file in $(INSTALLED); do rm -fv "$(DESTDIR)$${file##*:}"; done
	@rmdir -p --ignore-fail-on-non-empty "$(DESTDIR)$(DOCDIR)/examples" 2>/dev/null || true

deb: ## a Debian package, build/winnow_*.deb, of the program as it is built
	@tests/lib/deps.sh deb
	@$(MAKE) $(BUILD)/winnow
	@bash $(PACKAGING)/deb.sh '$(VERSION)' '$(BUILD)'
