/* SPDX-License-Identifier: ISC */
/* What comes from HAProxy's socket: answers one after the other, each read in all the ways there are. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "keeper/haproxy_say.h"

#define NAME "/etc/ssl/a.pem"

/* Words of a peer's are told escaped. */
static void check_err(bool well, struct err *err)
{
	check(well == (err->kind == ERR_NONE));
	check(strlen(err->detail) < sizeof(err->detail));
	for (const char *c = err->detail; *c; c++)
		check((unsigned char)*c >= 0x20 && *c != 0x7f);
	err_clear(err);
}

static void read_list(const char *text)
{
	struct arena *arena = arena_new();
	struct haproxy_list list;
	struct err err = { 0 };
	bool well = haproxy_say_list(text, arena, &list, &err);

	check_err(well, &err);
	for (size_t i = 0; i < list.n; i++) {
		struct buf command;

		check(*list.v[i] && !strchr(list.v[i], '\n'));
		buf_init(&command, 0);
		check(haproxy_say_command(&command, "show", "", list.v[i]));
		check(command.len >= strlen("show ssl cert ") + strlen(list.v[i]) && !memchr(command.data, '\n', command.len));
		buf_free(&command);
	}
	check(!list.open || *list.open);
	arena_free(arena);
}

static void read_answer(const char *text)
{
	struct haproxy_print print;
	struct err err = { 0 };
	bool well = haproxy_say_cert(text, NAME, &print, &err);

	check(!well || (strlen(print.sha1) == 40 && strspn(print.sha1, "0123456789abcdef") == 40));
	check_err(well, &err);
	well = haproxy_say_set(text, NAME, &err);
	check(!well || strstr(text, NAME));
	check_err(well, &err);
	well = haproxy_say_abort(text, NAME, &err);
	check_err(well, &err);
	well = haproxy_say_commit(text, NAME, &err);
	check_err(well, &err);
	check(haproxy_say_room(text) > 0);
	read_list(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t begin, end, next;

	if (!size || memchr(text, 0, size)) /* haproxy_cli hangs up */
		return 0;
	for (; haproxy_say_split(text, size, &begin, &end, &next); text += next, size -= next) {
		char *answer;

		check(begin <= end && end < next && next <= size);
		answer = mem_strndup(text + begin, end - begin);
		read_answer(answer);
		free(answer);
	}
	return 0;
}
