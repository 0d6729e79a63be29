/* SPDX-License-Identifier: ISC */
#include "ctl/varlink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/service_idl.h"
#include "io/loop.h"
#include "io/msg.h"

#define SERVICE "org.varlink.service"

enum {
	CONNECTIONS = 256,
	CONNECTIONS_PER_UID = 16,
	OUTPUT_ENOUGH = 64 * 1024, /* with so much unsent, the next call waits */
};

static const struct msg_limits limits = {
	.message = 64 * 1024,
	.output = 4 * 1024 * 1024,
	.idle_ms = 5 * 60 * 1000,
	.partial_ms = 10 * 1000,
	.write_ms = 30 * 1000,
};

/* One connection and the call under way on it: Varlink has at most one. */
struct varlink_call {
	TAILQ_ENTRY(varlink_call) link;
	struct varlink *service;
	struct msg *msg; /* NULL: the connection is gone */
	pid_t pid;
	uid_t uid;
	enum varlink_class may;
	bool denial_logged; /* one line per connection: nobody fills the log by asking */
	bool open;	    /* the last reply was not given yet */
	bool reap_due;
	bool held; /* the call is over, but the next has to wait for the output */
	bool oneway, more, upgrade;
	bool stepping;
	const struct varlink_ops *ops;
	void *data;
	struct timer timer;
};

struct varlink {
	struct varlink_options options;
	struct msg_listener *listener;
	TAILQ_HEAD(, varlink_call) calls;
};

/* --- replies --- */

static void free_call(struct varlink_call *c)
{
	TAILQ_REMOVE(&c->service->calls, c, link);
	timer_disarm(&c->timer);
	loop_undefer(c);
	msg_listener_release(c->service->listener, c->uid);
	free(c);
}

static void release_data(struct varlink_call *c)
{
	const struct varlink_ops *ops = c->ops;

	c->ops = NULL;
	c->stepping = false;
	timer_disarm(&c->timer);
	if (ops)
		ops->end(c->data);
}

static void next_call(struct varlink_call *c)
{
	c->held = msg_pending(c->msg) > OUTPUT_ENOUGH;
	if (!c->held)
		msg_next(c->msg);
}

/* The call or its connection ended on this turn. Not at once: whoever gave the last reply still stands on its data. */
static void reap(void *arg)
{
	struct varlink_call *c = arg;

	c->reap_due = false;
	release_data(c);
	if (c->msg)
		next_call(c);
	else
		free_call(c);
}

static void end_call(struct varlink_call *c)
{
	c->open = false;
	if (!c->reap_due)
		loop_defer(reap, c);
	c->reap_due = true;
}

/* continues and error never stand together, and continues only where the caller said `more`. */
static void reply(struct varlink_call *c, const char *error, struct js *parameters, bool last)
{
	struct js *v = js_object();

	if (error)
		js_put_str(v, "error", error);
	js_put(v, "parameters", parameters ? parameters : js_object());
	if (!last)
		js_put_bool(v, "continues", true);
	if (c->open && c->msg && !c->oneway && (last || c->more))
		msg_send(c->msg, v);
	js_free(v);
	if (c->open && last)
		end_call(c);
}

void varlink_progress(struct varlink_call *call, struct js *parameters)
{
	reply(call, NULL, parameters, false);
}

void varlink_finish(struct varlink_call *call, struct js *parameters)
{
	reply(call, NULL, parameters, true);
}

void varlink_fail(struct varlink_call *call, const char *error, struct js *parameters)
{
	reply(call, error, parameters, true);
}

static void fail_naming(struct varlink_call *call, const char *error, const char *key, const char *value)
{
	struct js *parameters = js_object();

	js_put_str(parameters, key, value);
	varlink_fail(call, error, parameters);
}

void varlink_invalid(struct varlink_call *call, const char *parameter)
{
	fail_naming(call, SERVICE ".InvalidParameter", "parameter", parameter);
}

void varlink_expect_more(struct varlink_call *call)
{
	varlink_fail(call, SERVICE ".ExpectedMore", NULL);
}

bool varlink_wants_more(const struct varlink_call *call)
{
	return call->more;
}

/* --- answers in pieces --- */

/* A step that sent nothing (it looked at much and found little) goes on at the next turn, so that the others get
 * theirs. */
static void pump(void *arg)
{
	struct varlink_call *c = arg;

	c->stepping = c->stepping && c->open && c->ops->step(c->data);
	if (c->stepping && c->open && c->msg && msg_pending(c->msg) == 0)
		timer_arm(&c->timer, 0, pump, c);
}

static void drained(void *arg, struct msg *m)
{
	struct varlink_call *c = arg;

	(void)m;
	if (c->held)
		next_call(c);
	else if (c->stepping)
		pump(c);
}

void varlink_keep(struct varlink_call *call, const struct varlink_ops *ops, void *data)
{
	call->ops = ops;
	call->data = data;
	call->stepping = ops->step != NULL;
	if (call->stepping)
		timer_arm(&call->timer, 0, pump, call);
}

/* --- org.varlink.service --- */

static void get_info(void *arg, struct varlink_call *call, const struct js *parameters)
{
	const struct varlink_options *o = &call->service->options;
	struct js *info = js_object();
	struct js *interfaces = js_array();

	(void)arg;
	(void)parameters;
	js_put_str(info, "vendor", o->vendor);
	js_put_str(info, "product", o->product);
	js_put_str(info, "version", o->version);
	js_put_str(info, "url", o->url);
	js_add_str(interfaces, SERVICE);
	js_add_str(interfaces, o->interface);
	js_put(info, "interfaces", interfaces);
	varlink_finish(call, info);
}

static void get_description(void *arg, struct varlink_call *call, const struct js *parameters)
{
	const struct varlink_options *o = &call->service->options;
	const char *name = js_str(parameters, "interface");
	struct js *answer;

	(void)arg;
	if (strcmp(name, SERVICE) != 0 && strcmp(name, o->interface) != 0) {
		fail_naming(call, SERVICE ".InterfaceNotFound", "interface", name);
		return;
	}
	answer = js_object();
	js_put_str(answer, "description", strcmp(name, SERVICE) == 0 ? service_idl : o->description);
	varlink_finish(call, answer);
}

static const struct varlink_field description_fields[] = {{"interface", VARLINK_STRING, true}, {NULL, 0, false}};

static const struct varlink_method service_methods[] = {
	{"GetInfo", VARLINK_OPEN, false, NULL, get_info},
	{"GetInterfaceDescription", VARLINK_OPEN, false, description_fields, get_description},
	{NULL, 0, false, NULL, NULL},
};

/* --- calls --- */

/* What breaks Varlink's grammar (rather than our interface) gets no answer, only the end. NULL: all is well. */
static const char *judge_member(const char *key, const struct js *value)
{
	if (strcmp(key, "method") == 0)
		return js_text(value) ? NULL : "the method of a call is not a string";
	if (strcmp(key, "parameters") == 0)
		return js_is_object(value) || js_is_null(value) ? NULL : "the parameters of a call are not an object";
	if (strcmp(key, "oneway") == 0 || strcmp(key, "more") == 0 || strcmp(key, "upgrade") == 0)
		return js_is_bool(value) ? NULL : "a flag of a call is not a boolean";
	return strchr(key, '.') ? NULL : "a call has an unknown member"; /* with a dot: somebody's extension, ignored */
}

static const char *parse_call(struct varlink_call *c, const struct js *v)
{
	for (void *i = js_first(v); i; i = js_next(v, i)) {
		const char *complaint = judge_member(js_key(i), js_value(i));

		if (complaint)
			return complaint;
	}
	c->oneway = js_bool(v, "oneway", false);
	c->more = js_bool(v, "more", false);
	c->upgrade = js_bool(v, "upgrade", false);
	if (c->oneway + c->more + c->upgrade > 1)
		return "a call has two flags";
	return js_has(v, "method") ? NULL : "a call names no method";
}

static bool fits(const struct js *value, enum varlink_type type)
{
	switch (type) {
	case VARLINK_STRING:
		return js_text(value) != NULL; /* no NUL inside */
	case VARLINK_INT:
		return js_is_int(value);
	case VARLINK_BOOL:
		return js_is_bool(value);
	}
	return false;
}

static const struct varlink_field *find_field(const struct varlink_field *fields, const char *name)
{
	for (; fields && fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

/* The name of the first parameter that does not fit, NULL when all do. */
static const char *find_misfit(const struct varlink_field *fields, const struct js *parameters)
{
	for (void *i = js_first(parameters); i; i = js_next(parameters, i)) {
		const struct varlink_field *f = find_field(fields, js_key(i));

		if (!f || (!fits(js_value(i), f->type) && (f->required || !js_is_null(js_value(i)))))
			return js_key(i);
	}
	for (; fields && fields->name; fields++)
		if (fields->required && !js_has(parameters, fields->name))
			return fields->name;
	return NULL;
}

/* Every attempt to change something leaves a line, refused ones and their like one per connection. */
static bool is_permitted(struct varlink_call *c, const struct varlink_method *method, const struct js *parameters)
{
	bool permitted = c->may >= method->class;

	if (permitted ? method->class == VARLINK_OPERATE : !c->denial_logged)
		log_notice(permitted ? "operator's call" : "call refused", "method", method->name, "name",
			js_str(parameters, "name"), "uid", log_num(c->uid), "pid", log_num(c->pid), NULL);
	c->denial_logged = c->denial_logged || !permitted;
	return permitted;
}

static const struct varlink_method *find_method(struct varlink_call *c, const char *full)
{
	const struct varlink_options *o = &c->service->options;
	const char *dot = strrchr(full, '.');
	const struct {
		const char *interface;
		const struct varlink_method *methods;
	} tables[] = {{SERVICE, service_methods}, {o->interface, o->methods}};
	size_t len = dot ? (size_t)(dot - full) : 0;
	char *interface;

	for (size_t i = 0; dot && i < sizeof tables / sizeof tables[0]; i++) {
		if (strlen(tables[i].interface) != len || strncmp(tables[i].interface, full, len) != 0)
			continue;
		for (const struct varlink_method *m = tables[i].methods; m->name; m++)
			if (strcmp(m->name, dot + 1) == 0)
				return m;
		fail_naming(c, SERVICE ".MethodNotFound", "method", full);
		return NULL;
	}
	interface = mem_strndup(full, len);
	if (dot)
		fail_naming(c, SERVICE ".InterfaceNotFound", "interface", interface);
	else
		varlink_invalid(c, "method");
	free(interface);
	return NULL;
}

static void dispatch(struct varlink_call *c, const char *full, const struct js *parameters)
{
	const struct varlink_method *method = find_method(c, full);
	const char *misfit;

	if (!method)
		return;
	if (c->upgrade) {
		fail_naming(c, SERVICE ".MethodNotImplemented", "method", full);
		return;
	}
	if (!is_permitted(c, method, parameters)) {
		varlink_fail(c, SERVICE ".PermissionDenied", NULL);
		return;
	}
	misfit = find_misfit(method->fields, parameters);
	if (misfit)
		varlink_invalid(c, misfit);
	else if (method->streams && !c->more)
		varlink_expect_more(c);
	else
		method->begin(c->service->options.arg, c, parameters);
}

/* --- connections --- */

static void log_end(const struct varlink_call *c, const char *why)
{
	log_info("status connection closed", "reason", why, "uid", log_num(c->uid), "pid", log_num(c->pid), NULL);
}

static void got(void *arg, struct msg *m, struct js *v)
{
	struct varlink_call *c = arg;
	const char *complaint = parse_call(c, v);

	if (complaint) {
		log_end(c, complaint);
		c->msg = NULL;
		msg_close(m);
		end_call(c);
		return;
	}
	c->open = true;
	dispatch(c, js_str(v, "method"), js_obj(v, "parameters"));
}

static void closed(void *arg, struct msg *m, const struct err *err)
{
	struct varlink_call *c = arg;

	(void)m;
	if (err->kind != ERR_NONE)
		log_end(c, err->detail);
	c->msg = NULL;
	end_call(c);
}

static enum varlink_class classify(const struct varlink *v, const struct msg *m)
{
	const struct varlink_options *o = &v->options;
	uid_t uid = msg_peer(m)->uid;

	if (uid == 0 || uid == geteuid() || (o->admins != (gid_t)-1 && msg_peer_in_group(m, o->admins)))
		return VARLINK_OPERATE;
	return o->readers != (gid_t)-1 && msg_peer_in_group(m, o->readers) ? VARLINK_READ : VARLINK_OPEN;
}

static void accepted(void *arg, int fd)
{
	static const struct msg_ops ops = {.got = got, .closed = closed, .drained = drained, .ordered = true};
	struct varlink *v = arg;
	struct varlink_call *c = mem_alloc(sizeof *c);
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof who;
	struct err err;

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
	c->service = v;
	c->uid = who.uid;
	c->pid = who.pid;
	TAILQ_INSERT_TAIL(&v->calls, c, link);
	c->msg = msg_open(fd, &limits, &ops, c, &err);
	if (c->msg) {
		c->may = classify(v, c->msg);
		return;
	}
	log_warning("cannot serve a status connection", "error", log_err(&err), NULL);
	free_call(c);
}

struct varlink *varlink_open(const struct varlink_options *options, struct err *err)
{
	struct varlink *v = mem_alloc(sizeof *v);
	gid_t exempt[2];
	struct msg_listener_limits bounds = {.total = CONNECTIONS, .per_uid = CONNECTIONS_PER_UID, .exempt = exempt};

	v->options = *options;
	TAILQ_INIT(&v->calls);
	if (options->readers != (gid_t)-1)
		exempt[bounds.nexempt++] = options->readers;
	if (options->admins != (gid_t)-1)
		exempt[bounds.nexempt++] = options->admins;
	v->listener = msg_listen(options->path, -1, 0666, &bounds, accepted, v, err);
	if (v->listener)
		return v;
	free(v);
	return NULL;
}

void varlink_close(struct varlink *v)
{
	struct varlink_call *c;

	if (!v)
		return;
	while ((c = TAILQ_FIRST(&v->calls))) {
		c->open = false;
		release_data(c);
		msg_close(c->msg);
		free_call(c);
	}
	msg_listener_close(v->listener);
	free(v);
}
