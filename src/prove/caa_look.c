/* SPDX-License-Identifier: ISC */
#include "prove/caa_look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"

enum { SERVERS = 3, ASK_MS = 5000, QUESTIONS_MAX = 200 };

enum step {
	STEP_CLIMB,     /* CAA of the name and its parents */
	STEP_UNCHECKED, /* the same question, without validation: is it the signatures? */
	STEP_VALIDATES, /* SOA of the root, which every server that validates must find signed */
};

struct caa_look {
	struct asker *asker;
	struct arena *arena;
	struct addr server[SERVERS];
	size_t nservers, at;   /* the one that is asked */
	char base[DNS_NAME_TEXT];
	const char *name;      /* that is asked for: base or what is behind its dots */
	enum step step;
	struct dns_query *query;
	unsigned asked;
	bool secure, validates; /* the answer about the name; any answer */
	char said[300];         /* by servers that were of no use for this question */
	char server_text[ADDR_TEXT], reason[DNS_REASON];
	struct caa_record set[CAA_RECORDS_MAX];
	struct caa_seen seen;
	struct err err;
	caa_looked *done;
	void *arg;
};

static void look_free(struct caa_look *l)
{
	arena_free(l->arena);
	free(l);
}

void caa_look_cancel(struct caa_look *l)
{
	if (!l)
		return;
	loop_undefer(l);
	l->asker->ops->cancel(l->query);
	look_free(l);
}

static void finish(void *arg)
{
	struct caa_look *l = arg;

	l->done(l->arg, l->err.kind == ERR_NONE ? &l->seen : NULL, l->err.kind == ERR_NONE ? NULL : &l->err);
	look_free(l);
}

/* --- the set --------------------------------------------------------------------------------------------------------------------- */

static bool take_record(void *arg, const struct dns_rr *rr)
{
	struct caa_look *l = arg;
	struct caa_record r;

	if (rr->section != DNS_ANSWER || rr->type != DNS_CAA || rr->class != 1)
		return true;
	if (l->seen.n == CAA_RECORDS_MAX) {
		l->set[CAA_RECORDS_MAX - 1] = (struct caa_record){.broken = true};
		return false;
	}
	r = caa_read(rr);
	if (!r.broken)
		r.value = memcpy(arena_alloc(l->arena, r.len + 1), r.value, r.len);
	l->set[l->seen.n++] = r;
	return true;
}

/* --- asking ---------------------------------------------------------------------------------------------------------------------- */

static void ask(struct caa_look *l);

static void climb_on(struct caa_look *l, const char *name)
{
	l->name = name;
	l->step = STEP_CLIMB;
	l->at = 0;
	l->said[0] = '\0';
	ask(l);
}

static void settle(struct caa_look *l)
{
	l->seen.dnssec = l->secure ? CAA_SECURE : l->validates ? CAA_UNSIGNED : CAA_UNVALIDATED;
	if (!l->secure && !l->validates && l->step == STEP_CLIMB) {
		l->step = STEP_VALIDATES;
		ask(l);
		return;
	}
	loop_defer(finish, l);
}

/* The server that is asked cannot answer: the next one may. */
static void next_server(struct caa_look *l, const char *said)
{
	size_t used = strlen(l->said);

	snprintf(l->said + used, sizeof(l->said) - used, "%s%s: %s", used ? "; " : "", l->server_text, said);
	l->at++;
	if (l->step == STEP_VALIDATES) {
		settle(l);
	} else if (l->at < l->nservers) {
		l->step = STEP_CLIMB;
		ask(l);
	} else {
		err_set(&l->err, ERR_TEMP, "dns", "the CAA records of %.200s cannot be looked up, so CAs will not issue: %s", l->name, l->said);
		loop_defer(finish, l);
	}
}

static void bogus(struct caa_look *l)
{
	l->seen.dnssec = CAA_BOGUS;
	l->seen.bogus = l->name;
	l->seen.n = 0;
	loop_defer(finish, l);
}

static void climbed(struct caa_look *l, const struct dns_answer *a)
{
	const char *parent = dns_name_parent(l->name);

	l->secure |= a->head.ad && l->name == l->base; /* its parents may be less than it is, to a resolver that trusts it by itself */
	l->validates |= a->head.ad;
	l->seen.n = 0;
	if (!dns_walk(a->msg, a->len, take_record, l)) {
		l->seen.n = 0;
		next_server(l, "a broken answer");
	} else if (l->seen.n || !*parent) {
		l->seen.name = l->seen.n ? l->name : "";
		settle(l);
	} else {
		climb_on(l, parent);
	}
}

static void failed(struct caa_look *l, const struct dns_answer *a)
{
	char said[sizeof(l->reason) + 32];

	dns_read_reason(a->msg, a->len, l->reason);
	if (l->step == STEP_CLIMB && a->head.rcode == DNS_SERVFAIL) {
		l->step = STEP_UNCHECKED;
		ask(l);
		return;
	}
	snprintf(said, sizeof(said), "%s%s%s", dns_rcode_name(a->head.rcode), *l->reason ? ", " : "", l->reason);
	next_server(l, said);
}

static void heard(void *arg, const struct dns_answer *a)
{
	struct caa_look *l = arg;
	bool good = a->how == DNS_ANSWERED && (a->head.rcode == DNS_NOERROR || a->head.rcode == DNS_NXDOMAIN);

	l->query = NULL;
	if (a->how != DNS_ANSWERED) {
		next_server(l, a->text ? a->text : "no answer");
	} else if (!good) {
		failed(l, a);
	} else if (l->step == STEP_UNCHECKED) {
		bogus(l);
	} else if (l->step == STEP_VALIDATES) {
		l->validates = a->head.ad;
		settle(l);
	} else {
		climbed(l, a);
	}
}

static void ask(struct caa_look *l)
{
	bool root = l->step == STEP_VALIDATES;
	struct dns_ask q = {.to = l->server[l->at < l->nservers ? l->at : 0], .name = root ? "" : l->name, .type = root ? DNS_SOA : DNS_CAA,
		.bits = DNS_RD | DNS_AD | (l->step == STEP_UNCHECKED ? DNS_CD : 0), .timeout_ms = ASK_MS};

	if (++l->asked > QUESTIONS_MAX) {
		err_set(&l->err, ERR_TEMP, "dns", "the CAA records of %.200s: given up after %d questions", l->base, QUESTIONS_MAX);
		loop_defer(finish, l);
		return;
	}
	addr_format(&q.to, l->server_text);
	l->query = l->asker->ops->ask(l->asker, &q, heard, l);
}

static void begin(void *arg)
{
	climb_on(arg, ((struct caa_look *)arg)->base);
}

struct caa_look *caa_look_start(const struct caa_world *world, const char *name, caa_looked *done, void *arg)
{
	struct caa_look *l = mem_alloc(sizeof(*l));

	l->asker = world->asker;
	l->arena = arena_new();
	l->done = done;
	l->arg = arg;
	l->seen = (struct caa_seen){.name = "", .set = l->set, .bogus = "", .reason = l->reason, .server = l->server_text};
	for (; l->nservers < SERVERS && l->nservers < world->nrecursive; l->nservers++)
		l->server[l->nservers] = world->recursive[l->nservers];
	if (!dns_name_normalise(strncmp(name, "*.", 2) == 0 ? name + 2 : name, l->base) || !*l->base)
		err_set(&l->err, ERR_INPUT, "dns", "'%.200s' is no domain name", name);
	else if (!l->nservers)
		err_set(&l->err, ERR_TEMP, "dns", "there is no recursive server to ask for the CAA records of %.200s", l->base);
	loop_defer(l->err.kind == ERR_NONE ? begin : finish, l);
	return l;
}
