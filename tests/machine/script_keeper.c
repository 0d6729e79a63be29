/* SPDX-License-Identifier: ISC */
/* The script's keeper: its answers come over a socket pair, as the real one's do. */
#include "script.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

struct script_place *script_place(struct script *s, const char *name)
{
	struct script_place *p = s->places;

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	if (p)
		return p;
	p = mem_alloc(sizeof(*p));
	p->name = mem_strdup(name);
	p->next = s->places;
	return s->places = p;
}

static struct script_generation *generation(struct script_place *p, int64_t number)
{
	for (size_t i = 0; i < p->ngen; i++)
		if (p->gen[i].number == number)
			return &p->gen[i];
	return NULL;
}

const char *script_current(struct script *s, const char *name)
{
	struct script_place *p = script_place(s, name);

	return p->current ? generation(p, p->current)->chain : NULL;
}

bool script_is_served(struct script *s, const char *name)
{
	struct script_place *p = script_place(s, name);

	return p->served && p->current && strcmp(p->served, generation(p, p->current)->chain) == 0;
}

void script_free_places(struct script *s)
{
	struct script_place *p;

	while ((p = s->places)) {
		s->places = p->next;
		for (size_t i = 0; i < p->ngen; i++)
			free(p->gen[i].chain);
		key_free(p->pending);
		free(p->gen);
		free(p->csr);
		free(p->name);
		free(p->served);
		free(p);
	}
}

const struct key *script_key_of(struct script *s, const char *csr)
{
	for (struct script_place *p = s->places; p; p = p->next)
		if (p->csr && strcmp(p->csr, csr) == 0)
			return p->pending;
	return NULL;
}

/* --- operations ----------------------------------------------------------------------------------------------------------- */

static bool keep_request(struct script *s, struct script_place *p, struct js *a, struct err *err)
{
	unsigned char digest[32];
	char *hex;

	if (!p->pending) {
		p->pending = key_generate(KEY_ECDSA_P256, err);
		p->csr = script_number(s, "csr-");
	}
	if (!key_digest(p->pending, digest, err))
		return false;
	hex = text_hex_encode(digest, sizeof digest);
	js_put_str(a, "csr", p->csr);
	js_put_str(a, "key", hex);
	free(hex);
	return true;
}

/* Generations are found again; a new one must pass, as it must with the real keeper. */
static bool keep_find(struct script_place *p, const char *chain)
{
	for (size_t i = 0; i < p->ngen; i++)
		if (strcmp(p->gen[i].chain, chain) == 0) {
			p->current = p->gen[i].number;
			p->gen[i].failed = false;
			return true;
		}
	return false;
}

static bool keep_chain(struct script *s, struct script_place *p, const char *chain, struct err *err)
{
	const struct conf_cert *conf = conf_find_cert(s->conf, p->name);
	struct x509_wish wish = { .key = p->pending, .now = clock_now() };
	struct x509_chain *x;
	bool ok;

	if (!conf || !chain || !p->pending)
		return err_set(err, ERR_INPUT, "unknown-cert", "nothing to install");
	wish.names = conf->names.v;
	wish.nnames = conf->names.n;
	x = x509_parse(chain, strlen(chain), err);
	ok = x && x509_accept(x, &wish, err);
	x509_free(x);
	if (!ok)
		return false;
	p->gen = mem_resize(p->gen, p->ngen + 1, sizeof(*p->gen));
	p->gen[p->ngen] = (struct script_generation){ .number = (int64_t)p->ngen + 1, .chain = mem_strdup(chain) };
	p->current = p->gen[p->ngen++].number;
	key_free(p->pending);
	p->pending = NULL;
	free(p->csr);
	p->csr = NULL;
	return true;
}

static int64_t before(const struct script_place *p, int64_t number)
{
	int64_t best = 0;

	for (size_t i = 0; i < p->ngen; i++)
		if (p->gen[i].number < number && !p->gen[i].failed && p->gen[i].number > best)
			best = p->gen[i].number;
	return best;
}

static bool keep_install(struct script *s, struct script_place *p, const char *chain, struct js *a, struct err *err)
{
	if (!(chain && keep_find(p, chain)) && !keep_chain(s, p, chain, err))
		return false;
	js_put_int(a, "generation", p->current);
	if (before(p, p->current))
		js_put_int(a, "previous", before(p, p->current));
	return true;
}

static bool keep_rollback(struct script_place *p, struct js *a, struct err *err)
{
	int64_t previous = before(p, p->current);

	if (p->ngen && p->gen[p->ngen - 1].failed) {
		js_put_int(a, "generation", p->current);
		return true;
	}
	if (!previous)
		return err_set(err, ERR_LOCAL, "no-previous", "there is no earlier generation");
	generation(p, p->current)->failed = true;
	p->current = previous;
	js_put_int(a, "generation", p->current);
	return true;
}

static void keep_installed(const struct script *s, struct script_place *p, struct js *a)
{
	(void)s;
	if (!p->current)
		return;
	js_put_int(a, "generation", p->current);
	js_put_str(a, "chain", generation(p, p->current)->chain);
}

static void services_load(struct script *s, struct js *a)
{
	js_put_bool(a, "ran", !s->asleep);
	for (struct script_place *p = s->places; p && !s->deaf && !s->asleep; p = p->next)
		if (p->current) {
			free(p->served);
			p->served = mem_strdup(generation(p, p->current)->chain);
		}
}

/* --- the connection --------------------------------------------------------------------------------------------------------- */

static void keeper_ended(struct leaf *l)
{
	struct rpc_request *q = l->q;
	struct js *a = l->answer;

	l->q = NULL;
	l->answer = NULL;
	if (l->err.kind == ERR_NONE) {
		rpc_answer(q, a);
		return;
	}
	rpc_refuse(q, &l->err);
	js_free(a);
}

static const struct {
	const char *op;
	enum script_op is;
	bool conf; /* names the configuration it was made for */
} ops[] = {
	{ "request", OP_REQUEST, true }, { "install", OP_INSTALL, true }, { "installed", OP_INSTALLED, false }, { "test", OP_TEST, true },
	{ "load", OP_LOAD, true }, { "restore", OP_RESTORE, true }, { "rollback", OP_ROLLBACK, true }, { "confirm", OP_CONFIRM, false }, { "verify", OP_VERIFY, true },
};

static bool perform(struct script *s, enum script_op op, const struct js *request, struct js *a, struct err *err)
{
	struct script_place *p = js_str(request, "cert") ? script_place(s, js_str(request, "cert")) : NULL;

	switch (op) {
	case OP_REQUEST:
		return keep_request(s, p, a, err);
	case OP_INSTALL:
		return keep_install(s, p, js_str(request, "chain"), a, err);
	case OP_ROLLBACK:
		return keep_rollback(p, a, err);
	case OP_INSTALLED:
		keep_installed(s, p, a);
		return true;
	case OP_VERIFY:
		js_put_bool(a, "mended", s->damaged && strcmp(p->name, s->damaged) == 0);
		return true;
	case OP_LOAD:
	case OP_RESTORE:
		s->loaded_for = js_len(js_arr(request, "certs"));
		services_load(s, a);
		return true;
	default:
		return true;
	}
}

/* Looks, and changes nothing: no operation of the order. */
static void probe(const struct script *s, struct rpc_request *q)
{
	struct js *a = js_object(), *places = js_array(), *one = js_object();

	js_put_str(one, "what", "target");
	js_put_str(one, "name", "/srv/tls");
	if (s->unwritable)
		js_put_str(one, "problem", s->unwritable);
	js_add(places, one);
	js_put(a, "places", places);
	rpc_answer(q, a);
}

static void called(void *arg, struct rpc_request *q, const struct js *request)
{
	struct script *s = arg;
	const char *about = js_str(request, "cert") ? js_str(request, "cert") : js_str(request, "service"), *digest = js_str(request, "conf");
	struct leaf *l;
	struct err err = { 0 };
	size_t i = 0;

	if (strcmp(js_str(request, "op"), "probe") == 0) {
		probe(s, q);
		return;
	}
	while (i < sizeof ops / sizeof ops[0] && strcmp(ops[i].op, js_str(request, "op")) != 0)
		i++;
	if (i == sizeof ops / sizeof ops[0] || !about)
		abort();
	l = mem_alloc(sizeof(*l));
	l->owner = s;
	l->q = q;
	l->answer = js_object();
	if (!leaf_begin(l, s, ops[i].is, about, keeper_ended))
		return;
	if (ops[i].conf && (!digest || strcmp(digest, s->keeper_conf ? s->keeper_conf : s->conf->digest) != 0))
		err_set(&err, ERR_TEMP, "stale-conf", "another configuration");
	else
		perform(s, ops[i].is, request, l->answer, &err);
	if (l->err.kind == ERR_NONE)
		l->err = err;
}

static void closed(void *arg, struct rpc_peer *p)
{
	(void)p;
	((struct script *)arg)->peer = NULL;
}

static int dial(void *arg, struct err *err)
{
	static const struct rpc_serve_ops serve = { .call = called, .closed = closed };
	struct script *s = arg;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		err_errno(err, "socketpair");
		return -1;
	}
	s->peer = rpc_serve(fds[1], 1 << 20, &serve, s, err);
	return fds[0];
}

struct rpc *script_keeper(struct script *s)
{
	static const struct rpc_ops rpc = { .connect = dial };

	return rpc_new(&rpc, s);
}

void script_keeper_gone(struct script *s)
{
	rpc_peer_close(s->peer);
	s->peer = NULL;
	leaf_free_of(s, s);
}
