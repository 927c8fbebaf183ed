# Installing winnow, and making a Debian package of it. Included by the Makefile.
PREFIX    ?= /usr/local
INSTALL   ?= install
PACKAGING := worker/packaging
SYSTEMD   := $(PACKAGING)/systemd

# ---- systemd units: one text for the pool of winnow.conf and for those of other files, one for hardening
UNITS := $(addprefix $(BUILD)/systemd/,winnow.service winnow@.service winnow-console.service)

$(BUILD)/systemd/winnow.service:  pool_name := winnow
$(BUILD)/systemd/winnow@.service: pool_name := %i
$(BUILD)/systemd/winnow.service $(BUILD)/systemd/winnow@.service: $(SYSTEMD)/pool.service.in
$(BUILD)/systemd/winnow-console.service: $(SYSTEMD)/winnow-console.service.in
$(UNITS): $(SYSTEMD)/hardening.conf $(BUILD)/systemd/prefix
	$(call Q,UNIT,$@)sed -e 's|@bindir@|$(PREFIX)/bin|; s|@name@|$(pool_name)|' \
	  -e '/^@hardening@$$/r $(SYSTEMD)/hardening.conf' -e '/^@hardening@$$/d' $(filter %.in,$^) > $@

$(BUILD)/systemd/prefix: FORCE
	$(call write_if_changed,$(PREFIX))

# ---- what is installed: SOURCE:MODE:PLACE, the place below the prefix. Configuration is not: it is the operator's.
INSTALLED = $(BUILD)/winnow:755:bin/winnow \
    $(foreach unit,$(UNITS),$(unit):644:lib/systemd/system/$(notdir $(unit))) \
    $(SYSTEMD)/winnow.sysusers:644:lib/sysusers.d/winnow.conf \
    README.md:644:share/doc/winnow/README.md \
    $(SYSTEMD)/secrets.conf:644:share/doc/winnow/examples/secrets.conf

.PHONY: install uninstall
install: $(BUILD)/winnow $(UNITS) ## copy program, units, … below DESTDIR= PREFIX=/usr/local
	@set -e; for file in $(INSTALLED); do IFS=: read -r from mode place <<<"$$file"; \
	  $(INSTALL) -D -m "$$mode" "$$from" "$(DESTDIR)$(PREFIX)/$$place"; echo "  $(DESTDIR)$(PREFIX)/$$place"; done

uninstall: ## remove what install has copied; same DESTDIR= PREFIX=
	@for file in $(INSTALLED); do rm -fv "$(DESTDIR)$(PREFIX)/$${file##*:}"; done
	@rmdir -p --ignore-fail-on-non-empty "$(DESTDIR)$(PREFIX)/share/doc/winnow/examples" 2>/dev/null || true
