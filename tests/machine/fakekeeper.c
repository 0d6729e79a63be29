/* SPDX-License-Identifier: ISC */
#include "fakekeeper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "crypto/jose.h"

static void sign(struct fakekeeper *k, struct rpc_request *q, const struct js *request)
{
	struct jose_header header = {
		.url = js_str(request, "url"),
		.nonce = js_str(request, "nonce"),
		.kid = js_str(request, "kid"),
	};
	const char *payload = js_str(request, "payload");
	struct js *bound = NULL;
	char *text = mem_strdup(payload);
	char *jws;
	struct err err;

	if (js_bool(request, "bind", false)) {
		bound = js_parse(payload, strlen(payload), &err);
		js_put(bound, "externalAccountBinding", jose_bind(k->key, header.url, "kid-1", (const unsigned char *)"secret", 6, &err));
		free(text);
		text = js_dump(bound);
		js_free(bound);
		k->binds++;
	}
	jws = jose_sign(k->key, &header, text, strlen(text), &err);
	if (!jws) {
		rpc_refuse(q, &err);
	} else {
		struct js *answer = js_object();

		js_put_str(answer, "jws", jws);
		rpc_answer(q, answer);
	}
	free(jws);
	free(text);
}

static struct js *acs_answer(const struct js *request)
{
	const struct js *params = js_obj(request, "params");
	struct js *answer = js_object(), *headers = js_array();
	char *query = mem_strdup(js_str(request, "action"));
	char *line = mem_printf("x-action: %s", query);

	js_add_str(headers, line);
	free(line);
	line = mem_printf("x-skew: %lld", (long long)js_int(request, "skew", 0));
	js_add_str(headers, line);
	free(line);
	for (void *i = js_first(params); i; i = js_next(params, i)) {
		line = query;
		query = mem_printf("%s&%s=%s", line, js_key(i), js_text(js_value(i)));
		free(line);
	}
	js_put_str(answer, "method", "POST");
	js_put_str(answer, "query", query);
	js_put(answer, "headers", headers);
	free(query);
	return answer;
}

static void called(void *arg, struct rpc_request *q, const struct js *request)
{
	struct fakekeeper *k = arg;
	struct js *answer;
	struct err err;
	char *thumbprint;

	js_free(k->last);
	k->last = js_ref((struct js *)request);
	if (k->hold && k->nheld < sizeof k->held / sizeof k->held[0]) {
		k->held[k->nheld++] = q;
		return;
	}
	if (k->refuse.kind != ERR_NONE) {
		rpc_refuse(q, &k->refuse);
		return;
	}
	if (strcmp(js_str(request, "op"), "sign") == 0) {
		k->signs++;
		sign(k, q, request);
		return;
	}
	if (strcmp(js_str(request, "op"), "acs") == 0) {
		k->acs++;
		rpc_answer(q, k->say ? js_parse(k->say, strlen(k->say), &err) : acs_answer(request));
		return;
	}
	k->accounts++;
	thumbprint = jose_thumbprint(k->key, &err);
	answer = js_object();
	js_put_str(answer, "thumbprint", thumbprint);
	free(thumbprint);
	rpc_answer(q, answer);
}

static void closed(void *arg, struct rpc_peer *p)
{
	struct fakekeeper *k = arg;

	(void)p;
	k->peer = NULL;
}

static int dial(void *arg, struct err *err)
{
	static const struct rpc_serve_ops ops = {.call = called, .closed = closed};
	struct fakekeeper *k = arg;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		err_errno(err, "socketpair");
		return -1;
	}
	k->peer = rpc_serve(fds[1], 1 << 20, &ops, k, err);
	return fds[0];
}

void fakekeeper_open(struct fakekeeper *k)
{
	static const struct rpc_ops ops = {.connect = dial};
	struct err err;

	memset(k, 0, sizeof *k);
	k->key = key_generate(KEY_ECDSA_P256, &err);
	k->rpc = rpc_new(&ops, k);
}

void fakekeeper_close(struct fakekeeper *k)
{
	rpc_free(k->rpc);
	rpc_peer_close(k->peer);
	while (k->nheld)
		rpc_refuse(k->held[--k->nheld], &(struct err){.kind = ERR_LOCAL});
	js_free(k->last);
	key_free(k->key);
}
