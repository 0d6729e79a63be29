/* SPDX-License-Identifier: ISC */
#include "keeper/op.h"

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x509.h"
#include "keeper/acs.h"
#include "keeper/credential.h"
#include "keeper/hook.h"
#include "keeper/probe.h"
#include "keeper/sign.h"
#include "keeper/webroot.h"

enum { BATCH = 1024 * 1024 }; /* bytes of configuration in one answer, about */

/* --- what requests name --- */

static const struct conf *conf_of(const struct op_parts *k)
{
	return accepted_conf(k->accepted);
}

static bool check_digest(const struct op_parts *k, const struct js *q, struct err *err)
{
	const char *digest = js_str(q, "conf");

	return (digest && strcmp(digest, conf_of(k)->digest) == 0) ||
		err_set(err, ERR_TEMP, "stale-conf", "the request was made for another configuration than the accepted one");
}

/* The named thing of the configuration, or NULL and *err. */
#define NAMED(what)                                                                                                       \
	static const struct conf_##what *named_##what(const struct op_parts *k, const struct js *q, struct err *err)        \
	{                                                                                                                 \
		const char *name = js_str(q, #what);                                                                      \
		const struct conf_##what *found = name ? conf_find_##what(conf_of(k), name) : NULL;                       \
                                                                                                                          \
		if (!found)                                                                                               \
			err_set(err, ERR_INPUT, "unknown-" #what, "there is no " #what " \"%s\"", name ? name : "");      \
		return found;                                                                                             \
	}
NAMED(ca)
NAMED(http)
NAMED(dns)
NAMED(service)
NAMED(cert)

/* Of no other kind is there an account. */
static const struct conf_ca *named_acme(const struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_ca *ca = named_ca(k, q, err);

	if (!ca || ca->type == CONF_CA_ACME)
		return ca;
	err_set(err, ERR_DENIED, "policy", "ca \"%s\" is none of type acme", ca->name);
	return NULL;
}

/* --- configuration --- */

static struct js *op_hello(struct op_parts *k, const struct js *q, struct err *err)
{
	struct js *answer = js_object();

	(void)k, (void)q, (void)err;
	js_put_str(answer, "version", PACKAGE_VERSION);
	return answer;
}

static struct js *file_to_js(const struct conf_source *s)
{
	static const char *const kinds[] = { [CONF_MAIN] = "main", [CONF_SERVICES] = "services", [CONF_SNIPPET] = "snippet" };
	struct js *file = js_object();

	js_put_str(file, "path", s->path);
	js_put_str(file, "kind", kinds[s->kind]);
	js_put_str(file, "text", s->text);
	return file;
}

static struct js *op_conf(struct op_parts *k, const struct js *q, struct err *err)
{
	size_t total = accepted_count(k->accepted), i = 0, bytes = 0;
	struct js *answer, *files;

	if (js_int(q, "from", 0) < 0 || (uint64_t)js_int(q, "from", 0) > total) {
		err_set(err, ERR_INPUT, "range", "there are %zu files", total);
		return NULL;
	}
	i = (size_t)js_int(q, "from", 0);
	answer = js_object();
	files = js_array();
	if (i == 0) {
		js_put(answer, "problems", accepted_problems(k->accepted));
		js_put(answer, "quarantined", accepted_quarantined(k->accepted));
	}
	for (; i < total && bytes < BATCH; i++) {
		const struct conf_source *s = accepted_source(k->accepted, i);

		bytes += s->len + strlen(s->path);
		js_add(files, file_to_js(s));
	}
	js_put_str(answer, "digest", conf_of(k)->digest);
	js_put_int(answer, "total", (int64_t)total);
	if (i < total)
		js_put_int(answer, "next", (int64_t)i);
	js_put(answer, "files", files);
	return answer;
}

static struct js *op_reload(struct op_parts *k, const struct js *q, struct err *err)
{
	char *before = mem_strdup(conf_of(k)->digest);
	struct js *answer = js_object();

	(void)q, (void)err;
	k->reload(k->arg);
	js_put_str(answer, "digest", conf_of(k)->digest);
	js_put_bool(answer, "changed", strcmp(before, conf_of(k)->digest) != 0);
	js_put(answer, "problems", accepted_problems(k->accepted));
	js_put(answer, "quarantined", accepted_quarantined(k->accepted));
	free(before);
	return answer;
}

/* --- keys --- */

static struct js *op_account(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_ca *ca = named_acme(k, q, err);
	const struct account *account = ca ? vault_account(k->vault, ca, err) : NULL;
	struct js *answer;

	if (!account)
		return NULL;
	answer = js_object();
	js_put_str(answer, "thumbprint", account->thumbprint);
	return answer;
}

static struct js *op_sign(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_ca *ca = named_acme(k, q, err);
	struct sign_wish wish = {
		.url = js_str(q, "url"), .nonce = js_str(q, "nonce"), .kid = js_str(q, "kid"), .payload = js_str(q, "payload"),
		.bind = js_bool(q, "bind", false),
	};
	struct js *answer;
	char *jws;

	if (!ca)
		return NULL;
	if (!wish.url || !wish.nonce || !wish.payload) {
		err_set(err, ERR_INPUT, "call", "sign wants url, nonce and payload");
		return NULL;
	}
	jws = sign_jws(k->vault, conf_of(k), ca, &wish, err);
	if (!jws)
		return NULL;
	answer = js_object();
	js_put_str(answer, "jws", jws);
	free(jws);
	return answer;
}

static struct js *op_acs(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_ca *ca = named_ca(k, q, err);
	struct acs_wish wish = { .action = js_str(q, "action"), .params = js_obj(q, "params"), .skew = js_int(q, "skew", 0) };

	if (!ca)
		return NULL;
	if (ca->type != CONF_CA_ALIBABA_CAS)
		err_set(err, ERR_DENIED, "policy", "ca \"%s\" is none of type alibaba-cas", ca->name);
	else if (!wish.action || (js_has(q, "params") && !wish.params))
		err_set(err, ERR_INPUT, "call", "acs wants an action, and params that are an object");
	else
		return acs_wish_sign(conf_of(k)->settings.credentials, ca, &wish, err);
	return NULL;
}

static struct js *request_to_js(struct vault_request *request)
{
	struct js *answer = js_object();

	js_put_str(answer, "csr", request->csr);
	js_put_str(answer, "key", request->key);
	free(request->key);
	return answer;
}

static struct js *op_request(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = check_digest(k, q, err) ? named_cert(k, q, err) : NULL;
	struct vault_request request;

	return cert && vault_request(k->vault, cert, &request, err) ? request_to_js(&request) : NULL;
}

/* --- what the network half must hold --- */

static struct js *op_secret(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_dns *dns = named_dns(k, q, err);
	struct js *answer = NULL;
	struct buf secret;
	char *text;

	if (!dns)
		return NULL;
	if (!dns->key_secret) {
		err_set(err, ERR_DENIED, "policy", "dns \"%s\" has no secret for the network half", dns->name);
		return NULL;
	}
	buf_init(&secret, 0);
	if (credential_read(conf_of(k)->settings.credentials, dns->key_secret, &secret, err)) {
		text = text_b64url_encode(secret.data, secret.len);
		answer = js_object();
		js_put_str(answer, "secret", text);
		explicit_bzero(text, strlen(text));
		free(text);
		log_info("secret handed to the network half", "dns", dns->name, "credential", dns->key_secret, NULL);
	}
	buf_wipe(&secret);
	return answer;
}

/* --- challenge files --- */

static const struct conf_http *named_webroot(const struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_http *http = named_http(k, q, err);

	if (!http || (http->type == CONF_HTTP_WEBROOT && js_str(q, "token")))
		return http;
	err_set(err, ERR_INPUT, "call", "a webroot and a token are wanted");
	return NULL;
}

static struct js *op_publish(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_http *http = named_webroot(k, q, err);
	const struct conf_ca *ca = http ? named_acme(k, q, err) : NULL;
	const struct account *account = ca ? vault_account(k->vault, ca, err) : NULL;
	struct js *answer;
	size_t len;

	if (!account || !webroot_publish(http->path, js_str(q, "token"), account->thumbprint, &len, err))
		return NULL;
	answer = js_object();
	js_put_int(answer, "length", (int64_t)len);
	return answer;
}

static struct js *op_withdraw(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_http *http = named_webroot(k, q, err);

	return http && webroot_withdraw(http->path, js_str(q, "token"), err) ? js_object() : NULL;
}

/* --- generations --- */

static struct js *installed_to_js(int64_t generation, int64_t previous)
{
	struct js *answer = js_object();

	js_put_int(answer, "generation", generation);
	if (previous)
		js_put_int(answer, "previous", previous);
	return answer;
}

static struct js *op_install(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = check_digest(k, q, err) ? named_cert(k, q, err) : NULL;
	const char *chain = js_str(q, "chain");
	int64_t generation, previous;

	if (!cert || !install_chain(k->install, cert, chain ? chain : "", chain ? strlen(chain) : 0, &generation, &previous, err))
		return NULL;
	return installed_to_js(generation, previous);
}

static struct js *op_installed(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = named_cert(k, q, err);
	struct js *answer = NULL;
	int64_t generation;
	struct buf chain;
	char *key = NULL;

	buf_init(&chain, X509_PEM_MAX);
	if (cert && install_current(k->install, cert->name, &generation, &chain, &key, err)) {
		answer = js_object();
		if (generation) {
			js_put_int(answer, "generation", generation);
			js_put_str(answer, "chain", chain.data);
			js_put_str(answer, "key", key);
		}
	}
	buf_free(&chain);
	free(key);
	return answer;
}

static struct js *op_rollback(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = check_digest(k, q, err) ? named_cert(k, q, err) : NULL;
	int64_t generation;
	struct js *answer;

	if (!cert || !install_rollback(k->install, cert, js_bool(q, "valid", false), &generation, err))
		return NULL;
	answer = js_object();
	js_put_int(answer, "generation", generation);
	return answer;
}

static struct js *op_confirm(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = named_cert(k, q, err);

	return cert && install_confirm(k->install, cert, conf_of(k)->settings.keep, err) ? js_object() : NULL;
}

static struct js *op_verify(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = check_digest(k, q, err) ? named_cert(k, q, err) : NULL;
	struct js *answer;

	if (!cert)
		return NULL;
	answer = js_object();
	js_put_bool(answer, "mended", install_verify(k->install, cert));
	return answer;
}

/* --- may it write there? --- */

static struct js *places_to_js(struct js *places)
{
	struct js *answer = js_object();

	js_put(answer, "places", places);
	return answer;
}

static struct js *op_probe(struct op_parts *k, const struct js *q, struct err *err)
{
	const struct conf_cert *cert = check_digest(k, q, err) ? named_cert(k, q, err) : NULL;

	return cert ? places_to_js(probe_cert(cert, k->unit)) : NULL;
}

static struct js *op_survey(struct op_parts *k, const struct js *q, struct err *err)
{
	struct js *places = js_array();

	(void)err;
	probe_list(places, PROBE_TARGET, js_arr(q, "targets"), k->unit);
	probe_list(places, PROBE_WEBROOT, js_arr(q, "webroots"), k->unit);
	return places_to_js(places);
}

/* --- what dovad-run does --- */

static void run_ended(void *arg, bool ran, const char *output, const struct err *err)
{
	struct rpc_request *q = arg;
	struct js *answer;

	if (err) {
		rpc_refuse(q, err);
		return;
	}
	answer = js_object();
	js_put_bool(answer, "ran", ran);
	js_put_str(answer, "output", output ? output : "");
	rpc_answer(q, answer);
}

static bool start_run(struct op_parts *k, const struct js *q, struct rpc_request *request, struct err *err)
{
	const struct conf_service *service = check_digest(k, q, err) ? named_service(k, q, err) : NULL;

	if (service)
		run_start(k->run, &(struct run_wish){ js_str(q, "op"), service->name, NULL, service->timeout, true }, run_ended, request);
	return service != NULL;
}

/* A service that the keeper reaches itself. */
static bool start_load(struct op_parts *k, const struct js *q, struct rpc_request *request, struct err *err)
{
	const struct conf_service *service = check_digest(k, q, err) ? named_service(k, q, err) : NULL;
	struct haproxy_wish wish = { conf_of(k), service, js_arr(q, "certs"), strcmp(js_str(q, "op"), "restore") == 0 };

	if (!service || !service->haproxy)
		return service && start_run(k, q, request, err);
	haproxy_start(k->haproxy, &wish, run_ended, request);
	return true;
}

static bool start_hook(struct op_parts *k, const struct js *q, struct rpc_request *request, struct err *err)
{
	const struct conf_dns *dns = named_dns(k, q, err);
	struct hook_call call;
	struct js *data;

	if (!dns || !hook_read(dns, q, &call, err))
		return false;
	data = hook_to_js(&call);
	run_start(k->run, &(struct run_wish){ "hook", dns->name, data, dns->command_timeout, false }, run_ended, request);
	js_free(data);
	return true;
}

/* --- what must last: done in rounds --- */

static const struct conf_cert *round_cert(const struct op_parts *k, const struct js *q)
{
	return check_digest(k, q, NULL) ? named_cert(k, q, NULL) : NULL;
}

static void *round_request_write(void *arg, const struct js *q, struct sync *s)
{
	struct op_parts *k = arg;
	const struct conf_cert *cert = round_cert(k, q);

	return cert ? vault_draft(k->vault, cert, s) : NULL;
}

static bool round_request_step(void *job, int step, struct sync *s)
{
	(void)step;
	return vault_draft_keep(job, s);
}

static struct js *round_request_end(void *job, bool done)
{
	struct vault_request request;

	return vault_draft_end(job, done, &request) ? request_to_js(&request) : NULL;
}

static void *round_install_write(void *arg, const struct js *q, struct sync *s)
{
	struct op_parts *k = arg;
	const struct conf_cert *cert = round_cert(k, q);
	const char *chain = js_str(q, "chain");

	return cert && chain ? install_write(k->install, conf_of(k), cert, chain, strlen(chain), s) : NULL;
}

static bool round_install_step(void *job, int step, struct sync *s)
{
	return step == 0 ? install_name(job, s) : install_point(job, s);
}

static struct js *round_install_end(void *job, bool done)
{
	int64_t generation, previous;

	install_end(job, done, &generation, &previous);
	return done ? installed_to_js(generation, previous) : NULL;
}

static void op_now(void *arg, struct rpc_request *request, const struct js *q);

static const struct round_op round_request = { round_request_write, 1, round_request_step, round_request_end, op_now, false };
static const struct round_op round_install = { round_install_write, 2, round_install_step, round_install_end, op_now, true };
static const struct round_op round_alone = { .alone = op_now, .switches = true };
static const struct round_op round_later = { .alone = op_now }; /* what else is asked about a certificate that is being written */

/* --- dispatch --- */

static const struct op {
	const char *name;
	struct js *(*answer)(struct op_parts *k, const struct js *q, struct err *err);
	bool (*start)(struct op_parts *k, const struct js *q, struct rpc_request *request, struct err *err); /* answers later */
	const struct round_op *round; /* done in rounds; NULL: at once */
	bool root;                    /* may be asked by root only */
} ops[] = {
	{ "hello", op_hello, NULL, NULL, false },
	{ "conf", op_conf, NULL, NULL, false },
	{ "reload", op_reload, NULL, NULL, false },
	{ "account", op_account, NULL, NULL, false },
	{ "sign", op_sign, NULL, NULL, false },
	{ "acs", op_acs, NULL, NULL, false },
	{ "request", op_request, NULL, &round_request, false },
	{ "secret", op_secret, NULL, NULL, false },
	{ "publish", op_publish, NULL, NULL, false },
	{ "withdraw", op_withdraw, NULL, NULL, false },
	{ "install", op_install, NULL, &round_install, false },
	{ "installed", op_installed, NULL, NULL, false },
	{ "rollback", op_rollback, NULL, &round_alone, false },
	{ "verify", op_verify, NULL, &round_alone, false },
	{ "confirm", op_confirm, NULL, NULL, false },
	{ "probe", op_probe, NULL, NULL, false },
	{ "survey", op_survey, NULL, NULL, true },
	{ "test", NULL, start_run, NULL, false },
	{ "load", NULL, start_load, NULL, false },
	{ "restore", NULL, start_load, NULL, false },
	{ "hook", NULL, start_hook, NULL, false },
};

static const struct op *find_op(const char *name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].name, name) == 0)
			return &ops[i];
	return NULL;
}

/* Who reads "Read-only file system" looks at the disk first; under systemd it is mostly the unit. */
static void explain(struct err *err)
{
	size_t len = strlen(err->detail);

	if (err->errnum == EROFS)
		snprintf(err->detail + len, sizeof(err->detail) - len, "; under systemd this folder must be one of the unit's ReadWritePaths=, see "
			"dovad.conf(5)");
}

static void op_now(void *arg, struct rpc_request *request, const struct js *q)
{
	const struct op *op = find_op(js_str(q, "op"));
	struct op_parts *k = arg;
	struct err err = { 0 };
	struct js *answer = NULL;

	if (!op)
		err_set(&err, ERR_INPUT, "call", "there is no operation \"%s\"", js_str(q, "op"));
	else if (op->answer)
		answer = op->answer(k, q, &err);
	else if (op->start(k, q, request, &err))
		return;
	if (answer) {
		rpc_answer(request, answer);
		return;
	}
	/* Nobody honest asks for these. */
	if (strcmp(err.type, "policy") == 0)
		log_error("a request against the rules was refused", "op", js_str(q, "op"), "ca", js_str(q, "ca"), "action", js_str(q, "action"), "url",
			js_str(q, "url"), "dns", js_str(q, "dns"), "why", err.detail, NULL);
	explain(&err);
	rpc_refuse(request, &err);
}

void op_call(struct op_parts *k, struct rpc_request *request, const struct js *q, uid_t uid)
{
	const struct op *op = find_op(js_str(q, "op"));
	struct err err;

	log_debug("asked", "op", js_str(q, "op"), "ca", js_str(q, "ca"), "cert", js_str(q, "cert"), "http", js_str(q, "http"), "dns", js_str(q, "dns"), "service",
		js_str(q, "service"), "url", js_str(q, "url"), "action", js_str(q, "action"), NULL);
	if (op && op->root && uid != 0) {
		log_error("a request against the rules was refused", "op", op->name, "uid", log_num(uid), NULL);
		err_set(&err, ERR_DENIED, "policy", "only root may ask for this");
		rpc_refuse(request, &err);
	} else if (op && op->round) {
		round_add(k->round, op->round, request, q);
	} else if (round_holds(k->round, js_str(q, "cert"))) {
		round_add(k->round, &round_later, request, q);
	} else {
		op_now(k, request, q);
	}
}
