/* SPDX-License-Identifier: ISC */
#include "stub_registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "prove/finding.h"

struct registry_watch {
	struct registry_watch *next;
	char *cert;
	void (*fn)(void *arg, const struct js *event);
	void *arg;
	bool dead;
};

struct registry stub;

static const struct conf_ca ca_a = {.name = "ca-a"};
static const struct conf_ca ca_b = {.name = "ca-b"};

static struct js *issuer_status(struct issuer *is)
{
	struct js *status = js_object(), *account = js_object();

	(void)is;
	js_put_str(status, "directory", "https://ca.example.net/directory");
	js_put_str(account, "url", "https://ca.example.net/account/1");
	js_put(status, "account", account);
	js_put_str(status, "nonce", "not for others");
	return status;
}

static int64_t issuer_not_before(const struct issuer *is)
{
	(void)is;
	return stub.not_before;
}

struct js *registry_last_order(struct registry *r, const struct cert *c)
{
	return c == stub_cert(0) && r->last_order ? js_ref(r->last_order) : NULL;
}

void stub_open(size_t ncerts)
{
	static const struct issuer_ops ops = {.status = issuer_status, .not_before = issuer_not_before};
	static struct issuer issuer = {.ops = &ops, .name = "ca-a"};

	stub = (struct registry){.n = ncerts, .v = mem_array(ncerts + 1, sizeof(struct stub_cert)), .issuer = &issuer};
	for (size_t i = 0; i < ncerts; i++) {
		struct stub_cert *s = &stub.v[i];
		char *name = mem_printf("c%05zu", i);

		s->cert = cert_new(name);
		free(name);
		s->names[0] = s->cert->name;
		s->names[1] = i % 2 ? "odd.example.org" : "even.example.org";
		s->conf = (struct conf_cert){.name = s->cert->name,
			.names = {s->names, 2},
			.ca = i % 2 ? &ca_b : &ca_a,
			.enabled = true,
			.file = "/etc/dovad/conf.d/x.conf",
			.line = 3};
		s->cert->conf = &s->conf;
		s->cert->next_step = "renew";
		s->cert->next_at = clock_now() + 86400 * (int64_t)(i + 1);
	}
}

void stub_close(void)
{
	for (size_t i = 0; i < stub.n; i++)
		cert_free(stub.v[i].cert);
	while (stub.watches) {
		struct registry_watch *w = stub.watches;

		stub.watches = w->next;
		free(w->cert);
		free(w);
	}
	js_free(stub.history);
	free(stub.history_cert);
	free(stub.v);
	stub = (struct registry){0};
}

struct cert *stub_cert(size_t i)
{
	return stub.v[i].cert;
}

void stub_remove(size_t i)
{
	cert_free(stub.v[i].cert);
	stub.n--;
	memmove(&stub.v[i], &stub.v[i + 1], (stub.n - i) * sizeof *stub.v);
	for (; i < stub.n; i++) /* they moved */
		stub.v[i].cert->conf = &stub.v[i].conf, stub.v[i].conf.names.v = stub.v[i].names;
}

void stub_event(const char *cert, const char *event)
{
	struct js *v = js_object();

	js_put_time(v, "at", clock_now());
	js_put_str(v, "cert", cert);
	js_put_str(v, "event", event);
	for (struct registry_watch *w = stub.watches; w; w = w->next)
		if (!w->dead && (!w->cert || strcmp(w->cert, cert) == 0))
			w->fn(w->arg, v);
	js_free(v);
}

unsigned stub_watchers(void)
{
	unsigned n = 0;

	for (struct registry_watch *w = stub.watches; w; w = w->next)
		n += !w->dead;
	return n;
}

/* --- core/registry --- */

struct cert *registry_find(struct registry *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->v[i].cert->name, name) == 0)
			return r->v[i].cert;
	return NULL;
}

void registry_each(struct registry *r, const char *after, bool (*fn)(void *arg, struct cert *c), void *arg)
{
	for (size_t i = 0; i < r->n; i++)
		if ((!after || strcmp(r->v[i].cert->name, after) > 0) && !fn(arg, r->v[i].cert))
			return;
}

void registry_summary(struct registry *r, struct registry_summary *out)
{
	r->summaries++;
	*out = (struct registry_summary){.certs = r->n, .trouble = {r->trouble}, .next = r->n ? r->v[0].cert : NULL};
	for (size_t i = 0; i < r->n; i++) {
		out->failing += r->v[i].cert->state == CERT_FAILED || r->v[i].cert->state == CERT_HELD;
		out->stale += r->v[i].cert->state == CERT_STALE;
		out->waiting += r->v[i].cert->state == CERT_WAITING;
		out->at_risk += cert_is_at_risk(r->v[i].cert);
	}
}

void registry_each_issuer(struct registry *r, void (*fn)(void *arg, struct issuer *is), void *arg)
{
	fn(arg, r->issuer);
}

bool registry_renew(struct registry *r, struct cert *c, bool force, struct err *err)
{
	(void)c;
	r->renewals++;
	r->forced = force;
	return r->renew_error.kind == ERR_NONE || err_copy(err, &r->renew_error);
}

struct registry_check {
	char *cert;
	void (*done)(void *arg, const struct js *check);
	void *arg;
};

static void check_free(struct registry_check *w)
{
	stub.checks--;
	loop_undefer(w);
	free(w->cert);
	free(w);
}

static void check_end(void *data)
{
	struct registry_check *w = data;
	bool fails = stub.at_risk && strcmp(stub.at_risk, w->cert) == 0;
	void (*done)(void *, const struct js *) = w->done;
	void *arg = w->arg;
	struct js *check = js_object(), *findings = js_array();

	finding_add(findings, fails ? FINDING_FAIL : FINDING_OK, "caa", w->cert, "the CAA records of it %s", fails ? "allow no CA at all" : "are none");
	js_put_time(check, "at", clock_now());
	js_put_str(check, "verdict", fails ? "fail" : "ok");
	js_put_str(check, "why", fails ? "because" : NULL);
	js_put(check, "findings", findings);
	stub.checks_over++;
	check_free(w);
	done(arg, stub.checks_gone ? NULL : check);
	js_free(check);
}

struct registry_check *registry_check(struct registry *r, const struct cert *c, void (*done)(void *arg, const struct js *check), void *arg)
{
	struct registry_check *w = mem_alloc(sizeof *w);

	*w = (struct registry_check){mem_strdup(c->name), done, arg};
	if (++r->checks > r->checks_most)
		r->checks_most = r->checks;
	if (!r->checks_silent)
		loop_defer(check_end, w);
	return w;
}

void registry_uncheck(struct registry_check *w)
{
	if (w)
		check_free(w);
}

void registry_revoke(
	struct registry *r, struct cert *c, int reason, void (*done)(void *arg, const struct err *err), void *arg)
{
	(void)c;
	r->reason = reason;
	r->revoked = done;
	r->revoked_arg = arg;
}

const struct registry_outcome *registry_outcomes(const struct registry *r, size_t *n)
{
	static const struct registry_outcome outcomes[] = {{"done", 3}, {"rolled-back", 1}};

	(void)r;
	*n = 2;
	return outcomes;
}

void registry_inventory(struct registry *r, const char *ca, enum issuer_list what, void (*done)(void *arg, const struct js *list, const struct err *err), void *arg)
{
	r->inventory = mem_printf("%s %d", ca, (int)what);
	r->listed = done;
	r->listed_arg = arg;
}

void registry_back(struct registry *r, struct cert *c, void (*done)(void *arg, const struct err *err), void *arg)
{
	(void)c;
	r->back = done;
	r->back_arg = arg;
}

struct registry_watch *registry_watch(
	struct registry *r, const char *cert, void (*fn)(void *arg, const struct js *event), void *arg)
{
	struct registry_watch *w = mem_alloc(sizeof *w);

	*w = (struct registry_watch){.next = r->watches, .cert = cert ? mem_strdup(cert) : NULL, .fn = fn, .arg = arg};
	r->watches = w;
	return w;
}

void registry_unwatch(struct registry_watch *w)
{
	w->dead = true;
}

struct js *store_history(struct store *s, const char *cert, size_t limit)
{
	(void)s;
	stub.history_limit = limit;
	free(stub.history_cert);
	stub.history_cert = cert ? mem_strdup(cert) : NULL;
	return stub.history ? js_ref(stub.history) : js_array();
}
