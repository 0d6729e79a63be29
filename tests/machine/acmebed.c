/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acmebed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum { PATIENCE_S = 60 };

static void drop_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	if (getenv("ACMEBED_LOG"))
		fprintf(stderr, "%d %s\n", level, line);
}

static struct js *memory_load(void *arg, const char *ca)
{
	struct bed *b = arg;

	assert_string_equal(ca, "test");
	return b->memory ? js_ref(b->memory) : NULL;
}

static void memory_save(void *arg, const char *ca, const struct js *memory)
{
	struct bed *b = arg;
	char *text = js_dump(memory);
	struct err err;

	assert_string_equal(ca, "test");
	js_free(b->memory);
	b->memory = js_parse(text, strlen(text), &err);
	b->saves++;
	free(text);
}

int bed_setup(void **state)
{
	struct bed *b = mem_alloc(sizeof *b);
	struct err err;

	alarm(PATIENCE_S); /* a test that hangs ends with a signal */
	log_open("test", LOG_LEVEL_DEBUG);
	log_set_sink(drop_line, NULL);
	if (!loop_open(&err))
		return -1;
	clock_freeze(ACMEBED_NOW);
	fakekeeper_open(&b->keeper);
	b->ca = fakeca_open(b->keeper.key);
	b->dns = dns_open((const char *[]){"127.0.0.1:1"}, 1, &err);
	b->directory = mem_printf("%s/dir", fakeca_base(b->ca));
	b->options = (struct acme_options){
		.name = "test",
		.directory = b->directory,
		.agree_tos = true,
		.ca_file = fakeca_trust_file(b->ca),
		.allow_private = true,
		.dns = b->dns,
		.keeper = b->keeper.rpc,
		.memory = {memory_load, memory_save, b},
	};
	*state = b;
	bed_restart(b);
	return b->issuer ? 0 : -1;
}

int bed_teardown(void **state)
{
	struct bed *b = *state;
	char *fault = fakeca_fault(b->ca) ? mem_strdup(fakeca_fault(b->ca)) : NULL;
	struct got *g;

	if (b->issuer)
		b->issuer->ops->free(b->issuer);
	dns_close(b->dns);
	fakeca_close(b->ca);
	fakekeeper_close(&b->keeper);
	for (int i = 0; i < 4; i++)
		loop_turn(false);
	loop_close();
	while ((g = b->gots)) {
		b->gots = g->next;
		arena_free(g->arena);
		free(g);
	}
	js_free(b->memory);
	free(b->directory);
	free(b);
	clock_thaw();
	alarm(0);
	if (fault)
		print_error("the CA found: %s\n", fault);
	free(fault);
	return fault ? -1 : 0;
}

void bed_restart(struct bed *b)
{
	struct err err;

	if (b->issuer)
		b->issuer->ops->free(b->issuer);
	b->issuer = acme_new(&b->options, &err);
	if (!b->issuer)
		print_error("acme_new: %s\n", err.detail);
	assert_non_null(b->issuer);
}

/* ---- calls ---- */

struct got *bed_got(struct bed *b)
{
	struct got *g = mem_alloc(sizeof *g);

	g->arena = arena_new();
	g->next = b->gots;
	b->gots = g;
	return g;
}

static const char *const *copy_texts(struct arena *a, const char *const *texts, size_t n)
{
	const char **copy = arena_array(a, n, sizeof *copy);

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, texts[i]);
	return copy;
}

static const struct err *copy_err(struct arena *a, const struct err *err)
{
	struct err *copy = err ? arena_alloc(a, sizeof *copy) : NULL;

	if (err)
		*copy = *err;
	return copy;
}

static void keep_order(struct got *g, const struct issuer_order *order)
{
	struct issuer_order *o = arena_alloc(g->arena, sizeof *o);

	*o = *order;
	o->url = arena_strdup(g->arena, order->url);
	o->finalize = arena_strdup(g->arena, order->finalize);
	o->certificate = arena_strdup(g->arena, order->certificate);
	o->authz = copy_texts(g->arena, order->authz, order->nauthz);
	o->names = copy_texts(g->arena, order->names, order->nnames);
	o->problem = copy_err(g->arena, order->problem);
	g->order = o;
}

static void keep_authz(struct got *g, const struct issuer_authz *authz)
{
	struct issuer_authz *z = arena_alloc(g->arena, sizeof *z);
	struct issuer_challenge *list = arena_array(g->arena, authz->nchallenge, sizeof *list);

	*z = *authz;
	z->url = arena_strdup(g->arena, authz->url);
	z->name = arena_strdup(g->arena, authz->name);
	z->problem = copy_err(g->arena, authz->problem);
	for (size_t i = 0; i < authz->nchallenge; i++) {
		list[i] = authz->challenge[i];
		list[i].type = arena_strdup(g->arena, list[i].type);
		list[i].url = arena_strdup(g->arena, list[i].url);
		list[i].token = arena_strdup(g->arena, list[i].token);
	}
	z->challenge = list;
	g->authz = z;
}

static char *identity_text(struct arena *a, const struct issuer_identity *id)
{
	char *text = arena_strdup(a, "");

	for (size_t i = 0; i < id->n; i++)
		text = arena_printf(a, "%s%s%s", text, i ? "," : "", id->names[i]);
	return arena_printf(a, "%s %s", text, id->account ? id->account : "-");
}

void bed_done(void *arg, const struct issuer_answer *answer, const struct err *err)
{
	struct got *g = arg;

	g->over = true;
	g->times++;
	assert_int_equal(g->times, 1);
	assert_true(!answer == !!err || answer->identity); /* which may come with the reason why it is not new */
	if (err)
		g->err = *err;
	if (answer && answer->order)
		keep_order(g, answer->order);
	if (answer && answer->authz)
		keep_authz(g, answer->authz);
	if (answer) {
		g->chain = answer->chain ? arena_strndup(g->arena, answer->chain, answer->chain_len) : NULL;
		g->text = arena_strdup(g->arena, answer->text);
		g->identity = answer->identity ? identity_text(g->arena, answer->identity) : NULL;
		g->wait_ms = answer->wait_ms;
	}
	if (g->then)
		g->then(g);
}

struct got *bed_wait(struct got *g)
{
	assert_false(g->over); /* never from inside the operation */
	while (!g->over)
		loop_turn(true);
	return g;
}

void bed_turn(struct bed *b, bool (*until)(struct bed *b))
{
	while (!until(b))
		loop_turn(true);
}

static char *url_of(struct bed *b, struct got *g, const char *path)
{
	return path[0] == '/' ? arena_printf(g->arena, "%s%s", fakeca_base(b->ca), path) : arena_strdup(g->arena, path);
}

struct got *bed_account(struct bed *b)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->account(b->issuer, bed_done, g);
	return bed_wait(g);
}

struct got *bed_identify(struct bed *b)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->identify(b->issuer, bed_done, g);
	return bed_wait(g);
}

struct got *bed_create(struct bed *b, const char *name)
{
	struct got *g = bed_got(b);
	char *names = arena_strdup(g->arena, name);
	char *second = strchr(names, ' ');

	if (second)
		*second++ = '\0';
	g->call = b->issuer->ops->create(b->issuer, (const char *[]){names, second}, second ? 2 : 1, bed_done, g);
	return bed_wait(g);
}

struct got *bed_order(struct bed *b, const char *path)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->order(b->issuer, url_of(b, g, path), bed_done, g);
	return bed_wait(g);
}

struct got *bed_authz(struct bed *b, const char *path)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->authz(b->issuer, url_of(b, g, path), bed_done, g);
	return bed_wait(g);
}

struct got *bed_announce(struct bed *b, const char *path)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->announce(b->issuer, url_of(b, g, path), bed_done, g);
	return bed_wait(g);
}

struct got *bed_finalize(struct bed *b, const char *csr)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->finalize(b->issuer, url_of(b, g, "/order/1"), url_of(b, g, "/order/1/finalize"), csr, bed_done, g);
	return bed_wait(g);
}

struct got *bed_fetch(struct bed *b, const char *path)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->fetch(b->issuer, url_of(b, g, path), bed_done, g);
	return bed_wait(g);
}

struct got *bed_deactivate(struct bed *b, const char *path)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->deactivate(b->issuer, url_of(b, g, path), bed_done, g);
	return bed_wait(g);
}

struct got *bed_revoke(struct bed *b, const char *cert, int reason)
{
	struct got *g = bed_got(b);

	g->call = b->issuer->ops->revoke(b->issuer, cert, reason, bed_done, g);
	return bed_wait(g);
}

/* ---- the script ---- */

void bed_once(struct bed *b, const char *path, int status, const char *headers, const char *body)
{
	fakeca_once(b->ca, &(struct fakeca_answer){"POST", path, status, headers, body, 0});
}

void bed_always(struct bed *b, const char *path, int status, const char *headers, const char *body)
{
	fakeca_always(b->ca, &(struct fakeca_answer){"POST", path, status, headers, body, 0});
}

void bed_problem(struct bed *b, const char *path, int status, const char *headers, const char *type)
{
	char body[256];

	snprintf(body, sizeof body, "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"because of %s\",\"status\":%d}", type, type, status);
	bed_once(b, path, status, headers, body);
}

const char *bed_order_body(const char *status, const char *more)
{
	static char body[4096];

	snprintf(body, sizeof body,
		"{\"status\":\"%s\",\"expires\":\"2030-01-01T00:00:00Z\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"example.org\"}],"
		"\"authorizations\":[\"{CA}/authz/1\"],\"finalize\":\"{CA}/order/1/finalize\"%s}",
		status, more);
	return body;
}

/* ---- what is expected ---- */

void assert_ok(const struct got *g)
{
	if (g->err.kind != ERR_NONE)
		print_error("unexpected: %s\n", log_err(&g->err));
	assert_int_equal(g->err.kind, ERR_NONE);
}

void assert_error(const struct got *g, enum err_kind kind, const char *type)
{
	if (g->err.kind != kind || strcmp(g->err.type, type) != 0)
		print_error("unexpected: %s\n", log_err(&g->err));
	assert_string_equal(err_kind_name(g->err.kind), err_kind_name(kind));
	assert_string_equal(g->err.type, type);
}

void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("\"%s\" is not in \"%s\"\n", part, text);
	assert_non_null(strstr(text, part));
}
