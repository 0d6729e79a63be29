/* SPDX-License-Identifier: ISC */
/* A hostile caller of the status socket: the agent on a stub registry. First byte: bytes per write (0: all at once).
 * The rest is what the caller sends; things happen in the registry meanwhile. Every reply must be Varlink, and nothing
 * may be left behind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "ctl/agent.h"
#include "io/loop.h"
#include "fuzz.h"
#include "stub_registry.h"

enum { CERTS = 70, QUIET_TURNS = 4, TURNS = 400 };

static char path[FUZZ_FOLDER + 8];
static struct agent *agent;
static agent_reloaded *reloaded;
static void *reload_arg;

static void reload(void *arg, agent_reloaded *done, void *done_arg)
{
	(void)arg;
	check(!reloaded); /* one at a time */
	reloaded = done;
	reload_arg = done_arg;
}

static void open_agent(void)
{
	struct agent_options o = {.path = path, .registry = &stub, .version = "1", .reload = reload};
	struct err err;

	if (agent)
		return;
	snprintf(path, sizeof path, "%s/sock", fuzz_folder());
	fuzz_quiet();
	check(loop_open(&err));
	stub_open(CERTS);
	agent = agent_open(&o, &err);
	check(agent != NULL);
}

static void check_reply(const char *text, size_t len)
{
	struct err err;
	struct js *v = js_parse(text, len, &err);

	check(v && js_obj(v, "parameters"));
	for (void *i = js_first(v); i; i = js_next(v, i))
		check(strcmp(js_key(i), "parameters") == 0 ||
			(strcmp(js_key(i), "error") == 0 && js_text(js_value(i))) ||
			(strcmp(js_key(i), "continues") == 0 && js_is_bool(js_value(i))));
	check(!(js_has(v, "error") && js_has(v, "continues")));
	js_free(v);
}

/* Reads what is there; true: something was, or the service hung up (then *fd is -1). */
static bool read_some(int *fd, struct buf *in)
{
	char chunk[16384];
	ssize_t n = recv(*fd, chunk, sizeof chunk, MSG_DONTWAIT);
	char *nul;

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return true;
	}
	check(buf_add(in, chunk, (size_t)n));
	while (in->len && (nul = memchr(in->data, '\0', in->len))) {
		check_reply(in->data, (size_t)(nul - in->data));
		buf_drop(in, (size_t)(nul - in->data) + 1);
	}
	return true;
}

/* What the registry owes an answer, and an event for those who watch. */
static void stir(int turn)
{
	void (*revoked)(void *, const struct err *) = stub.revoked;
	agent_reloaded *done = reloaded;
	struct js *report = js_object();

	stub.revoked = NULL;
	reloaded = NULL;
	if (revoked)
		revoked(stub.revoked_arg, NULL);
	if (done)
		done(reload_arg, report, NULL);
	js_free(report);
	if (turn % 4 == 1 && stub_watchers()) {
		stub_cert(1)->generation++;
		stub_event(stub_cert(1)->name, "done");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t piece = size && data[0] ? data[0] : size;
	struct buf in;
	int fd, quiet = 0;

	open_agent();
	if (size < 1)
		return 0;
	memcpy(to.sun_path, path, strlen(path));
	buf_init(&in, 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	data++;
	size--;
	for (int turn = 0; fd >= 0 && quiet < QUIET_TURNS && turn < TURNS; turn++) {
		ssize_t sent = size ? send(fd, data, size < piece ? size : piece, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		data += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
		loop_turn(false);
		quiet = read_some(&fd, &in) || sent > 0 ? 0 : quiet + 1;
		stir(turn);
	}
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < 3; i++) {
		loop_turn(false);
		stir(0);
	}
	buf_free(&in);
	check(stub_watchers() == 0);
	return 0;
}
