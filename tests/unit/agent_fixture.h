/* SPDX-License-Identifier: ISC */
/* The agent on a stub registry, a caller connected to it, and the loop around each test. */
#ifndef DOVAD_TESTS_AGENT_FIXTURE_H
#define DOVAD_TESTS_AGENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/agent.h"
#include "stub_registry.h"
#include "varlink_peer.h"

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

static char folder[64], path[80];
static struct agent *agent;
static struct peer peer;
static unsigned reloads;
static agent_reloaded *reload_done;
static void *reload_arg;

static inline void reload(void *arg, agent_reloaded *done, void *done_arg)
{
	assert_string_equal(arg, "arg");
	reloads++;
	reload_done = done;
	reload_arg = done_arg;
}

static inline void drop_log(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static inline void open_with(size_t ncerts)
{
	struct agent_options o = {
		.path = path, .registry = &stub, .version = "1.2", .reload = reload, .arg = (void *)"arg"};
	struct err err;

	reloads = 0;
	stub_open(ncerts);
	agent = agent_open(&o, &err);
	assert_non_null(agent);
	peer_open(&peer, path);
}

static inline int set_up(void **state)
{
	struct err err;

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/dovad-agent-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/sock", folder);
	log_set_sink(drop_log, NULL);
	assert_true(loop_open(&err));
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	agent_close(agent);
	agent = NULL;
	peer_close(&peer);
	loop_turn(false);
	loop_close();
	stub_close();
	log_set_sink(NULL, NULL);
	return rmdir(folder);
}

#define AGENT "org.dovad.Agent."
#define SERVICE "org.varlink.service."
#define CALL(method, parameters) "{\"method\":\"org.dovad.Agent." method "\",\"parameters\":" parameters "}"
#define MORE(method, parameters)                                                                                       \
	"{\"method\":\"org.dovad.Agent." method "\",\"parameters\":" parameters ",\"more\":true}"

/* The parameters of a reply that is no error; *continues may be NULL: then it is the last. The caller owns. */
static inline struct js *result(struct js *reply, bool *continues)
{
	struct js *parameters;

	assert_non_null(reply);
	assert_null(js_str(reply, "error"));
	if (continues)
		*continues = js_bool(reply, "continues", false);
	else
		assert_false(js_bool(reply, "continues", false));
	parameters = js_ref(js_obj(reply, "parameters"));
	js_free(reply);
	return parameters;
}

static inline void send_call(const char *call)
{
	assert_true(peer_send(&peer, call, strlen(call) + 1));
}

static inline const char *name_at(const struct js *list, size_t i)
{
	return js_str(js_at(list, i), "name");
}

static inline void break_cert(struct cert *c, enum cert_state state, int64_t not_after)
{
	struct err err = {0};

	err_set(&err, ERR_DENIED, "caa", "CAA forbids it");
	cert_set_error(c, &err, clock_now());
	c->state = state;
	c->not_after = not_after;
}

static inline void expect_progress(const char *event)
{
	bool continues = false;
	struct js *r = result(peer_take(&peer), &continues);

	assert_true(continues);
	if (event)
		assert_string_equal(js_str(js_obj(r, "event"), "event"), event);
	else
		assert_non_null(js_obj(r, "certificate"));
	js_free(r);
}

static inline void leave(void)
{
	peer_close(&peer);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
	peer_open(&peer, path);
}

#endif
