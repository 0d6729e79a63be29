/* SPDX-License-Identifier: ISC */
#include "core/preflight.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/loop.h"
#include "io/rpc.h"

enum { KEEPER_MS = 30000 };

struct job { /* one name */
	struct preflight *p;
	const char *name, *base; /* base: without "*." */
	bool wildcard, begun, ended;
	struct method *how;      /* NULL: none, or not chosen yet */
	struct err why_not;
	struct caa_look *caa;
	struct method_call *call;
	struct js *findings;
};

struct preflight {
	struct preflight_plan plan;
	struct arena *arena;
	struct issuer_call *asking;
	struct rpc_call *probing; /* the keeper */
	struct issuer_identity identity;
	struct job *job;
	size_t n, left;
	struct timer limit;
	preflight_done *done;
	void *arg;
};

/* --- life ------------------------------------------------------------------------------------------------------------------------- */

static void job_stop(struct job *j)
{
	if (j->caa)
		j->p->plan.caa_cancel(j->caa);
	if (j->call)
		j->how->ops->cancel(j->call);
	j->caa = NULL;
	j->call = NULL;
}

void preflight_cancel(struct preflight *p)
{
	if (!p)
		return;
	if (p->asking)
		p->plan.issuer->ops->cancel(p->asking);
	rpc_cancel(p->probing);
	for (size_t i = 0; i < p->n; i++) {
		job_stop(&p->job[i]);
		loop_undefer(&p->job[i]);
		js_free(p->job[i].findings);
	}
	timer_disarm(&p->limit);
	loop_undefer(p);
	js_free(p->plan.findings);
	arena_free(p->arena);
	free(p);
}

static void finish(void *arg)
{
	struct preflight *p = arg;
	preflight_done *done = p->done;
	void *done_arg = p->arg;
	struct js *all = js_ref(p->plan.findings);

	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < js_len(p->job[i].findings); k++)
			js_add(all, js_ref(js_at(p->job[i].findings, k)));
	preflight_cancel(p);
	done(done_arg, all);
	js_free(all);
}

static void expired(void *arg)
{
	struct preflight *p = arg;

	for (size_t i = 0; i < p->n; i++)
		if (!p->job[i].ended) {
			job_stop(&p->job[i]);
			finding_add(p->job[i].findings, FINDING_UNTESTED, "time", p->job[i].name, "given up after %d s", PREFLIGHT_S);
		}
	finish(p);
}

/* One of what must end has. */
static void count_down(struct preflight *p)
{
	if (--p->left == 0)
		loop_defer(finish, p);
}

/* --- targets and webroots ----------------------------------------------------------------------------------------------------------- */

static void probed(void *arg, const struct js *answer, const struct err *err)
{
	struct preflight *p = arg;
	struct js *places = answer ? js_arr(answer, "places") : NULL;

	p->probing = NULL;
	if (err)
		finding_add(p->plan.findings, FINDING_UNTESTED, "target", p->plan.conf->name, "the keeper does not tell where it may write: %s", err->detail);
	for (size_t i = 0; i < js_len(places); i++) {
		const struct js *one = js_at(places, i);
		const char *problem = js_str(one, "problem"), *what = js_str(one, "what"), *name = js_str(one, "name");

		finding_add(p->plan.findings, problem ? FINDING_FAIL : FINDING_OK, what ? what : "target", name ? name : "", "%s",
			problem ? problem : "the keeper may write there");
	}
	count_down(p);
}

static void probe(struct preflight *p)
{
	struct js *request = js_object();

	js_put_str(request, "op", "probe");
	js_put_str(request, "conf", p->plan.digest);
	js_put_str(request, "cert", p->plan.conf->name);
	p->left++;
	p->probing = rpc_send(p->plan.keeper, request, KEEPER_MS, probed, p);
}

/* --- the method's own look ahead ---------------------------------------------------------------------------------------------------- */

static void begin_more(struct preflight *p);

static void job_end(void *arg)
{
	struct job *j = arg;
	struct preflight *p = j->p;

	j->ended = true;
	count_down(p);
	begin_more(p);
}

/* What a method sees of the outside is only from here: unless its own look must see all, as with DNS, or is made to, it does not decide. */
static bool is_decisive(const struct job *j)
{
	return j->how->ops->strict || j->p->plan.conf->self_check == CONF_CHECK_REQUIRE;
}

static void checked(void *arg, const struct js *report, const struct err *err)
{
	struct job *j = arg;

	j->call = NULL;
	if (err)
		finding_add(j->findings, is_decisive(j) ? FINDING_FAIL : FINDING_WARN, "proof", j->name, "%s: %s", j->how->name, err->detail);
	for (size_t i = 0; i < js_len(report); i++) {
		const struct js *one = js_at(report, i);
		enum finding verdict = finding_verdict(one);

		if (verdict == FINDING_FAIL && !is_decisive(j))
			verdict = FINDING_WARN;
		finding_add(j->findings, verdict, js_str(one, "what"), js_str(one, "name"), "%s", js_str(one, "text"));
	}
	job_end(j);
}

/* The first that fits, before those of which only trying tells: as an order chooses it, but for what the CA offers. */
static void choose(struct job *j)
{
	struct method *perhaps = NULL;

	err_set(&j->why_not, ERR_DENIED, "no-method", "no entry of `prove` can be used");
	for (size_t i = 0; i < j->p->plan.nmethods; i++) {
		struct method *how = j->p->plan.methods[i];
		enum method_fit fit = how->ops->fits(how, j->base, j->wildcard, &j->why_not);

		if (fit == METHOD_YES) {
			j->how = how;
			return;
		}
		if (fit == METHOD_PERHAPS && !perhaps)
			perhaps = how;
	}
	j->how = perhaps;
}

/* A name and its wildcard are proven at one place. */
static bool is_looked_at(const struct job *j)
{
	for (const struct job *other = j->p->job; other < j->p->job + j->p->n; other++)
		if (other < j && other->how == j->how && strcmp(other->base, j->base) == 0)
			return true;
	return false;
}

static void look_ahead(struct job *j)
{
	struct method_proof proof = {.ca = j->p->plan.conf->ca->name, .name = j->base, .wildcard = j->wildcard};

	if (!j->how) {
		finding_add(j->findings, FINDING_FAIL, "method", j->name, "nothing can prove it: %s", j->why_not.detail);
	} else if (!j->how->ops->check) {
		finding_add(j->findings, FINDING_UNTESTED, "proof", j->name, "%s cannot look ahead", j->how->name);
	} else if (!is_looked_at(j)) {
		j->call = j->how->ops->check(j->how, &proof, checked, j);
		return;
	}
	loop_defer(job_end, j);
}

/* --- CAA and DNSSEC ----------------------------------------------------------------------------------------------------------------- */

static void add_caa(struct job *j, const struct caa_seen *seen)
{
	static const struct {
		enum finding finding;
		const char *state;
	} verdicts[] = {
		[CAA_FREE] = {FINDING_OK, "free"}, [CAA_ALLOWED] = {FINDING_OK, "allowed"},
		[CAA_UNSURE] = {FINDING_WARN, "unsure"}, [CAA_FORBIDDEN] = {FINDING_FAIL, "forbidden"},
	};
	const struct issuer_identity *id = &j->p->identity;
	struct caa_ask ask = {.issuers = id->names, .nissuers = id->n, .account = id->account, .challenge = j->how ? j->how->ops->challenge : "",
		.wildcard = j->wildcard};
	char text[CAA_TEXT];
	enum caa_verdict verdict = caa_check(seen->set, seen->n, &ask, text);
	struct js *told;

	if (seen->n)
		told = finding_add(j->findings, verdicts[verdict].finding, "caa", j->name, "the CAA records of %s %s", seen->name, text);
	else
		told = finding_add(j->findings, FINDING_OK, "caa", j->name, "neither it nor a parent has CAA records: any CA may issue");
	js_put_str(told, "state", seen->n ? verdicts[verdict].state : "none");
}

static void add_dnssec(struct job *j, const struct caa_seen *seen)
{
	static const char *const states[] = {
		[CAA_SECURE] = "secure", [CAA_UNSIGNED] = "insecure", [CAA_UNVALIDATED] = "unvalidated", [CAA_BOGUS] = "bogus",
	};
	struct js *told = NULL;

	switch (seen->dnssec) {
	case CAA_SECURE:
		told = finding_add(j->findings, FINDING_OK, "dnssec", j->name, "signed, and validated by %s", seen->server);
		break;
	case CAA_UNSIGNED:
		told = finding_add(j->findings, FINDING_OK, "dnssec", j->name, "not signed, says %s", seen->server);
		break;
	case CAA_UNVALIDATED:
		told = finding_add(j->findings, FINDING_UNTESTED, "dnssec", j->name,
			"%s does not validate, so broken signatures would not be seen here: name a server that does in `resolvers`", seen->server);
		break;
	case CAA_BOGUS:
		told = finding_add(j->findings, FINDING_FAIL, "dnssec", j->name,
			"the signatures of %s are wrong (bogus): %s answers only when told not to check them%s%s, and CAs do check", seen->bogus, seen->server,
			*seen->reason ? "; it says: " : "", seen->reason);
		break;
	}
	js_put_str(told, "state", states[seen->dnssec]);
}

static void caa_found(void *arg, const struct caa_seen *seen, const struct err *err)
{
	struct job *j = arg;

	j->caa = NULL;
	if (err)
		js_put_str(finding_add(j->findings, FINDING_FAIL, "caa", j->name, "%s", err->detail), "state", "unknown");
	else if (seen->dnssec != CAA_BOGUS)
		add_caa(j, seen);
	if (!err)
		add_dnssec(j, seen);
	look_ahead(j);
}

/* --- one name after the other ------------------------------------------------------------------------------------------------------- */

static void job_begin(struct job *j)
{
	const struct preflight_plan *plan = &j->p->plan;

	j->begun = true;
	choose(j);
	if (plan->caa)
		j->caa = plan->caa(plan->arg, j->base, caa_found, j);
	else
		look_ahead(j);
}

static void begin_more(struct preflight *p)
{
	size_t running = 0;

	for (size_t i = 0; i < p->n && running < PREFLIGHT_AT_ONCE; i++) {
		struct job *j = &p->job[i];

		if (!j->begun)
			job_begin(j);
		running += !j->ended;
	}
}

static void identified(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	struct preflight *p = arg;
	const struct issuer_identity *id = answer ? answer->identity : NULL;
	const char **names;

	p->asking = NULL;
	if (err)
		finding_add(p->plan.findings, FINDING_WARN, "ca", p->plan.conf->ca->name, "it does not answer now: %s", err->detail);
	if (id) {
		names = arena_array(p->arena, id->n + 1, sizeof(*names));
		for (size_t i = 0; i < id->n; i++)
			names[i] = arena_strdup(p->arena, id->names[i]);
		p->identity = (struct issuer_identity){names, id->n, arena_strdup(p->arena, id->account)};
	}
	begin_more(p);
}

static void begin(void *arg)
{
	struct preflight *p = arg;
	struct issuer *is = p->plan.issuer;

	if (is && is->ops->identify)
		p->asking = is->ops->identify(is, identified, p);
	else
		begin_more(p);
}

struct preflight *preflight_start(const struct preflight_plan *plan, preflight_done *done, void *arg)
{
	const struct conf_list *names = &plan->conf->names;
	struct preflight *p = mem_alloc(sizeof(*p));

	p->plan = *plan;
	if (!p->plan.findings)
		p->plan.findings = js_array();
	p->arena = arena_new();
	p->job = arena_array(p->arena, names->n + 1, sizeof(*p->job));
	p->n = p->left = names->n;
	p->done = done;
	p->arg = arg;
	for (size_t i = 0; i < names->n; i++) {
		bool wildcard = strncmp(names->v[i], "*.", 2) == 0;

		p->job[i] = (struct job){.p = p, .name = names->v[i], .base = names->v[i] + (wildcard ? 2 : 0), .wildcard = wildcard,
			.findings = js_array()};
	}
	if (plan->keeper)
		probe(p);
	timer_arm(&p->limit, PREFLIGHT_S * 1000, expired, p);
	loop_defer(begin, p);
	return p;
}
