/* SPDX-License-Identifier: ISC */
/* Metrics: OpenMetrics text in pieces. The samples of a family stand together, so each family is a walk over what it tells of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ctl/agent_verbs.h"

enum {
	PIECE = 32 * 1024, /* bytes of one reply, and what the last certificate adds */
	SLICE = 512,	   /* certificates looked at in one turn of the loop */
	NAME_MOST = 64,
};

struct metrics {
	struct agent *agent;
	struct varlink_call *call;
	struct buf text;
	size_t family;
	bool begun;	      /* its head is written */
	char after[NAME_MOST]; /* the last certificate written; they may come and go between two slices */
	size_t looked;
};

#define put(text, ...)                                            \
	do {                                                      \
		if (!buf_printf(text, __VA_ARGS__))               \
			abort(); /* no cap */                     \
	} while (0)

/* --- of all --- */

static void put_build(struct metrics *m, const char *name)
{
	put(&m->text, "%s_info{version=\"%s\"} 1\n", name, m->agent->options.version);
}

static bool count_state(void *arg, struct cert *c)
{
	((size_t *)arg)[c->state]++;
	return true;
}

static void put_states(struct metrics *m, const char *name)
{
	size_t n[CERT_STATES] = {0};

	registry_each(m->agent->options.registry, NULL, count_state, n);
	for (size_t s = 0; s < CERT_STATES; s++)
		put(&m->text, "%s{state=\"%s\"} %zu\n", name, cert_state_name((enum cert_state)s), n[s]);
}

static void put_outcomes(struct metrics *m, const char *name)
{
	size_t n;
	const struct registry_outcome *outcome = registry_outcomes(m->agent->options.registry, &n);

	for (size_t i = 0; i < n; i++)
		put(&m->text, "%s_total{outcome=\"%s\"} %llu\n", name, outcome[i].word, (unsigned long long)outcome[i].times);
}

struct limits {
	struct buf *text;
	const char *name;
};

static void put_limit(void *arg, struct issuer *is)
{
	const struct limits *l = arg;

	put(l->text, "%s{ca=\"%s\"} %lld\n", l->name, is->name, (long long)is->ops->not_before(is));
}

static void put_limits(struct metrics *m, const char *name)
{
	struct limits l = {&m->text, name};

	registry_each_issuer(m->agent->options.registry, put_limit, &l);
}

/* --- of each certificate --- */

static void put_state(struct buf *text, const char *name, const struct cert *c)
{
	put(text, "%s{cert=\"%s\",state=\"%s\"} 1\n", name, c->name, cert_state_name(c->state));
}

static void put_not_before(struct buf *text, const char *name, const struct cert *c)
{
	if (c->not_after)
		put(text, "%s{cert=\"%s\"} %lld\n", name, c->name, (long long)c->not_before);
}

static void put_not_after(struct buf *text, const char *name, const struct cert *c)
{
	if (c->not_after)
		put(text, "%s{cert=\"%s\"} %lld\n", name, c->name, (long long)c->not_after);
}

static void put_next(struct buf *text, const char *name, const struct cert *c)
{
	if (c->next_at)
		put(text, "%s{cert=\"%s\"} %lld\n", name, c->name, (long long)c->next_at);
}

static void put_failures(struct buf *text, const char *name, const struct cert *c)
{
	put(text, "%s{cert=\"%s\"} %u\n", name, c->name, c->attempts);
}

/* Names of services and addresses have no characters that would have to be escaped. */
static void put_stale(struct buf *text, const char *name, const struct cert *c)
{
	for (size_t i = 0; i < c->ntargets; i++)
		put(text, "%s{cert=\"%s\",service=\"%s\",address=\"%s\"} %d\n", name, c->name, c->targets[i].service,
			c->targets[i].address ? c->targets[i].address : "", !c->targets[i].ok);
}

/* --- the families --- */

static const struct family {
	const char *name, *type, *unit, *help;
	void (*all)(struct metrics *m, const char *name); /* one of the two */
	void (*one)(struct buf *text, const char *name, const struct cert *c);
} families[] = {
	{"dovad_build", "info", NULL, "Version of the daemon.", put_build, NULL},
	{"dovad_certificates", "gauge", NULL, "Configured certificates by state.", put_states, NULL},
	{"dovad_outcomes", "counter", NULL, "How attempts ended, and what else became of certificates, since the daemon was started.", put_outcomes, NULL},
	{"dovad_ca_not_before_timestamp_seconds", "gauge", "seconds", "No new order at this CA before, 0: at any time.", put_limits, NULL},
	{"dovad_certificate_state", "gauge", NULL, "The state it is in.", NULL, put_state},
	{"dovad_certificate_not_before_timestamp_seconds", "gauge", "seconds", "Begin of the installed certificate.", NULL, put_not_before},
	{"dovad_certificate_not_after_timestamp_seconds", "gauge", "seconds", "End of the installed certificate.", NULL, put_not_after},
	{"dovad_certificate_next_step_timestamp_seconds", "gauge", "seconds", "When something is done for it next, mostly its renewal.", NULL, put_next},
	{"dovad_certificate_consecutive_failures", "gauge", NULL, "Attempts that failed since one went well.", NULL, put_failures},
	{"dovad_deploy_stale", "gauge", NULL, "1: the service does not serve the installed certificate at this address.", NULL, put_stale},
};

enum { FAMILIES = sizeof families / sizeof families[0] };

static bool write_one(void *arg, struct cert *c)
{
	struct metrics *m = arg;

	if (m->looked == SLICE || m->text.len >= PIECE)
		return false;
	m->looked++;
	families[m->family].one(&m->text, families[m->family].name, c);
	snprintf(m->after, sizeof m->after, "%s", c->name);
	return true;
}

static bool is_one(void *arg, struct cert *c)
{
	(void)c;
	*(bool *)arg = true;
	return false;
}

static bool has_more(const struct metrics *m)
{
	bool more = false;

	registry_each(m->agent->options.registry, m->after[0] ? m->after : NULL, is_one, &more);
	return more;
}

/* A piece of the present family; the next one's turn comes when it is whole. */
static void write_family(struct metrics *m)
{
	const struct family *f = &families[m->family];

	if (!m->begun) {
		put(&m->text, "# TYPE %s %s\n", f->name, f->type);
		if (f->unit)
			put(&m->text, "# UNIT %s %s\n", f->name, f->unit);
		put(&m->text, "# HELP %s %s\n", f->name, f->help);
		m->begun = true;
	}
	if (f->all)
		f->all(m, f->name);
	else
		registry_each(m->agent->options.registry, m->after[0] ? m->after : NULL, write_one, m);
	if (f->one && has_more(m))
		return;
	m->family++;
	m->begun = false;
	m->after[0] = '\0';
}

static bool metrics_step(void *data)
{
	struct metrics *m = data;
	struct js *answer;

	m->looked = 0;
	while (m->family < FAMILIES && m->looked < SLICE && m->text.len < PIECE)
		write_family(m);
	if (m->family < FAMILIES && !varlink_wants_more(m->call) && m->text.len >= PIECE) {
		varlink_expect_more(m->call);
		return true;
	}
	if (m->family < FAMILIES && m->text.len < PIECE)
		return true; /* enough for this turn */
	if (m->family == FAMILIES)
		put(&m->text, "# EOF\n");
	answer = js_object();
	js_put_str(answer, "text", m->text.data);
	buf_reset(&m->text);
	if (m->family == FAMILIES)
		varlink_finish(m->call, answer);
	else
		varlink_progress(m->call, answer);
	return true; /* until the last reply */
}

static void metrics_end(void *data)
{
	struct metrics *m = data;

	buf_free(&m->text);
	free(m);
}

void agent_metrics(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct varlink_ops ops = {metrics_step, metrics_end};
	struct metrics *m = mem_alloc(sizeof *m);

	(void)parameters;
	m->agent = arg;
	m->call = call;
	buf_init(&m->text, 0);
	varlink_keep(call, &ops, m);
}
