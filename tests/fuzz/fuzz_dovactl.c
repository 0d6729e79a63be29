/* SPDX-License-Identifier: ISC */
/* A hostile daemon: its replies as the client takes them off the socket and prints them, as text and as JSON. First byte: the verb, B for the first. Nothing printed may
 * steer a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/client.h"
#include "ctl/print.h"
#include "fuzz.h"

enum { PIECE = 65536 };

static print_reply *const verbs[] = {print_status, print_list, print_show, print_explain, print_check, print_renewal, print_reload, print_watch,
	print_revoked, print_history, print_version};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener = -1;

static void listen_there(void)
{
	snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", fuzz_folder());
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
	clock_freeze(1790000000);
}

/* All of it is in the socket and the daemon gone before the client looks. */
static struct client *connect_to(const uint8_t *data, size_t size)
{
	struct err err;
	struct client *c = client_open(address.sun_path, 0, &err);
	int fd = accept(listener, NULL, NULL);

	check(c && fd >= 0);
	check(size == 0 || send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	close(fd);
	return c;
}

static void check_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		check(text[i] == '\n' || (unsigned char)text[i] >= ' ');
}

static void converse(struct client *c, print_reply *print)
{
	struct client_reply reply = {.continues = true};
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);
	struct print *p = print_new(out, false);
	struct err err;

	while (reply.continues && client_receive(c, &reply, &err)) {
		check(js_is_object(reply.parameters));
		if (reply.error)
			print_failure(p, reply.error, reply.parameters);
		else
			print(p, reply.parameters, !reply.continues);
	}
	print_free(p);
	fclose(out);
	check_text(text, len);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	print_reply *const both[] = {size ? verbs[data[0] % (sizeof verbs / sizeof verbs[0])] : NULL, print_json};

	if (listener < 0)
		listen_there();
	if (size < 1 || size > PIECE)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		struct client *c = connect_to(data + 1, size - 1);

		converse(c, both[i]);
		client_close(c);
	}
	return 0;
}
