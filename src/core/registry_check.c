/* SPDX-License-Identifier: ISC */
/* The look ahead at renewals: when an operator asks, once in `check_every` for each certificate whose renewal is near, spread evenly over that time, and after
 * an order failed for something that such a look can tell more of; a few at once. What it finds is kept and told; nothing else is done about it. */
#include "core/registry_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/preflight.h"

enum {
	CHECKS_AT_ONCE = 4,
	AHEAD_S = 14 * 86400,    /* a renewal that comes later is not looked at by itself */
	FIRST_ROUND_MS = 3600000, /* nothing is known after a start */
	KEPT = 8,                /* findings in memory for each certificate, the worst first; of DNSSEC and of CAA as many each */
	FRESH_S = 300,           /* no failure has it looked at again after so short a time */
};

struct registry_check {
	LIST_ENTRY(registry_check) link;
	void (*done)(void *arg, const struct js *check);
	void *arg;
};

struct checking { /* one certificate */
	TAILQ_ENTRY(checking) link;
	struct registry *r;
	char *cert;
	struct conf *conf;
	uint64_t digest;       /* of what it was looked at for, */
	int64_t generation;    /* and what was installed then */
	struct part **parts; /* held */
	size_t nparts;
	struct method **methods;
	bool looking, looked;  /* at its services, first */
	struct preflight *run; /* NULL, and not looking: in line */
	bool gone;             /* it left while it was */
	LIST_HEAD(, registry_check) waits;
};

static void pump(struct registry *r);

static void checking_free(struct checking *k)
{
	struct registry_check *w;

	k->r->checks_running -= k->looking || k->run;
	registry_unglance(k->r, k);
	preflight_cancel(k->run);
	loop_undefer(k);
	for (size_t i = 0; i < k->nparts; i++)
		part_release(&k->r->parts, k->parts[i]);
	while ((w = LIST_FIRST(&k->waits))) {
		LIST_REMOVE(w, link);
		free(w);
	}
	conf_free(k->conf);
	free(k->parts);
	free(k->methods);
	free(k->cert);
	free(k);
}

/* --- what was found ----------------------------------------------------------------------------------------------------------------- */

/* Only what is wrong, the worst first, and only so much of it. */
static struct js *kept_of(const struct js *findings)
{
	struct js *kept = js_array();

	for (int verdict = FINDING_FAIL; verdict >= FINDING_WARN; verdict--)
		for (size_t i = 0; i < js_len(findings) && js_len(kept) < KEPT; i++)
			if (finding_verdict(js_at(findings, i)) == (enum finding)verdict)
				js_add(kept, js_ref(js_at(findings, i)));
	return kept;
}

static struct js *check_of(const struct js *findings, struct js *shown)
{
	const struct js *worst = finding_worst(findings);
	enum finding verdict = worst ? finding_verdict(worst) : FINDING_OK;
	struct js *check = js_object();

	js_put_time(check, "at", clock_now());
	js_put_str(check, "verdict", finding_word(verdict < FINDING_WARN ? FINDING_OK : verdict));
	if (verdict >= FINDING_WARN) {
		char *why = mem_printf("%s: %s", js_str(worst, "name"), js_str(worst, "text"));

		js_put_str(check, "why", why);
		free(why);
	}
	js_put(check, "findings", shown);
	return check;
}

static void keep(struct registry *r, const struct cert *c)
{
	struct js *found = cert_save_check(c);

	store_put(r->store, "check", c->name, found);
	js_free(found);
}

void registry_check_over(struct registry *r, struct cert *c)
{
	if (!c->check)
		return;
	cert_set_check(c, NULL);
	keep(r, c);
}

static void note(struct registry *r, struct cert *c, const struct js *findings)
{
	bool was = cert_is_at_risk(c), is;
	struct js *detail;

	cert_set_check(c, check_of(findings, kept_of(findings)));
	cert_set_standing(c, finding_gather(findings, "dnssec", KEPT), finding_gather(findings, "caa", KEPT));
	keep(r, c);
	is = cert_is_at_risk(c);
	if (was == is)
		return;
	detail = js_object();
	js_put_str(detail, "detail", js_str(c->check, "why"));
	registry_event(r, c, is ? "at-risk" : "safe", detail, true);
	if (is)
		log_warning("the next renewal would fail", "cert", c->name, "because", js_str(c->check, "why"), "next", log_time(c->next_at), NULL);
	else
		log_notice("nothing is known any more that would make the next renewal fail", "cert", c->name, NULL);
}

/* Whoever asked hears of it, and may ask anew for the same one; NULL: it is not configured any more. */
static void tell(struct checking *k, const struct js *check)
{
	struct registry *r = k->r;
	struct registry_check *w;

	TAILQ_REMOVE(&r->checks, k, link);
	while ((w = LIST_FIRST(&k->waits))) {
		void (*done)(void *, const struct js *) = w->done;
		void *arg = w->arg;

		LIST_REMOVE(w, link);
		free(w);
		done(arg, check);
	}
	checking_free(k);
	pump(r);
}

static void checked(void *arg, const struct js *findings)
{
	struct checking *k = arg;
	struct cert *c = registry_find(k->r, k->cert);
	struct js *check = check_of(findings, js_ref((struct js *)findings));

	k->run = NULL;
	k->r->checks_running--;
	if (c && c->conf->digest == k->digest && c->generation == k->generation) /* else it is about what was */
		note(k->r, c, findings);
	tell(k, c ? check : NULL);
	js_free(check);
}

static void gone(void *arg)
{
	tell(arg, NULL);
}

/* --- doing it ----------------------------------------------------------------------------------------------------------------------- */

static bool hold_part(struct checking *k, struct part *part)
{
	if (!part || !part_ready(&k->r->parts, part))
		return false;
	part_hold(part);
	k->parts[k->nparts++] = part;
	return true;
}

static void tell_unusable(struct js *findings, enum finding verdict, const char *what, const char *name, const struct part *part)
{
	finding_add(findings, verdict, what, name, "cannot be used: %s", part ? part->err.detail : "it is not configured");
}

/* Those of its methods that can be used. An order makes do with these; what cannot be used is told. */
static size_t hold_methods(struct checking *k, const struct conf_cert *conf, struct js *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->prove.n; i++)
		if (hold_part(k, parts_method(&k->r->parts, &conf->prove.v[i])))
			k->methods[n++] = k->parts[k->nparts - 1]->method;
	for (size_t i = 0; n < conf->prove.n && i < conf->prove.n; i++) {
		const struct part *part = parts_method(&k->r->parts, &conf->prove.v[i]);

		if (!part || !part->method)
			tell_unusable(findings, n ? FINDING_WARN : FINDING_FAIL, "method", conf->prove.v[i].name, part);
	}
	return n;
}

/* What a service does not show now it would not show then. */
static void tell_services(const struct cert *c, bool looked_at, struct js *findings)
{
	for (size_t i = 0; i < c->ntargets; i++) {
		const struct cert_target *t = &c->targets[i];
		char *name = mem_printf("%s at %s", t->service, t->address);

		if (t->ok && !looked_at)
			finding_add(findings, FINDING_UNTESTED, "service", name, "it is not looked at between a failed attempt and the next: it served what is installed "
				"before");
		else
			finding_add(findings, t->ok ? FINDING_OK : FINDING_WARN, "service", name, "%s", t->ok ? "it serves what is installed" : t->text);
		free(name);
	}
}

static void look_ahead(struct checking *k, struct cert *c)
{
	struct registry *r = k->r;
	struct preflight_plan plan = {.conf = c->conf, .findings = js_array(), .caa = r->make.caa, .caa_cancel = r->make.caa_cancel, .arg = r->make.arg};
	struct part *ca = parts_issuer(&r->parts, c->conf->ca->name);
	size_t n = c->conf->prove.n;

	k->conf = conf_ref(r->conf);
	plan.keeper = r->keeper;
	plan.digest = k->conf->digest;
	k->digest = c->conf->digest;
	k->generation = c->generation;
	k->parts = mem_array(n + 1, sizeof(*k->parts));
	k->methods = mem_array(n + 1, sizeof(*k->methods));
	plan.nmethods = hold_methods(k, c->conf, plan.findings);
	if (!hold_part(k, ca))
		tell_unusable(plan.findings, FINDING_FAIL, "ca", c->conf->ca->name, ca);
	plan.methods = k->methods;
	plan.issuer = ca ? ca->issuer : NULL;
	tell_services(c, k->looked, plan.findings);
	k->run = preflight_start(&plan, checked, k);
}

static void looked(void *arg)
{
	struct checking *k = arg;
	struct cert *c = registry_find(k->r, k->cert);

	k->looking = false;
	k->looked = true;
	if (c) {
		look_ahead(k, c);
		return;
	}
	k->r->checks_running--;
	tell(k, NULL);
}

static void start(struct checking *k, struct cert *c)
{
	k->r->checks_running++;
	k->looking = registry_glance(k->r, c, looked, k);
	if (!k->looking)
		look_ahead(k, c);
}

static struct checking *checking_of(struct registry *r, const char *cert)
{
	struct checking *k;

	TAILQ_FOREACH(k, &r->checks, link)
		if (strcmp(k->cert, cert) == 0)
			return k;
	return NULL;
}

static struct checking *checking_ensure(struct registry *r, const char *cert)
{
	struct checking *k = checking_of(r, cert);

	if (k)
		return k;
	k = mem_alloc(sizeof(*k));
	k->r = r;
	k->cert = mem_strdup(cert);
	LIST_INIT(&k->waits);
	TAILQ_INSERT_TAIL(&r->checks, k, link);
	return k;
}

/* Nothing is wrong with it as far as is known, and its time comes. */
static bool is_ahead(const struct cert *c)
{
	return c->conf->enabled && !c->order && !c->waiting && !c->asking && !c->unknown && !c->attempts && c->state != CERT_HELD && registry_current(c) &&
		c->next_at && c->next_at - clock_now() <= AHEAD_S;
}

static void start_in_line(struct registry *r, bool awaited)
{
	struct checking *k;

	TAILQ_FOREACH(k, &r->checks, link) {
		struct cert *c;

		if (r->checks_running >= CHECKS_AT_ONCE)
			return;
		if (k->run || k->looking || k->gone || LIST_EMPTY(&k->waits) == awaited)
			continue;
		c = registry_find(r, k->cert);
		if (c) {
			start(k, c);
		} else {
			k->gone = true;
			loop_defer(gone, k);
		}
	}
}

static void pump(struct registry *r)
{
	start_in_line(r, true); /* before the many that nobody waits for */
	start_in_line(r, false);
	while (r->check_rota.due && r->checks_running < CHECKS_AT_ONCE && r->ncerts) {
		struct cert *c = r->certs[r->check_rota.next++ % r->ncerts];

		r->check_rota.due--;
		r->check_rounds += r->check_rota.next % r->ncerts == 0;
		if (is_ahead(c) && !checking_of(r, c->name))
			start(checking_ensure(r, c->name), c);
	}
}

void registry_give_checks(struct registry *r)
{
	int64_t every = r->conf && !r->implausible ? r->conf->settings.check_every * 1000 : 0;

	if (!r->check_rounds && every > FIRST_ROUND_MS)
		every = FIRST_ROUND_MS;
	rota_pass(&r->check_rota, r->ncerts, every);
	pump(r);
}

struct registry_check *registry_check(struct registry *r, const struct cert *c, void (*done)(void *arg, const struct js *check), void *arg)
{
	struct registry_check *w = mem_alloc(sizeof(*w));

	w->done = done;
	w->arg = arg;
	LIST_INSERT_HEAD(&checking_ensure(r, c->name)->waits, w, link);
	pump(r);
	return w;
}

/* Types by which a CA (RFC 8555 section 6.7), or we in its place, tells what it met when it looked at a name, as is done here. */
static bool is_about_names(const char *type)
{
	static const char *const types[] = {"caa", "connection", "dns", "dnssec", "incorrectResponse", "unauthorized"};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

void registry_check_failed(struct registry *r, const struct cert *c, const struct err *err)
{
	bool about = is_about_names(err->type);

	for (size_t i = 0; i < err->nsub && i < ERR_SUBS; i++)
		about |= is_about_names(err->sub[i].type);
	if (!about || !r->conf->settings.check_every || llabs(clock_now() - c->standing.at) < FRESH_S)
		return;
	checking_ensure(r, c->name);
	pump(r);
}

void registry_uncheck(struct registry_check *w)
{
	if (!w)
		return;
	LIST_REMOVE(w, link);
	free(w);
}

void registry_end_checks(struct registry *r)
{
	struct checking *k;

	while ((k = TAILQ_FIRST(&r->checks))) {
		TAILQ_REMOVE(&r->checks, k, link);
		checking_free(k);
	}
}
