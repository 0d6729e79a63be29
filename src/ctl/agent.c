/* SPDX-License-Identifier: ISC */
#include "ctl/agent.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/agent_idl.h"
#include "ctl/agent_verbs.h"

enum {
	HISTORY_DEFAULT = 50,
	HISTORY_MOST = 500,
	RELOAD_PROBLEMS = 500,
};

/* A call answered by somebody who calls back once and cannot be cancelled: it outlives the call. */
struct agent_pending {
	TAILQ_ENTRY(agent_pending) link;
	struct agent *agent;
	struct varlink_call *call; /* NULL: the caller is gone */
	bool answered, wait;
	enum issuer_list what;
	char *name;
};

/* --- shared with the other verbs --- */

struct cert *agent_find(struct agent *a, struct varlink_call *call, const struct js *parameters)
{
	const char *name = js_str(parameters, "name");
	struct cert *c = registry_find(a->options.registry, name);
	struct js *which;

	if (c)
		return c;
	which = js_object();
	js_put_str(which, "name", name);
	varlink_fail(call, AGENT_INTERFACE ".NoSuchCertificate", which);
	return NULL;
}

void agent_fail(struct varlink_call *call, const struct err *err)
{
	if (strcmp(err->type, "busy") == 0)
		varlink_fail(call, AGENT_INTERFACE ".Busy", NULL);
	else
		varlink_fail(call, AGENT_INTERFACE ".Failed", js_from_err(err));
}

struct js *agent_certificate(const struct cert *c, bool whole)
{
	struct js *answer = js_object();

	js_put(answer, "certificate", cert_show(c, whole));
	return answer;
}

static struct js *show_whole(struct agent *a, const struct cert *c)
{
	struct js *answer = agent_certificate(c, true), *last = registry_last_order(a->options.registry, c);

	if (last)
		js_put(js_obj(answer, "certificate"), "last_order", last);
	return answer;
}

bool agent_is_failing(const struct cert *c)
{
	return c->state == CERT_FAILED || c->state == CERT_HELD || c->state == CERT_STALE;
}

/* Member by member: the report comes from another process, and only what the interface names goes out. */
static struct js *copy_problem(const struct js *problem)
{
	struct js *o = js_object();
	const char *file = js_str(problem, "file"), *text = js_str(problem, "text");

	js_put_str(o, "file", file ? file : "");
	if (js_int(problem, "line", 0) > 0)
		js_put_int(o, "line", js_int(problem, "line", 0));
	js_put_bool(o, "warning", js_bool(problem, "warning", false));
	js_put_str(o, "text", text ? text : "");
	return o;
}

void agent_put_problems(const struct agent *a, struct js *answer, size_t most)
{
	const struct js *all = js_arr(a->report, "problems"), *paths = js_arr(a->report, "quarantined");
	struct js *problems = js_array(), *quarantined = js_array();
	int64_t warnings = 0;

	for (size_t i = 0; i < js_len(all); i++) {
		warnings += js_bool(js_at(all, i), "warning", false);
		if (i < most)
			js_add(problems, copy_problem(js_at(all, i)));
	}
	for (size_t i = 0; i < js_len(paths) && i < most; i++)
		if (js_str_at(paths, i))
			js_add_str(quarantined, js_str_at(paths, i));
	js_put(answer, "problems", problems);
	js_put_int(answer, "errors", (int64_t)js_len(all) - warnings);
	js_put_int(answer, "warnings", warnings);
	js_put(answer, "quarantined", quarantined);
	js_put_int(answer, "quarantined_count", (int64_t)js_len(paths));
}

void agent_set_report(struct agent *a, const struct js *report)
{
	js_free(a->report);
	a->report = js_ref((struct js *)report);
}

/* --- calls that others answer --- */

static void free_pending(struct agent_pending *p)
{
	TAILQ_REMOVE(&p->agent->pending, p, link);
	free(p->name);
	free(p);
}

static void end_pending(void *data)
{
	struct agent_pending *p = data;

	p->call = NULL;
	if (p->answered)
		free_pending(p);
}

static struct agent_pending *new_pending(struct agent *a, struct varlink_call *call, const char *name)
{
	static const struct varlink_ops ops = {.end = end_pending};
	struct agent_pending *p = mem_alloc(sizeof *p);

	p->agent = a;
	p->call = call;
	p->name = name ? mem_strdup(name) : NULL;
	TAILQ_INSERT_TAIL(&a->pending, p, link);
	varlink_keep(call, &ops, p);
	return p;
}

/* The call, to be answered now, or NULL when nobody waits for it any more (then p is gone). */
static struct varlink_call *settle_pending(struct agent_pending *p)
{
	p->answered = true;
	if (p->call)
		return p->call;
	free_pending(p);
	return NULL;
}

static void reloaded(void *arg, const struct js *report, const struct err *err)
{
	struct agent_pending *p = arg;
	struct agent *a = p->agent;
	struct varlink_call *call = settle_pending(p);
	struct js *answer;

	a->reloading = false;
	if (report)
		agent_set_report(a, report);
	if (!call)
		return;
	if (err) {
		agent_fail(call, err);
		return;
	}
	answer = js_object();
	js_put_str(answer, "digest", js_str(report, "digest"));
	js_put_bool(answer, "changed", js_bool(report, "changed", false));
	agent_put_problems(a, answer, RELOAD_PROBLEMS);
	varlink_finish(call, answer);
}

static void reload(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;

	(void)parameters;
	if (a->reloading) {
		varlink_fail(call, AGENT_INTERFACE ".Busy", NULL);
		return;
	}
	a->reloading = true;
	a->options.reload(a->options.arg, reloaded, new_pending(a, call, NULL));
}

static void revoked(void *arg, const struct err *err)
{
	struct agent_pending *p = arg;
	struct registry *registry = p->agent->options.registry;
	struct cert *c = registry_find(registry, p->name);
	struct varlink_call *call = settle_pending(p);

	if (!call)
		return;
	if (err)
		agent_fail(call, err);
	else
		varlink_finish(call, c ? agent_certificate(c, false) : NULL);
}

static void revoke(void *arg, struct varlink_call *call, const struct js *parameters)
{
	static const struct {
		const char *word;
		int code; /* RFC 5280, section 5.3.1 */
	} reasons[] = {
		{"unspecified", 0},
		{"keyCompromise", 1},
		{"affiliationChanged", 3},
		{"superseded", 4},
		{"cessationOfOperation", 5},
		{"privilegeWithdrawn", 9},
	};
	struct agent *a = arg;
	const char *word = js_str(parameters, "reason");
	size_t i = 0;
	struct cert *c;

	while (word && i < sizeof reasons / sizeof reasons[0] && strcmp(reasons[i].word, word) != 0)
		i++;
	if (i == sizeof reasons / sizeof reasons[0]) {
		varlink_invalid(call, "reason");
		return;
	}
	c = agent_find(a, call, parameters);
	if (c)
		registry_revoke(a->options.registry, c, reasons[i].code, revoked, new_pending(a, call, c->name));
}

/* Its files are back; now the services are told. */
static void put_back(void *arg, const struct err *err)
{
	struct agent_pending *p = arg;
	struct agent *a = p->agent;
	struct cert *c = registry_find(a->options.registry, p->name);
	bool wait = p->wait;
	struct varlink_call *call = settle_pending(p);

	if (!call)
		return;
	if (err) {
		agent_fail(call, err);
	} else if (wait && c) {
		end_pending(p); /* the call has another owner from here on */
		agent_wait(a, call, c);
	} else {
		varlink_finish(call, c ? agent_certificate(c, false) : NULL);
	}
}

static void rollback(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;
	struct cert *c = agent_find(a, call, parameters);
	struct agent_pending *p;

	if (!c)
		return;
	p = new_pending(a, call, c->name);
	p->wait = js_bool(parameters, "wait", false);
	registry_back(a->options.registry, c, put_back, p);
}

/* --- what an account has --- */

static const char *const list_members[ISSUER_LISTS] = {
	[ISSUER_INSTANCES] = "instances", [ISSUER_CONTACTS] = "contacts", [ISSUER_COMPANIES] = "companies",
};

static void listed(void *arg, const struct js *list, const struct err *err)
{
	struct agent_pending *p = arg;
	enum issuer_list what = p->what;
	struct varlink_call *call = settle_pending(p);
	struct js *answer;

	if (!call)
		return;
	if (err) {
		agent_fail(call, err);
		return;
	}
	answer = js_object();
	js_put(answer, list_members[what], js_ref((struct js *)list));
	varlink_finish(call, answer);
}

static void list_at_ca(struct agent *a, struct varlink_call *call, const struct js *parameters, enum issuer_list what)
{
	struct agent_pending *p = new_pending(a, call, NULL);

	p->what = what;
	registry_inventory(a->options.registry, js_str(parameters, "ca"), what, listed, p);
}

static void list_instances(void *arg, struct varlink_call *call, const struct js *parameters)
{
	list_at_ca(arg, call, parameters, ISSUER_INSTANCES);
}

static void list_contacts(void *arg, struct varlink_call *call, const struct js *parameters)
{
	list_at_ca(arg, call, parameters, ISSUER_CONTACTS);
}

static void list_companies(void *arg, struct varlink_call *call, const struct js *parameters)
{
	list_at_ca(arg, call, parameters, ISSUER_COMPANIES);
}

/* --- single answers --- */

static void show(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct cert *c = agent_find(arg, call, parameters);

	if (c)
		varlink_finish(call, show_whole(arg, c));
}

/* A certificate that is no longer configured still has its history. */
static void history(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;
	const char *name = js_str(parameters, "name");
	int64_t limit = js_int(parameters, "limit", HISTORY_DEFAULT);
	struct js *events, *answer;

	if (limit < 1 || limit > HISTORY_MOST) {
		varlink_invalid(call, "limit");
		return;
	}
	events = store_history(a->options.store, name, (size_t)limit);
	if (name && js_len(events) == 0 && !agent_find(a, call, parameters)) {
		js_free(events);
		return;
	}
	answer = js_object();
	js_put(answer, "events", events);
	varlink_finish(call, answer);
}

static void version(void *arg, struct varlink_call *call, const struct js *parameters)
{
	struct agent *a = arg;
	struct js *answer = js_object();

	(void)parameters;
	js_put_str(answer, "version", a->options.version);
	js_put_time(answer, "since", a->since);
	varlink_finish(call, answer);
}

/* --- the interface --- */

static const struct varlink_field name_field[] = {{"name", VARLINK_STRING, true}, {NULL, 0, false}};
static const struct varlink_field maybe_name_field[] = {{"name", VARLINK_STRING, false}, {NULL, 0, false}};
static const struct varlink_field ca_field[] = {{"ca", VARLINK_STRING, true}, {NULL, 0, false}};
static const struct varlink_field list_fields[] = {
	{"failing", VARLINK_BOOL, false},
	{"due", VARLINK_INT, false},
	{"ca", VARLINK_STRING, false},
	{"name", VARLINK_STRING, false},
	{NULL, 0, false},
};
static const struct varlink_field renew_fields[] = {
	{"name", VARLINK_STRING, true},
	{"force", VARLINK_BOOL, false},
	{"wait", VARLINK_BOOL, false},
	{NULL, 0, false},
};
static const struct varlink_field revoke_fields[] = {
	{"name", VARLINK_STRING, true},
	{"reason", VARLINK_STRING, false},
	{NULL, 0, false},
};
static const struct varlink_field rollback_fields[] = {
	{"name", VARLINK_STRING, true},
	{"wait", VARLINK_BOOL, false},
	{NULL, 0, false},
};
static const struct varlink_field history_fields[] = {
	{"name", VARLINK_STRING, false},
	{"limit", VARLINK_INT, false},
	{NULL, 0, false},
};

static const struct varlink_method methods[] = {
	{"Status", VARLINK_READ, false, NULL, agent_status},
	{"List", VARLINK_READ, false, list_fields, agent_list},
	{"Show", VARLINK_READ, false, name_field, show},
	{"Check", VARLINK_READ, false, maybe_name_field, agent_check},
	{"Renew", VARLINK_OPERATE, false, renew_fields, agent_renew},
	{"Reload", VARLINK_OPERATE, false, NULL, reload},
	{"Watch", VARLINK_READ, true, maybe_name_field, agent_watch},
	{"Revoke", VARLINK_OPERATE, false, revoke_fields, revoke},
	{"Rollback", VARLINK_OPERATE, false, rollback_fields, rollback},
	{"ListInstances", VARLINK_READ, false, ca_field, list_instances},
	{"ListContacts", VARLINK_OPERATE, false, ca_field, list_contacts},
	{"ListCompanies", VARLINK_OPERATE, false, ca_field, list_companies},
	{"Metrics", VARLINK_READ, false, NULL, agent_metrics},
	{"History", VARLINK_READ, false, history_fields, history},
	{"Version", VARLINK_READ, false, NULL, version},
	{NULL, 0, false, NULL, NULL},
};

static gid_t find_group(const char *name)
{
	struct group *g = name ? getgrnam(name) : NULL;

	return g ? g->gr_gid : (gid_t)-1;
}

struct agent *agent_open(const struct agent_options *options, struct err *err)
{
	struct agent *a = mem_alloc(sizeof *a);
	struct varlink_options v = {
		.path = options->path,
		.vendor = "dovad",
		.product = "dovad",
		.version = options->version,
		.url = "",
		.interface = AGENT_INTERFACE,
		.description = agent_idl,
		.methods = methods,
		.readers = find_group(options->read_group),
		.admins = find_group(options->admin_group),
		.arg = a,
	};

	a->options = *options;
	a->since = clock_now();
	TAILQ_INIT(&a->pending);
	a->varlink = varlink_open(&v, err);
	if (a->varlink)
		return a;
	free(a);
	return NULL;
}

void agent_close(struct agent *a)
{
	struct agent_pending *p;

	if (!a)
		return;
	varlink_close(a->varlink);
	while ((p = TAILQ_FIRST(&a->pending)))
		free_pending(p);
	js_free(a->report);
	free(a);
}
