/* SPDX-License-Identifier: ISC */
/* TXT records by dynamic update (RFC 2136), signed (RFC 8945). A change goes: line -> secret -> address -> message -> answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/dns_exchange.h"
#include "io/loop.h"
#include "prove/dns_provider.h"
#include "prove/dns_rfc2136_wire.h"

enum { DNS_PORT = 53, ACTIVE_MAX = 32, KEEPER_MS = 20000, PROBE_RANDOM = 16 };

struct secret { /* zero: none */
	unsigned char *bytes;
	size_t len;
};

TAILQ_HEAD(changes, dns_change);

struct rfc2136 {
	struct dns_provider provider;
	struct dns_rfc2136_options o;
	char *host;              /* of the server, or its address */
	uint16_t port;
	struct changes line, active;
	unsigned nactive;
	struct secret secret;
	unsigned generation;     /* of the secret: counts the different ones there have been */
	struct rpc_call *asking; /* for the secret */
};

enum step { STEP_SECRET, STEP_SERVER, STEP_ANSWER, STEP_TELL };

struct dns_change {
	TAILQ_ENTRY(dns_change) link;
	struct rfc2136 *p;
	enum update_kind kind;
	char *zone, *name, *value;
	bool active;
	enum step step;
	dns_changed *done;
	void *arg;
	int64_t until_ms;
	struct dns_lookup *lookup;
	struct addr *addrs;       /* of the server */
	size_t naddrs, addr;      /* addr: the one that is asked */
	struct dns_exchange *exchange;
	struct tsig_state signature;
	struct update_answer answer;
	unsigned generation;      /* of the secret it was signed with */
	bool asked_again;         /* for the secret, after it was refused */
	struct err err;
};

static void secret_wipe(struct secret *s)
{
	if (s->bytes)
		explicit_bzero(s->bytes, s->len);
	free(s->bytes);
	*s = (struct secret){0};
}

/* --- the end of a change --- */

static void change_free(struct dns_change *c)
{
	struct rfc2136 *p = c->p;

	loop_undefer(c);
	dns_cancel(c->lookup);
	dns_exchange_cancel(c->exchange);
	TAILQ_REMOVE(c->active ? &p->active : &p->line, c, link);
	p->nactive -= c->active;
	free(c->addrs);
	free(c->zone);
	free(c->name);
	free(c->value);
	free(c);
}

static void pump(void *arg);

/* The next in line takes its place. */
static void change_cancel(struct dns_change *c)
{
	struct rfc2136 *p;

	if (!c)
		return;
	p = c->p;
	change_free(c);
	loop_undefer(p);
	loop_defer(pump, p);
}

static void change_tell(void *arg)
{
	struct dns_change *c = arg;
	dns_changed *done = c->done;
	void *done_arg = c->arg;
	struct err err = c->err;

	change_cancel(c);
	done(done_arg, err.kind ? &err : NULL); /* may free the provider */
}

/* err NULL: done. Else it is told with what it is about: entry, server, zone, name. */
static void change_over(struct dns_change *c, const struct err *err)
{
	struct err why = {0};
	char address[ADDR_TEXT] = "";

	if (err)
		why = *err;
	c->step = STEP_TELL;
	c->err = why;
	if (c->naddrs)
		addr_format(&c->addrs[c->addr], address);
	if (why.kind) /* the reason is what the reader needs most: long names give way to it */
		err_set(&c->err, why.kind, why.type, "dns %s: server %.64s, zone %.80s, name %.100s: %s", c->p->provider.name, *address ? address : c->p->host,
			c->zone, c->name, why.detail);
	c->err.errnum = why.errnum;
	loop_defer(change_tell, c);
}

/* --- message and answer --- */

static void change_try(struct dns_change *c, size_t addr);
static void ask_secret(struct rfc2136 *p);

static struct tsig_key key_of(const struct rfc2136 *p)
{
	return (struct tsig_key){p->o.key_name, (enum tsig_algorithm)p->o.key_algorithm, p->secret.bytes, p->secret.len};
}

static enum dns_heard change_hear(void *arg, const uint8_t *msg, size_t len, bool tcp, struct err *err)
{
	struct dns_change *c = arg;
	struct tsig_key key = key_of(c->p);
	struct update_signature s = {c->p->o.key_name ? &key : NULL, &c->signature, clock_now()};

	return update_read(&s, msg, len, tcp, &c->answer, err);
}

/* Another secret may be there by now: it is asked for once, and if it is another one the message goes out again. */
static void change_refused(struct dns_change *c, const struct err *err)
{
	c->err = *err;
	c->asked_again = true;
	c->step = STEP_SECRET;
	ask_secret(c->p);
}

static void change_answered(void *arg, const struct err *err)
{
	struct dns_change *c = arg;
	const struct err *said = err ? err : c->answer.err.kind ? &c->answer.err : NULL;

	c->exchange = NULL;
	if (said && c->answer.key_refused && !c->asked_again)
		change_refused(c, said);
	else if (said && said->kind == ERR_TEMP && c->addr + 1 < c->naddrs && clock_mono_ms() < c->until_ms)
		change_try(c, c->addr + 1);
	else
		change_over(c, said);
}

static bool change_write(struct dns_change *c, struct buf *msg, struct err *err)
{
	struct rfc2136 *p = c->p;
	struct update u = {.kind = c->kind, .zone = c->zone, .name = c->name, .value = c->value, .ttl = p->o.ttl};
	struct tsig_key key = key_of(p);

	if (getrandom(&u.id, sizeof u.id, 0) != sizeof u.id)
		return err_errno(err, "no random numbers");
	c->generation = p->generation;
	return update_write(&u, msg, err) && (!p->o.key_name || tsig_sign(&key, msg, clock_now(), &c->signature, err));
}

/* Each address gets its share of the time that is left. */
static void change_try(struct dns_change *c, size_t addr)
{
	int64_t left = c->until_ms - clock_mono_ms();
	struct dns_exchange_options o = {
		.to = c->addrs[addr],
		.timeout_ms = (left > 0 ? left : 0) / (int64_t)(c->naddrs - addr),
		.hear = change_hear,
		.done = change_answered,
		.arg = c,
	};
	struct buf msg;
	struct err err;

	c->step = STEP_ANSWER;
	c->addr = addr;
	c->answer = (struct update_answer){0};
	buf_init(&msg, 0);
	if (change_write(c, &msg, &err)) {
		o.msg = msg.data;
		o.len = msg.len;
		c->exchange = dns_exchange_start(&o);
	} else {
		change_over(c, &err);
	}
	buf_free(&msg);
}

static void change_found(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct dns_change *c = arg;

	c->lookup = NULL;
	if (err) {
		change_over(c, err);
		return;
	}
	c->addrs = mem_array(n, sizeof(*addrs));
	memcpy(c->addrs, addrs, n * sizeof(*addrs));
	c->naddrs = n;
	c->until_ms = clock_mono_ms() + c->p->o.timeout_ms;
	change_try(c, 0);
}

static void change_find_server(struct dns_change *c)
{
	c->step = STEP_SERVER;
	c->lookup = dns_addresses(c->p->o.dns, c->p->host, c->p->port, change_found, c);
}

/* --- the secret --- */

static void change_with_secret(struct dns_change *c)
{
	if (!c->asked_again)
		change_find_server(c);
	else if (c->generation != c->p->generation)
		change_try(c, c->addr);
	else
		change_over(c, &c->err);
}

static bool read_secret(const struct rfc2136 *p, const struct js *answer, struct secret *out, struct err *err)
{
	const char *text = js_str(answer, "secret");
	struct secret credential = {0};
	bool ok = text && text_b64url_decode(text, strlen(text), &credential.bytes, &credential.len) &&
		text_b64_decode_lenient((const char *)credential.bytes, credential.len, &out->bytes, &out->len) && out->len > 0;

	secret_wipe(&credential);
	if (!ok)
		secret_wipe(out);
	return ok || err_set(err, ERR_INPUT, "credential", "the secret of key %.100s is not a key in base64, as key files have it", p->o.key_name);
}

static void secret_replace(struct rfc2136 *p, struct secret *new)
{
	bool same = p->secret.len == new->len && p->secret.bytes && memcmp(p->secret.bytes, new->bytes, new->len) == 0;

	if (!same)
		p->generation++;
	secret_wipe(&p->secret);
	p->secret = *new;
}

static void secret_came(void *arg, const struct js *answer, const struct err *err)
{
	struct rfc2136 *p = arg;
	struct secret new = {0};
	struct dns_change *c;
	struct err bad;

	p->asking = NULL;
	if (!err && !read_secret(p, answer, &new, &bad))
		err = &bad;
	if (!err)
		secret_replace(p, &new);
	TAILQ_FOREACH(c, &p->active, link) {
		if (c->step != STEP_SECRET)
			continue;
		if (err)
			change_over(c, c->asked_again ? &c->err : err);
		else
			change_with_secret(c);
	}
}

static void ask_secret(struct rfc2136 *p)
{
	struct js *request;

	if (p->asking)
		return;
	request = js_object();
	js_put_str(request, "op", "secret");
	js_put_str(request, "dns", p->provider.name);
	p->asking = rpc_send(p->o.keeper, request, KEEPER_MS, secret_came, p);
}

/* --- the line --- */

static void change_start(struct dns_change *c)
{
	struct rfc2136 *p = c->p;

	TAILQ_REMOVE(&p->line, c, link);
	TAILQ_INSERT_TAIL(&p->active, c, link);
	c->active = true;
	p->nactive++;
	if (c->err.kind) {
		change_over(c, &c->err);
	} else if (p->o.key_name && !p->secret.bytes) {
		c->step = STEP_SECRET;
		ask_secret(p);
	} else {
		change_find_server(c);
	}
}

static void pump(void *arg)
{
	struct rfc2136 *p = arg;

	while (p->nactive < ACTIVE_MAX && !TAILQ_EMPTY(&p->line))
		change_start(TAILQ_FIRST(&p->line));
}

static bool may_write(const struct rfc2136 *p, const struct dns_record *r, struct err *err)
{
	for (size_t i = 0; i < p->provider.nzones; i++)
		if (update_name_is_in(r->name, p->provider.zones[i]))
			return true;
	return p->provider.nzones == 0 || err_set(err, ERR_INPUT, "dns", "none of the zones of this entry holds this name");
}

static struct dns_change *change_new(struct dns_provider *provider, enum update_kind kind, const struct dns_record *r, dns_changed *done, void *arg)
{
	struct rfc2136 *p = (struct rfc2136 *)provider;
	struct dns_change *c = mem_alloc(sizeof(*c));
	uint8_t random[PROBE_RANDOM];

	c->p = p;
	c->kind = kind;
	c->zone = mem_strdup(r->zone);
	c->name = mem_strdup(r->name);
	c->value = kind == UPDATE_PROBE ? NULL : mem_strdup(r->value);
	c->done = done;
	c->arg = arg;
	if (may_write(p, r, &c->err) && kind == UPDATE_PROBE) {
		if (getrandom(random, sizeof random, 0) != sizeof random)
			err_errno(&c->err, "no random numbers");
		c->value = text_hex_encode(random, sizeof random);
	}
	TAILQ_INSERT_TAIL(&p->line, c, link);
	loop_undefer(p);
	loop_defer(pump, p);
	return c;
}

static struct dns_change *rfc2136_add(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change_new(p, UPDATE_ADD, r, done, arg);
}

static struct dns_change *rfc2136_remove(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change_new(p, UPDATE_REMOVE, r, done, arg);
}

static struct dns_change *rfc2136_probe(struct dns_provider *p, const struct dns_record *r, dns_changed *done, void *arg)
{
	return change_new(p, UPDATE_PROBE, r, done, arg);
}

static void rfc2136_free(struct dns_provider *provider)
{
	struct rfc2136 *p = (struct rfc2136 *)provider;

	while (!TAILQ_EMPTY(&p->active))
		change_free(TAILQ_FIRST(&p->active));
	while (!TAILQ_EMPTY(&p->line))
		change_free(TAILQ_FIRST(&p->line));
	loop_undefer(p);
	rpc_cancel(p->asking);
	secret_wipe(&p->secret);
	for (size_t i = 0; i < p->provider.nzones; i++)
		free((char *)p->provider.zones[i]);
	free((char **)p->provider.zones);
	free((char *)p->provider.name);
	free((char *)p->o.key_name);
	free(p->host);
	free(p);
}

/* "IP", "IP:port", "[IP]:port", a name, "name:port". */
static bool read_server(const char *text, char **host, uint16_t *port)
{
	char ip[ADDR_TEXT];
	size_t len = strcspn(text, ":");
	struct addr a;

	*port = DNS_PORT;
	if (addr_parse(text, DNS_PORT, &a)) {
		*host = mem_strdup(addr_format_ip(&a, ip));
		*port = addr_port(&a);
		return true;
	}
	snprintf(ip, sizeof ip, "127.0.0.1%.20s", text + len); /* the same reading of the port */
	if (len == 0 || len > 253 || !addr_parse(ip, DNS_PORT, &a))
		return false;
	*port = addr_port(&a);
	*host = mem_strndup(text, len);
	return true;
}

static bool check_options(const struct dns_rfc2136_options *o, struct err *err)
{
	if (o->key_name && !tsig_name_check(o->key_name))
		return err_set(err, ERR_INPUT, "dns", "dns %s: '%s' cannot be the name of a TSIG key", o->name, o->key_name);
	if (o->key_name && (o->key_algorithm < 0 || o->key_algorithm >= TSIG_ALGORITHMS))
		return err_set(err, ERR_BUG, "dns", "dns %s: there is no TSIG algorithm %d", o->name, o->key_algorithm);
	return true;
}

struct dns_provider *dns_rfc2136_new(const struct dns_rfc2136_options *o, struct err *err)
{
	static const struct dns_provider_ops ops = {rfc2136_add, rfc2136_remove, rfc2136_probe, change_cancel, rfc2136_free};
	struct rfc2136 *p;
	char *host, **zones;
	uint16_t port;

	if (!check_options(o, err))
		return NULL;
	if (!read_server(o->server, &host, &port)) {
		err_set(err, ERR_INPUT, "dns", "dns %s: '%s' is not a server: an IP address or a name, with or without a port", o->name, o->server);
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	zones = mem_array(o->nzones, sizeof(*zones));
	for (size_t i = 0; i < o->nzones; i++)
		zones[i] = mem_strdup(o->zones[i]);
	p->provider = (struct dns_provider){&ops, mem_strdup(o->name), (const char *const *)zones, o->nzones};
	p->o = *o;
	p->o.key_name = o->key_name ? mem_strdup(o->key_name) : NULL;
	p->host = host;
	p->port = port;
	TAILQ_INIT(&p->line);
	TAILQ_INIT(&p->active);
	return &p->provider;
}
