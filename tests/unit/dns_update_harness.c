/* SPDX-License-Identifier: ISC */
/* The dynamic update provider by hand, for the tests against real servers: all changes at once, a line for each as it ends ("N ok" or "N kind type detail").
 *   dns_update_harness SERVER KEY ALGORITHM SECRET[,SECRET...] TTL TIMEOUT_MS {add|remove|probe ZONE NAME VALUE}...
 * KEY "-": not signed. SECRET: base64; the n-th time it is asked for, the n-th is given. The word "again" between two changes: those behind it begin when all
 * before it have ended. HARNESS_CLOCK in the environment: seconds by which our clock is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/tsig.h"
#include "io/loop.h"
#include "prove/dns_provider.h"

static struct rpc_peer *peer;
static const char *secrets;
static int pending;
static bool failed;

static void die(const char *what)
{
	fprintf(stderr, "dns_update_harness: %s\n", what);
	exit(2);
}

static void keeper_call(void *arg, struct rpc_request *q, const struct js *request)
{
	size_t len = strcspn(secrets, ",");
	char *text = text_b64url_encode(secrets, len);
	struct js *answer = js_object();

	(void)arg;
	if (strcmp(js_str(request, "op"), "secret") != 0 || strcmp(js_str(request, "dns"), "harness") != 0)
		die("asked for something else than the secret of dns entry harness");
	js_put_str(answer, "secret", text);
	free(text);
	if (secrets[len])
		secrets += len + 1;
	rpc_answer(q, answer);
}

static void keeper_closed(void *arg, struct rpc_peer *p)
{
	(void)arg;
	(void)p;
	peer = NULL;
}

static int keeper_connect(void *arg, struct err *err)
{
	static const struct rpc_serve_ops ops = {.call = keeper_call, .closed = keeper_closed};
	int fds[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		die("socketpair");
	peer = rpc_serve(fds[1], 65536, &ops, NULL, err);
	return fds[0];
}

static void changed(void *arg, const struct err *err)
{
	int *number = arg;

	if (err)
		printf("%d %s %s %s\n", *number, err_kind_name(err->kind), err->type, err->detail);
	else
		printf("%d ok\n", *number);
	failed |= err != NULL;
	pending--;
	free(number);
}

static void start(struct dns_provider *p, char **words, int number)
{
	struct dns_record r = {words[1], words[2], words[3]};
	int *n = mem_alloc(sizeof *n);

	*n = number;
	pending++;
	if (strcmp(words[0], "add") == 0)
		p->ops->add(p, &r, changed, n);
	else if (strcmp(words[0], "remove") == 0)
		p->ops->remove(p, &r, changed, n);
	else
		p->ops->probe(p, &r, changed, n);
}

int main(int argc, char **argv)
{
	static const struct rpc_ops ops = {.connect = keeper_connect};
	static const char *const all[] = {""};
	struct dns_rfc2136_options o = {.name = "harness", .zones = all, .nzones = 1};
	struct dns_provider *p;
	struct err err;

	if (argc < 11 || !loop_open(&err) || !(o.dns = dns_open(NULL, 0, &err)))
		die("cannot start");
	if (getenv("HARNESS_CLOCK"))
		clock_freeze(clock_now() + atoi(getenv("HARNESS_CLOCK")));
	o.server = argv[1];
	o.key_name = strcmp(argv[2], "-") == 0 ? NULL : argv[2];
	while (o.key_algorithm < TSIG_ALGORITHMS && strcmp(tsig_algorithm_words[o.key_algorithm], argv[3]) != 0)
		o.key_algorithm++;
	secrets = argv[4];
	o.ttl = (uint32_t)atoi(argv[5]);
	o.timeout_ms = atoi(argv[6]);
	o.keeper = rpc_new(&ops, NULL);
	p = dns_rfc2136_new(&o, &err);
	if (!p)
		die(err.detail);
	for (int at = 7, number = 0; at < argc; number++) {
		if (strcmp(argv[at], "again") == 0) {
			while (pending)
				loop_turn(true);
			at++;
		}
		start(p, argv + at, number);
		at += 4;
	}
	while (pending)
		loop_turn(true);
	p->ops->free(p);
	rpc_free(o.keeper);
	rpc_peer_close(peer);
	loop_turn(false);
	dns_close(o.dns);
	loop_close();
	return failed;
}
