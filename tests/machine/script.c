/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "script.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "idl_check.h"
#include "prove/finding.h"
#include "simtime.h"
#include "testca.h"

static const char *const words[SCRIPT_OPS] = {
	[OP_ACCOUNT] = "account", [OP_CREATE] = "create", [OP_ORDER] = "order", [OP_AUTHZ] = "authz", [OP_ANNOUNCE] = "announce",
	[OP_FINALIZE] = "finalize", [OP_FETCH] = "fetch", [OP_DEACTIVATE] = "deactivate", [OP_REVOKE] = "revoke", [OP_LIST] = "list",
	[OP_PUBLISH] = "publish", [OP_SEE] = "see", [OP_WITHDRAW] = "withdraw", [OP_REVIEW] = "review", [OP_REQUEST] = "request", [OP_INSTALL] = "install",
	[OP_INSTALLED] = "installed", [OP_TEST] = "test", [OP_LOAD] = "load", [OP_RESTORE] = "restore",
	[OP_ROLLBACK] = "rollback", [OP_CONFIRM] = "confirm", [OP_VERIFY] = "verify",
	[OP_LOOK] = "look", [OP_RESOLVE] = "resolve", [OP_IDENTIFY] = "identify", [OP_CAA] = "caa", [OP_CHECK] = "check",
};

static struct script *only; /* the look has no argument of its own to find us by */

void script_broken(struct script *s, const char *what)
{
	print_error("broken: %s\n", what);
	s->broken++;
}

char *script_number(struct script *s, const char *before)
{
	return mem_printf("%s%llu", before, (unsigned long long)++s->numbers);
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */

struct script_rule *script_rule(struct script *s, enum script_op op, enum script_what what)
{
	struct script_rule *rule = mem_alloc(sizeof(*rule)), **at;

	rule->op = op;
	rule->what = what;
	rule->times = 1;
	err_set(&rule->err, ERR_TEMP, "scripted", "as the script says");
	for (at = &s->rules; *at; at = &(*at)->next)
		;
	return *at = rule;
}

struct script_rule *script_fail(struct script *s, enum script_op op, enum err_kind kind, const char *type)
{
	struct script_rule *rule = script_rule(s, op, FAIL);

	err_set(&rule->err, kind, type, "as the script says");
	return rule;
}

void script_forget_rules(struct script *s)
{
	struct script_rule *rule;

	while ((rule = s->rules)) {
		s->rules = rule->next;
		free(rule);
	}
}

static struct script_rule *rule_for(struct script *s, enum script_op op, const char *about)
{
	for (struct script_rule *rule = s->rules; rule; rule = rule->next) {
		if (rule->op != op || rule->times == 0 || (rule->about && !strstr(about, rule->about)))
			continue;
		if (rule->skip > 0) {
			rule->skip--;
			continue;
		}
		rule->times--;
		return rule;
	}
	return NULL;
}

/* --- operations ------------------------------------------------------------------------------------------------------- */

static void leaf_ended(void *arg)
{
	struct leaf *l = arg;

	l->end(l);
	leaf_free(l);
}

static void script_note(struct script *s, enum script_op op)
{
	size_t len = strlen(s->trace);

	s->count[op]++;
	s->ops++;
	if (len + 16 < sizeof s->trace)
		snprintf(s->trace + len, sizeof s->trace - len, "%s%s", len ? " " : "", words[op]);
}

bool leaf_begin(struct leaf *l, struct script *s, enum script_op op, const char *about, void (*end)(struct leaf *l))
{
	struct script_rule *rule;
	enum script_what what;

	l->s = s;
	l->op = op;
	l->end = end;
	l->about = mem_strdup(about);
	l->next = s->leaves;
	s->leaves = l;
	script_note(s, op);
	rule = rule_for(s, op, about);
	what = rule ? rule->what : PASS;
	if (rule && rule->before)
		rule->before(s, about);
	if (what == FAIL || what == LOSE)
		l->err = rule->err;
	if (s->ops == s->crash_at) {
		s->crashed = true;
		what = s->crash_done ? VANISH : SILENT;
	}
	if (what != SILENT && what != VANISH)
		timer_arm(&l->timer, rule ? rule->delay_ms : 0, leaf_ended, l);
	return what == PASS || what == LOSE || what == VANISH;
}

void leaf_free(struct leaf *l)
{
	struct leaf **at;

	for (at = &l->s->leaves; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	timer_disarm(&l->timer);
	if (l->q)
		rpc_answer(l->q, NULL); /* to a peer that is gone, or is going */
	js_free(l->answer);
	free(l->about);
	free(l->extra);
	free(l);
}

void leaf_free_of(struct script *s, const void *owner)
{
	struct leaf *l = s->leaves, *next;

	for (; l; l = next) {
		next = l->next;
		if (l->owner == owner)
			leaf_free(l);
	}
}

/* --- methods ---------------------------------------------------------------------------------------------------------- */

struct script_method {
	struct method method;
	struct script *s;
	char *name;
};

struct method_call { /* its only member: so that one can be made of the other */
	struct leaf leaf;
};

bool script_is_published(struct script *s, const char *token)
{
	for (void *i = js_first(s->tokens); i; i = js_next(s->tokens, i))
		if (js_is_object(js_value(i)) && strcmp(strchr(js_key(i), ' ') + 1, token) == 0)
			return true;
	return false;
}

static void method_count(struct script *s)
{
	s->published = 0;
	for (void *i = js_first(s->tokens); i; i = js_next(s->tokens, i))
		s->published += js_is_object(js_value(i));
}

static void method_ended(struct leaf *l)
{
	struct js *report = NULL;

	if (l->op == OP_SEE || l->op == OP_REVIEW) {
		report = js_object();
		js_put_bool(report, "ok", l->err.kind == ERR_NONE);
	} else if (l->op == OP_PUBLISH && l->extra) {
		report = js_object();
		js_put_str(report, "where", l->extra);
	} else if (l->op == OP_CHECK && l->err.kind == ERR_NONE) {
		report = js_ref(l->answer);
	}
	((method_done *)l->done)(l->arg, report, l->err.kind == ERR_NONE ? NULL : &l->err);
	js_free(report);
}

static struct method_call *method_begin(struct method *m, enum script_op op, const struct method_proof *p, method_done *done, void *arg)
{
	struct script_method *sm = (struct script_method *)m;
	struct method_call *c = mem_alloc(sizeof(*c));
	struct script *s = sm->s;
	char *key;
	bool effect;

	c->leaf.owner = m;
	c->leaf.done = (void *)done;
	c->leaf.arg = arg;
	effect = leaf_begin(&c->leaf, s, op, p->name, method_ended);
	snprintf(s->handed[op], sizeof s->handed[op], "%s", js_str(p->place, "where") ? js_str(p->place, "where") : "");
	if (effect && op == OP_PUBLISH && m->ops->strict)
		c->leaf.extra = mem_strdup(s->where);
	if (op == OP_SEE && m->ops->strict) {
		c->leaf.answer = js_object();
		js_put_str(c->leaf.answer, "decision", "wait");
	}
	if (op != OP_WITHDRAW && (!p->thumbprint || strcmp(p->thumbprint, "thumb") != 0))
		script_broken(s, "a proof without the account's thumbprint");
	if ((op == OP_SEE || op == OP_REVIEW) && !script_is_published(s, p->token))
		script_broken(s, "looked for what was never published");
	key = mem_printf("%s %s", m->name, p->token);
	if (effect && op == OP_PUBLISH)
		js_put(s->tokens, key, js_object());
	if (effect && op == OP_WITHDRAW)
		js_put_null(s->tokens, key);
	free(key);
	method_count(s);
	return c;
}

static enum method_fit method_fits(const struct method *m, const char *name, bool wildcard, struct err *why)
{
	const struct script_method *sm = (const struct script_method *)m;
	const char *perhaps = sm->s->perhaps;

	(void)name;
	if (wildcard)
		err_set(why, ERR_INPUT, "wildcard", "not by HTTP");
	return wildcard ? METHOD_NO : perhaps && (*perhaps == '*' || strcmp(perhaps, strchr(m->name, ':') + 1) == 0) ? METHOD_PERHAPS : METHOD_YES;
}

static struct method_call *method_publish(struct method *m, const struct method_proof *p, method_done *done, void *arg)
{
	return method_begin(m, OP_PUBLISH, p, done, arg);
}

static struct method_call *method_see(struct method *m, const struct method_proof *p, method_done *done, void *arg)
{
	return method_begin(m, OP_SEE, p, done, arg);
}

static struct method_call *method_withdraw(struct method *m, const struct method_proof *p, method_done *done, void *arg)
{
	return method_begin(m, OP_WITHDRAW, p, done, arg);
}

static struct method_call *method_review(struct method *m, const struct method_proof *p, method_done *done, void *arg)
{
	return method_begin(m, OP_REVIEW, p, done, arg);
}

static struct method_call *method_check(struct method *m, const struct method_proof *p, method_done *done, void *arg)
{
	struct script *s = ((struct script_method *)m)->s;
	struct method_call *c = mem_alloc(sizeof(*c));
	const char *finding = s->finding ? s->finding : "ok fine", *text = strchr(finding, ' ') + 1;
	char *verdict = mem_strndup(finding, (size_t)(text - finding) - 1);

	if (p->token || p->thumbprint)
		script_broken(s, "a look ahead at a proof");
	c->leaf.owner = m;
	c->leaf.done = (void *)done;
	c->leaf.arg = arg;
	c->leaf.answer = js_array();
	finding_add(c->leaf.answer, finding_find(verdict), "scripted", p->name, "%s", text);
	free(verdict);
	leaf_begin(&c->leaf, s, OP_CHECK, p->name, method_ended);
	return c;
}

static const struct js *method_seeing(const struct method_call *c)
{
	return c->leaf.answer;
}

static int64_t method_judged(struct method *m, const struct method_proof *p, const struct err *err)
{
	struct script *s = ((struct script_method *)m)->s;
	size_t len = strlen(s->judged);

	if (!script_is_published(s, p->token))
		script_broken(s, "told of a judgement on what was never published");
	snprintf(s->judged + len, sizeof s->judged - len, "%s%s", len ? " " : "", err ? err->type : "valid");
	return err ? s->kept_s : 0;
}

static void method_cancel(struct method_call *c)
{
	leaf_free(&c->leaf);
}

static void method_free(struct method *m)
{
	struct script_method *sm = (struct script_method *)m;

	leaf_free_of(sm->s, m);
	free(sm->name);
	free(sm);
}

struct method *script_method(void *arg, const struct conf_method *method, struct err *err)
{
	static const struct method_ops ops = { .challenge = "http-01", .fits = method_fits, .publish = method_publish, .see = method_see,
		.withdraw = method_withdraw, .cancel = method_cancel, .free = method_free };
	static const struct method_ops strict = { .challenge = "http-01", .strict = true, .fits = method_fits, .publish = method_publish,
		.see = method_see, .withdraw = method_withdraw, .cancel = method_cancel, .free = method_free, .seeing = method_seeing,
		.review = method_review, .judged = method_judged };
	static struct method_ops ahead[2];
	struct script *s = arg;
	struct script_method *sm;

	ahead[0] = ops;
	ahead[1] = strict;
	ahead[0].check = ahead[1].check = method_check;
	if (s->no_method && (strcmp(s->no_method, method->name) == 0 || strcmp(s->no_method, "*") == 0)) {
		err_set(err, ERR_LOCAL, "listen", "the address is in use");
		return NULL;
	}
	sm = mem_alloc(sizeof(*sm));
	sm->s = s;
	sm->name = mem_printf("%s:%s", conf_method_words[method->kind], method->name);
	sm->method = (struct method){ s->ahead ? &ahead[s->strict] : s->strict ? &strict : &ops, sm->name };
	return &sm->method;
}

/* --- looks ------------------------------------------------------------------------------------------------------------- */

struct tls_look {
	struct leaf leaf;
};

static void look_ended(struct leaf *l)
{
	struct script_place *p = NULL;
	struct x509_chain *chain = NULL;
	struct tls_seen seen = { .n = 1, .version = "TLSv1.3" };
	tls_done *done = (tls_done *)l->done;

	for (size_t i = 0; i < l->s->conf->cert.n; i++)
		for (size_t k = 0; k < l->s->conf->cert.v[i].names.n; k++)
			if (strcmp(l->s->conf->cert.v[i].names.v[k], l->extra) == 0)
				p = script_place(l->s, l->s->conf->cert.v[i].name);
	if (l->err.kind == ERR_NONE && (!p || !p->served))
		err_set(&l->err, ERR_TEMP, "tls", "nothing is served for %s", l->extra);
	if (l->err.kind != ERR_NONE) {
		done(l->arg, NULL, &l->err);
		return;
	}
	chain = x509_parse(p->served, strlen(p->served), &l->err);
	assert_non_null(chain);
	seen.n = x509_leaf(chain)->length;
	for (size_t i = 0; i < seen.n; i++)
		x509_der(chain, i, &seen.der[i], &seen.len[i]);
	done(l->arg, &seen, NULL);
	x509_free(chain);
}

struct tls_look *script_look(const struct tls_ask *ask, tls_done *done, void *arg)
{
	struct tls_look *look = mem_alloc(sizeof(*look));
	char address[ADDR_TEXT];

	look->leaf.done = (void *)done;
	look->leaf.arg = arg;
	look->leaf.extra = mem_strdup(ask->sni);
	only->spoken = ask->starttls;
	only->looked_port = addr_port(&ask->at);
	leaf_begin(&look->leaf, only, OP_LOOK, addr_format(&ask->at, address), look_ended);
	return look;
}

void script_look_cancel(struct tls_look *l)
{
	leaf_free(&l->leaf);
}

/* --- addresses of names ------------------------------------------------------------------------------------------------ */

struct dns_lookup {
	struct leaf leaf;
};

static void resolve_ended(struct leaf *l)
{
	dns_done *done = (dns_done *)l->done;
	struct addr addrs[8];
	char *texts = mem_strdup(l->s->resolves ? l->s->resolves : ""), *rest;
	size_t n = 0;

	for (char *t = strtok_r(texts, " ", &rest); t; t = strtok_r(NULL, " ", &rest))
		assert_true(addr_parse_ip(t, 0, &addrs[n++]));
	free(texts);
	if (l->err.kind == ERR_NONE && n == 0)
		err_set(&l->err, ERR_TEMP, "dns", "there is no address");
	done(l->arg, l->err.kind ? NULL : addrs, l->err.kind ? 0 : n, l->err.kind ? &l->err : NULL);
}

static struct dns_lookup *script_resolve(void *arg, const char *name, dns_done *done, void *done_arg)
{
	struct dns_lookup *lookup = mem_alloc(sizeof(*lookup));

	lookup->leaf.done = (void *)done;
	lookup->leaf.arg = done_arg;
	leaf_begin(&lookup->leaf, arg, OP_RESOLVE, name, resolve_ended);
	return lookup;
}

static void script_resolve_cancel(struct dns_lookup *l)
{
	leaf_free(&l->leaf);
}

/* --- CAA and DNSSEC ---------------------------------------------------------------------------------------------------- */

struct caa_look {
	struct leaf leaf;
};

static void caa_ended(struct leaf *l)
{
	const char *value = l->s->caa ? strchr(l->s->caa, ' ') + 1 : "";
	struct caa_record r = { .value = value, .len = strlen(value) };
	struct caa_seen seen = { .name = l->about, .set = &r, .n = l->s->caa != NULL, .dnssec = (enum caa_dnssec)l->s->dnssec, .bogus = l->about, .reason = "",
		.server = "192.0.2.53:53" };

	if (l->s->caa)
		memcpy(r.tag, l->s->caa, strcspn(l->s->caa, " "));
	((caa_looked *)l->done)(l->arg, l->err.kind == ERR_NONE ? &seen : NULL, l->err.kind == ERR_NONE ? NULL : &l->err);
}

static struct caa_look *script_caa(void *arg, const char *name, caa_looked *done, void *done_arg)
{
	struct caa_look *look = mem_alloc(sizeof(*look));

	look->leaf.done = (void *)done;
	look->leaf.arg = done_arg;
	leaf_begin(&look->leaf, arg, OP_CAA, name, caa_ended);
	return look;
}

static void script_caa_cancel(struct caa_look *look)
{
	leaf_free(&look->leaf);
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void no_log(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level;
	if (getenv("SCRIPT_LOG"))
		print_message("%s %s\n", log_time(clock_now()), line);
}

int script_setup(void **state)
{
	struct script *s = mem_alloc(sizeof(*s));
	/* In memory where there is such a place: a crash of ours is simulated, not one of the machine, and each commit is a sync. */
	char *dir = mem_printf("%s/dovad-script-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	struct err err;

	simtime_start(SCRIPT_NOW);
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(no_log, NULL);
	assert_true(loop_open(&err));
	assert_non_null(mkdtemp(dir));
	s->dir = mem_printf("%s/0", dir);
	free(dir);
	s->root = testca_new("Script Root", NULL, NULL);
	s->mid = testca_new("Script CA", s->root, NULL);
	s->other = key_generate(KEY_ECDSA_P256, &err);
	s->tokens = js_object();
	s->life_s = 90 * 86400;
	s->early_s = -3600;
	s->order_life_s = 7 * 86400;
	s->reuse = true;
	s->where = "here";
	only = s;
	*state = s;
	return 0;
}

static void tick(void *arg)
{
	((struct script *)arg)->ticks++;
}

static void script_start(struct script *s)
{
	struct registry_parts parts = { .issuer = script_issuer, .method = script_method, .tick = tick, .look = script_look,
		.look_cancel = script_look_cancel, .addresses = script_resolve, .addresses_cancel = script_resolve_cancel,
		.caa = s->ahead ? script_caa : NULL, .caa_cancel = script_caa_cancel, .arg = s };
	struct err err;
	bool fresh;

	s->store = store_open(s->dir, &fresh, &err);
	if (!s->store)
		fail_msg("%s", err.detail);
	s->keeper = script_keeper(s);
	s->registry = registry_new(s->store, s->keeper, &parts);
	s->starts++;
	registry_apply(s->registry, s->conf);
}

void script_conf(struct script *s, const char *text)
{
	struct conf_source source = { .path = "/etc/dovad/dovad.conf", .kind = CONF_MAIN };
	struct conf *conf;

	if (text) {
		free(s->text);
		s->text = mem_strdup(text);
	}
	source.text = s->text;
	source.len = strlen(s->text);
	conf = conf_build(&source, 1, NULL, 0);
	for (size_t i = 0; i < conf->problems.n; i++)
		if (!conf->problems.v[i].warning)
			fail_msg("line %d: %s", conf->problems.v[i].line, conf->problems.v[i].text);
	conf_free(s->conf);
	s->conf = conf;
	if (s->registry)
		registry_apply(s->registry, s->conf);
	else
		script_start(s);
}

static void script_end(struct script *s)
{
	if (!s->registry)
		return;
	registry_free(s->registry);
	rpc_free(s->keeper);
	rpc_peer_close(s->peer);
	store_close(s->store);
	while (s->leaves)
		leaf_free(s->leaves);
	s->registry = NULL;
	s->peer = NULL;
	loop_turn(false); /* what was put off until now */
}

void script_stop(struct script *s)
{
	script_end(s);
}

static void copy_file(int from, int to, const char *name)
{
	struct buf b;
	struct err err;

	buf_init(&b, 0);
	assert_true(file_read(from, name, (size_t)64 << 20, &b, NULL, &err));
	assert_true(file_create(to, name, b.data ? b.data : "", b.len, 0600, &err));
	buf_free(&b);
}

/* The journal as it is on the disk at this moment goes to a folder of its own; the old one may do what it likes afterwards. */
void script_crash(struct script *s)
{
	char *dir = script_number(s, "/x");
	int from, to;
	struct err err;
	struct dirent *d;
	DIR *list;

	*strrchr(s->dir, '/') = '\0';
	char *next = mem_printf("%s%s", s->dir, dir);

	s->dir[strlen(s->dir)] = '/';
	from = open(s->dir, O_RDONLY | O_DIRECTORY);
	to = file_make_dirs(next, 0700, &err);
	assert_true(from >= 0 && to >= 0);
	list = fdopendir(dup(from));
	while ((d = readdir(list)))
		if (strcmp(d->d_name, "journal.db") == 0 || strcmp(d->d_name, "journal.db-wal") == 0)
			copy_file(from, to, d->d_name);
	closedir(list);
	close(from);
	close(to);
	script_end(s);
	free(s->dir);
	s->dir = next;
	free(dir);
	s->crashed = false;
	s->crash_at = 0;
	script_start(s);
}

int script_teardown(void **state)
{
	struct script *s = *state;
	unsigned wrong = s->broken;
	struct err err;

	script_end(s);
	if (s->published) {
		print_error("%zu tokens are still published\n", s->published);
		wrong++;
	}
	script_forget_rules(s);
	script_free_orders(s);
	script_free_places(s);
	js_free(s->tokens);
	conf_free(s->conf);
	key_free(s->other);
	testca_free(s->mid);
	testca_free(s->root);
	*strrchr(s->dir, '/') = '\0';
	if (!file_remove_tree(AT_FDCWD, s->dir, &err))
		print_error("%s\n", err.detail);
	free(s->dir);
	free(s->text);
	free(s);
	loop_close();
	simtime_stop();
	log_set_sink(NULL, NULL);
	return wrong ? -1 : 0;
}

/* --- running ---------------------------------------------------------------------------------------------------------- */

/* Something is under way for it, or it has its place in the line: who is in neither is never renewed again. */
static bool check_planned(void *arg, struct cert *c)
{
	struct script *s = arg;

	if (c->conf->enabled && !c->order && !c->waiting && !c->asking && !c->heap) {
		print_error("%s, %s: ", c->name, cert_state_name(c->state));
		script_broken(s, "forgotten: nothing is under way, and nothing is planned");
		return false;
	}
	return true;
}

static void script_turn(struct script *s)
{
	loop_turn(true);
	if (s->crashed)
		script_crash(s);
	if (s->registry)
		registry_each(s->registry, NULL, check_planned, s);
}

static void wake(void *arg)
{
	*(bool *)arg = true;
}

void script_run(struct script *s, int64_t ms)
{
	struct timer t = { 0 };
	bool over = false;

	timer_arm(&t, ms, wake, &over);
	while (!over)
		script_turn(s);
}

/* What dovactl shows and explain tell of, wherever it stands. Of many certificates the first few: the others are alike. */
static bool check_shown(void *arg, struct cert *c)
{
	struct script *s = arg;
	struct js *shown = cert_show(c, true), *last = registry_last_order(s->registry, c);

	idl_check("Certificate", shown);
	if (last)
		idl_check("Order", last);
	js_free(shown);
	js_free(last);
	return ++s->shown % 3 != 0;
}

void script_until(struct script *s, bool (*fn)(struct script *s, const void *arg), const void *arg, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	while (!fn(s, arg)) {
		if (clock_mono_ms() > end)
			fail_msg("nothing came of it; trace: %s", s->trace);
		script_turn(s);
	}
	if (s->registry)
		registry_each(s->registry, NULL, check_shown, s);
}

struct op_wish {
	enum script_op op;
	unsigned count;
};

static bool op_was(struct script *s, const void *arg)
{
	const struct op_wish *w = arg;

	return s->count[w->op] >= w->count;
}

void script_until_op(struct script *s, enum script_op op, unsigned count)
{
	struct op_wish wish = { op, count };

	script_until(s, op_was, &wish, 10 * (int64_t)DAY_MS);
}

struct cert *script_cert(struct script *s, const char *name)
{
	struct cert *c = registry_find(s->registry, name);

	assert_non_null(c);
	return c;
}

static bool is_served(struct script *s, const void *name)
{
	struct cert *c = script_cert(s, name);

	return !c->order && c->state == CERT_WAITING && c->not_after && !c->last_error && c->attempts == 0 && c->next_at > clock_now();
}

void script_until_served(struct script *s, const char *name)
{
	script_until(s, is_served, name, 10 * (int64_t)DAY_MS);
	if (script_place(s, name)->served && !script_is_served(s, name))
		script_broken(s, "said to be served, and is not");
}

struct state_wish {
	const char *name;
	enum cert_state state;
};

static bool has_state(struct script *s, const void *arg)
{
	const struct state_wish *w = arg;

	return script_cert(s, w->name)->state == w->state;
}

void script_until_state(struct script *s, const char *name, enum cert_state state)
{
	struct state_wish wish = { name, state };

	script_until(s, has_state, &wish, 10 * (int64_t)DAY_MS);
}

static bool is_idle(struct script *s, const void *name)
{
	struct cert *c = script_cert(s, name);

	return !c->order && !c->waiting && !c->asking && c->next_at != 0 && c->next_at > clock_now();
}

void script_until_idle(struct script *s, const char *name)
{
	script_until(s, is_idle, name, 10 * (int64_t)DAY_MS);
}

/* --- what came of it --------------------------------------------------------------------------------------------------- */

struct js *script_record(struct script *s, const char *kind, const char *name)
{
	return store_get(s->store, kind, name);
}

void script_lose_record(struct script *s, const char *name)
{
	struct err err;
	bool fresh;
	struct store *store = store_open(s->dir, &fresh, &err);

	assert_non_null(store);
	store_drop(store, "cert", name);
	store_close(store);
}

bool script_has_event(struct script *s, const char *cert, const char *event)
{
	struct js *all;
	struct err err;
	bool has = false;

	assert_true(store_commit(s->store, &err));
	all = store_history(s->store, cert, 1000);
	for (size_t i = 0; i < js_len(all); i++)
		has |= strcmp(js_str(js_at(all, i), "event"), event) == 0;
	js_free(all);
	return has;
}

void script_forget(struct script *s)
{
	memset(s->count, 0, sizeof s->count);
	s->trace[0] = '\0';
	s->ops = 0;
}
