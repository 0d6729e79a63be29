/* SPDX-License-Identifier: ISC */
#include "core/cert.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "core/order.h"
#include "prove/finding.h"

static const char *const state_names[CERT_STATES] = {
	[CERT_WAITING] = "waiting",       [CERT_ORDERING] = "ordering",   [CERT_PROVING] = "proving",   [CERT_ISSUING] = "issuing",
	[CERT_INSTALLING] = "installing", [CERT_RELOADING] = "reloading", [CERT_LOOKING] = "looking",   [CERT_STALE] = "stale",
	[CERT_FAILED] = "failed",         [CERT_HELD] = "held",           [CERT_DISABLED] = "disabled",
};

static const char *const step_names[] = {"issue", "renew", "retry", "look", "withdraw"};

const char *cert_state_name(enum cert_state s)
{
	return state_names[s];
}

static enum cert_state state_find(const char *name)
{
	for (int i = 0; name && i < CERT_STATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return (enum cert_state)i;
	return CERT_WAITING;
}

/* The constant for a word read back, so that next_step never dangles. */
static const char *step_find(const char *name)
{
	for (size_t i = 0; name && i < sizeof(step_names) / sizeof(step_names[0]); i++)
		if (strcmp(step_names[i], name) == 0)
			return step_names[i];
	return NULL;
}

struct cert *cert_new(const char *name)
{
	struct cert *c = mem_alloc(sizeof(*c));

	c->name = mem_strdup(name);
	return c;
}

static void cert_free_leaf(struct cert *c)
{
	free(c->serial);
	free(c->fingerprint);
	free(c->issuer);
	c->serial = c->fingerprint = c->issuer = NULL;
}

void cert_free(struct cert *c)
{
	if (!c)
		return;
	order_free(c->order);
	js_free(c->products);
	free(c->chain);
	js_free(c->check);
	cert_forget_standing(c);
	cert_reset_targets(c);
	free(c->targets);
	cert_free_leaf(c);
	free(c->last_error);
	free((char *)c->ca);
	free((char *)c->name);
	free(c);
}

void cert_set_chain(struct cert *c, char *chain)
{
	c->chain_changed |= c->chain || chain;
	free(c->chain);
	c->chain = chain;
}

void cert_set_ca(struct cert *c, const char *ca)
{
	char *copy = ca ? mem_strdup(ca) : NULL;

	free((char *)c->ca);
	c->ca = copy;
}

void cert_set_leaf(struct cert *c, const struct x509_leaf *leaf)
{
	cert_free_leaf(c);
	c->not_before = c->not_after = 0;
	c->length = 0;
	if (!leaf)
		return;
	c->length = leaf->length;
	c->not_before = leaf->not_before;
	c->not_after = leaf->not_after;
	c->serial = mem_strdup(leaf->serial);
	c->fingerprint = mem_strdup(leaf->fingerprint);
	c->issuer = mem_strdup(leaf->issuer);
}

/* Nothing for a plain folder: what an earlier version remembered of one is still so. */
static bool add_forms(struct buf *b, const struct conf_target *t)
{
	bool ok = !(t->bundle || t->pkcs12 || t->der) || buf_printf(b, "forms %d %d %d\n", t->bundle, t->pkcs12, t->der);

	for (int i = 0; i < CONF_PARTS; i++)
		ok = ok && (!t->file[i] || buf_printf(b, "file %d %s\n", i, t->file[i]));
	return ok && (!t->pkcs12_password || buf_printf(b, "password %s\n", t->pkcs12_password));
}

uint64_t cert_place(const struct conf_cert *conf)
{
	struct buf b;
	uint64_t hash;
	bool ok;

	buf_init(&b, 0);
	ok = buf_printf(&b, "place\n");
	for (size_t i = 0; i < conf->install.n; i++) {
		const struct conf_target *t = &conf->install.v[i];

		ok = ok && buf_printf(&b, "%s %s %s %o\n", t->dir ? t->dir : "", t->owner ? t->owner : "", t->group ? t->group : "", t->mode) &&
			add_forms(&b, t);
	}
	for (size_t i = 0; i < conf->service.n; i++)
		ok = ok && buf_printf(&b, "%s\n", conf->service.v[i]->name);
	hash = ok ? text_hash(b.data) : 0;
	buf_free(&b);
	return hash ? hash : 1;
}

void cert_set_error(struct cert *c, const struct err *err, int64_t at)
{
	free(c->last_error);
	c->last_error = NULL;
	c->last_error_at = 0;
	if (!err)
		return;
	c->last_error = mem_alloc(sizeof(*err));
	*c->last_error = *err;
	c->last_error_at = at;
}

void cert_set_check(struct cert *c, struct js *check)
{
	js_free(c->check);
	c->check = check;
}

void cert_set_standing(struct cert *c, struct js *dnssec, struct js *caa)
{
	js_free(c->standing.dnssec);
	js_free(c->standing.caa);
	c->standing = (struct cert_standing){.at = clock_now(), .dnssec = dnssec, .caa = caa};
}

void cert_forget_standing(struct cert *c)
{
	cert_set_standing(c, NULL, NULL);
	c->standing.at = 0;
}

bool cert_is_at_risk(const struct cert *c)
{
	return c->check && finding_find(js_str(c->check, "verdict")) == FINDING_FAIL;
}

bool cert_keep_targets(struct cert *c, bool (*keep)(const void *arg, const struct cert_target *t), const void *arg)
{
	size_t n = c->ntargets, kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct cert_target *t = &c->targets[i];

		if (keep && keep(arg, t)) {
			c->targets[kept++] = *t;
			continue;
		}
		for (char **text = (char *[]){t->service, t->address, t->serves, t->text}, **end = text + 4; text < end; text++)
			free(*text);
	}
	c->ntargets = kept;
	return kept < n;
}

void cert_reset_targets(struct cert *c)
{
	cert_keep_targets(c, NULL, NULL);
}

struct cert_target *cert_target(struct cert *c, const char *service, const char *address)
{
	static struct cert_target spare; /* beyond the cap: looked at all the same, not remembered */
	struct cert_target *t;

	for (size_t i = 0; i < c->ntargets; i++)
		if (strcmp(c->targets[i].service, service) == 0 && strcmp(c->targets[i].address, address) == 0)
			return &c->targets[i];
	if (c->ntargets == CERT_TARGETS)
		return &spare;
	c->targets = mem_resize(c->targets, c->ntargets + 1, sizeof(*c->targets));
	t = &c->targets[c->ntargets++];
	*t = (struct cert_target){.service = mem_strdup(service), .address = mem_strdup(address), .since = clock_now()};
	return t;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void replace_text(char **at, const char *text)
{
	char *copy = text ? mem_strdup(text) : NULL;

	free(*at);
	*at = copy;
}

bool cert_target_note(struct cert_target *t, const struct x509_leaf *serves, const char *text)
{
	const char *fingerprint = serves ? serves->fingerprint : NULL;
	bool ok = !text;

	if (t->ok == ok && same_text(t->serves, fingerprint) && same_text(t->text, text))
		return false;
	if (t->ok != ok || !same_text(t->serves, fingerprint))
		t->since = clock_now();
	t->ok = ok;
	t->not_after = serves ? serves->not_after : 0;
	replace_text(&t->serves, fingerprint);
	replace_text(&t->text, text);
	return true;
}

int64_t cert_ends(const struct cert *c)
{
	int64_t ends = c->not_after;

	for (size_t i = 0; i < c->ntargets; i++)
		if (c->targets[i].not_after && c->targets[i].not_after < ends)
			ends = c->targets[i].not_after;
	return ends;
}

static struct js *targets_save(const struct cert *c)
{
	struct js *list = js_array();

	for (size_t i = 0; i < c->ntargets; i++) {
		const struct cert_target *t = &c->targets[i];
		struct js *v = js_object();

		js_put_str(v, "service", t->service);
		js_put_str(v, "address", t->address);
		js_put_str(v, "serves", t->serves);
		js_put_time(v, "not_after", t->not_after);
		js_put_bool(v, "ok", t->ok);
		js_put_str(v, "text", t->text);
		js_put_time(v, "since", t->since);
		js_add(list, v);
	}
	return list;
}

/* Absent, it stays as it is. */
static void load_time(const struct js *v, const char *name, int64_t *out)
{
	if (js_str(v, name) && !text_time_parse(js_str(v, name), out))
		*out = 0;
}

static void targets_load(struct cert *c, const struct js *list)
{
	for (size_t i = 0; i < js_len(list) && i < CERT_TARGETS; i++) {
		const struct js *v = js_at(list, i);
		struct cert_target *t;

		if (!js_str(v, "service") || !js_str(v, "address"))
			continue;
		t = cert_target(c, js_str(v, "service"), js_str(v, "address"));
		t->ok = js_bool(v, "ok", false);
		replace_text(&t->serves, js_str(v, "serves"));
		replace_text(&t->text, js_str(v, "text"));
		load_time(v, "not_after", &t->not_after);
		load_time(v, "since", &t->since);
	}
}

bool cert_is_back(const struct cert *c)
{
	return c->back.at && c->conf && c->conf->issue == c->back.issue;
}

int64_t cert_back_until(const struct cert *c)
{
	return c->back.at + (c->not_after - c->back.at) / 2;
}

static struct js *error_save(const struct cert *c)
{
	struct js *v;

	if (!c->last_error)
		return NULL;
	v = js_from_err(c->last_error);
	js_put_time(v, "at", c->last_error_at);
	return v;
}

static struct js *back_save(const struct cert_back *b)
{
	struct js *v = js_object();

	js_put_int(v, "at", b->at);
	js_put_int(v, "from", b->from);
	js_put_int(v, "issue", (int64_t)b->issue);
	return v;
}

static struct cert_back back_load(const struct js *v)
{
	return (struct cert_back){.at = js_int(v, "at", 0), .from = js_int(v, "from", 0), .issue = (uint64_t)js_int(v, "issue", 0)};
}

struct js *cert_save(const struct cert *c)
{
	struct js *r = js_object();

	js_put_str(r, "state", cert_state_name(c->state));
	js_put_str(r, "ca", c->ca);
	js_put_int(r, "not_before", c->not_before);
	js_put_int(r, "not_after", c->not_after);
	js_put_str(r, "serial", c->serial);
	js_put_str(r, "fingerprint", c->fingerprint);
	js_put_str(r, "issuer", c->issuer);
	js_put_int(r, "length", (int64_t)c->length);
	js_put_int(r, "generation", c->generation);
	js_put_int(r, "issue", (int64_t)c->issue);
	js_put_int(r, "placed", (int64_t)c->placed);
	if (c->conf)
		js_put_int(r, "wish", (int64_t)c->conf->digest);
	js_put_int(r, "next_at", c->next_at);
	js_put_str(r, "next_step", c->next_step);
	js_put_int(r, "attempts", c->attempts);
	js_put_bool(r, "forced", c->forced);
	js_put_bool(r, "unknown", c->unknown);
	if (c->back.at)
		js_put(r, "back", back_save(&c->back));
	if (c->last_error)
		js_put(r, "last_error", error_save(c));
	js_put(r, "targets", targets_save(c));
	if (c->products)
		js_put(r, "products", js_ref(c->products));
	return r;
}

void cert_load(struct cert *c, const struct js *r)
{
	const struct js *e = js_obj(r, "last_error");
	int64_t attempts = js_int(r, "attempts", 0), at = 0;
	struct err err;

	c->state = state_find(js_str(r, "state"));
	cert_set_ca(c, js_str(r, "ca"));
	c->not_before = js_int(r, "not_before", 0);
	c->not_after = js_int(r, "not_after", 0);
	cert_free_leaf(c);
	c->serial = js_str(r, "serial") ? mem_strdup(js_str(r, "serial")) : NULL;
	c->fingerprint = js_str(r, "fingerprint") ? mem_strdup(js_str(r, "fingerprint")) : NULL;
	c->issuer = js_str(r, "issuer") ? mem_strdup(js_str(r, "issuer")) : NULL;
	c->length = (size_t)js_int(r, "length", 0);
	c->generation = js_int(r, "generation", 0);
	c->issue = (uint64_t)js_int(r, "issue", 0);
	c->placed = (uint64_t)js_int(r, "placed", 0);
	c->next_at = js_int(r, "next_at", 0);
	c->next_step = step_find(js_str(r, "next_step"));
	c->attempts = attempts < 0 ? 0 : attempts > 1000000 ? 1000000 : (unsigned)attempts;
	c->forced = js_bool(r, "forced", false);
	c->unknown = js_bool(r, "unknown", false);
	c->back = back_load(js_obj(r, "back"));
	if (e) {
		js_to_err(e, &err);
		if (!js_str(e, "at") || !text_time_parse(js_str(e, "at"), &at))
			at = 0;
		cert_set_error(c, &err, at);
	}
	targets_load(c, js_arr(r, "targets"));
	js_free(c->products);
	c->products = js_obj(r, "products") ? js_ref(js_obj(r, "products")) : NULL;
}

struct js *cert_save_check(const struct cert *c)
{
	struct js *r = js_object();

	js_put_int(r, "wish", (int64_t)c->conf->digest);
	js_put_int(r, "at", c->standing.at);
	js_put(r, "dnssec", c->standing.dnssec ? js_ref(c->standing.dnssec) : js_array());
	js_put(r, "caa", c->standing.caa ? js_ref(c->standing.caa) : js_array());
	if (c->check)
		js_put(r, "check", js_ref(c->check));
	return r;
}

void cert_load_check(struct cert *c, const struct js *r)
{
	struct js *dnssec = js_arr(r, "dnssec"), *caa = js_arr(r, "caa"), *check = js_obj(r, "check");

	if (!c->conf || js_int(r, "wish", 0) != (int64_t)c->conf->digest || !dnssec || !caa)
		return;
	cert_set_standing(c, js_ref(dnssec), js_ref(caa));
	c->standing.at = js_int(r, "at", 0);
	cert_set_check(c, check ? js_ref(check) : NULL);
}

static struct js *names_show(const struct cert *c)
{
	struct js *list = js_array();

	for (size_t i = 0; c->conf && i < c->conf->names.n; i++)
		js_add_str(list, c->conf->names.v[i]);
	return list;
}

static struct js *standing_show(const struct cert_standing *s)
{
	struct js *v = js_object();

	js_put_time(v, "at", s->at);
	js_put(v, "dnssec", s->dnssec ? js_ref(s->dnssec) : js_array());
	js_put(v, "caa", s->caa ? js_ref(s->caa) : js_array());
	return v;
}

static void show_whole(const struct cert *c, struct js *v)
{
	struct js *prove = js_array(), *install = js_array(), *services = js_array();
	const char *paths[CONF_TARGET_PATHS];

	js_put_str(v, "serial", c->serial);
	js_put_str(v, "fingerprint", c->fingerprint);
	js_put_str(v, "issuer", c->issuer);
	for (size_t i = 0; c->conf && i < c->conf->prove.n; i++) {
		char *method = mem_printf("%s:%s", conf_method_words[c->conf->prove.v[i].kind], c->conf->prove.v[i].name);

		js_add_str(prove, method);
		free(method);
	}
	for (size_t i = 0; c->conf && i < c->conf->install.n; i++)
		for (size_t j = 0, n = conf_target_paths(&c->conf->install.v[i], paths); j < n; j++)
			js_add_str(install, paths[j]);
	for (size_t i = 0; c->conf && i < c->conf->service.n; i++)
		js_add_str(services, c->conf->service.v[i]->name);
	js_put(v, "prove", prove);
	js_put(v, "install", install);
	js_put(v, "services", services);
	js_put(v, "standing", standing_show(&c->standing));
	if (c->conf) {
		js_put_str(v, "file", c->conf->file);
		js_put_int(v, "line", c->conf->line);
	}
	if (c->order)
		js_put(v, "order", order_show(c->order));
}

struct js *cert_show(const struct cert *c, bool whole)
{
	struct js *v = js_object();

	js_put_str(v, "name", c->name);
	js_put(v, "names", names_show(c));
	js_put_str(v, "ca", c->conf ? c->conf->ca->name : c->ca);
	js_put_str(v, "state", cert_state_name(c->state));
	js_put_time(v, "not_before", c->not_before);
	js_put_time(v, "not_after", c->not_after);
	js_put_str(v, "next_step", c->order ? machine_state_name(&c->order->m) : c->next_step);
	js_put_time(v, "next_at", c->next_at);
	js_put_int(v, "attempts", c->attempts);
	if (c->last_error)
		js_put(v, "last_error", error_save(c));
	js_put(v, "targets", targets_save(c));
	js_put_int(v, "generation", c->generation);
	if (c->check && (whole || cert_is_at_risk(c)))
		js_put(v, "check", js_ref(c->check));
	if (whole)
		show_whole(c, v);
	return v;
}
