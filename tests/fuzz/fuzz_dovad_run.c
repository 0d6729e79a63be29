/* SPDX-License-Identifier: ISC */
/* A keeper that was taken over: whatever it sends to a dovad-run, whose source is part of this program. There is one answer at most, and only a request
 * for what the configuration names has something run. */
#include <fcntl.h>
#include <sys/socket.h>

int dovad_run_main(int argc, char **argv);
#define main dovad_run_main
#include "dovad-run.c"
#undef main
#include "fuzz.h"

static char main_file[FUZZ_FOLDER + 16];

/* Commands end at once, whatever they are given. */
static void lay_out(void)
{
	FILE *f;

	fuzz_quiet();
	snprintf(main_file, sizeof(main_file), "%s/dovad.conf", fuzz_folder());
	f = fopen(main_file, "w");
	check(f != NULL);
	fputs("snippets = \"conf.d\"; state = \"journal\"; keeper_state = \"state\"; runtime = \"run\"; services = \"services.d\";\n"
	      "credentials = \"credentials\"; contact = [ \"mailto:admin@example.net\" ];\n"
	      "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; } );\n"
	      "service = ( { name = \"nginx\"; test = [ \"/bin/true\" ]; command = [ \"/bin/false\" ]; }, { name = \"none\"; } );\n"
	      "dns = ( { name = \"corp\"; type = \"exec\"; zones = [ \"example.org\" ]; command = [ \"/bin/true\" ]; },\n"
	      "  { name = \"other\"; type = \"rfc2136\"; zones = [ \"example.net\" ]; server = \"127.0.0.1\"; } );\n", f);
	fclose(f);
}

/* Has the configuration a command for it? */
static bool may_run(const struct js *request)
{
	const char *kind = js_str(request, "kind"), *name = js_str(request, "name");

	if (!kind || !name)
		return false;
	return strcmp(kind, "hook") == 0 ? strcmp(name, "corp") == 0 : strcmp(name, "nginx") == 0;
}

static void check_answer(const char *text, size_t len, const char *asked, size_t asked_len)
{
	struct err err;
	struct js *answer = js_parse(text, strnlen(text, len), &err), *request = js_parse(asked, strnlen(asked, asked_len), &err);

	check(strnlen(text, len) + 1 == len && js_is_object(answer) && js_has(answer, "ok") && js_has(answer, "ran"));
	check(js_bool(answer, "ok", false) != (js_obj(answer, "error") != NULL));
	check(!js_bool(answer, "ran", false) || may_run(request));
	js_free(answer);
	js_free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runner r = { .main_file = main_file };
	static char answer[OUTPUT_MAX];
	ssize_t len;
	int pair[2];

	if (!*main_file)
		lay_out();
	if (size > 2 * REQUEST_MAX)
		return 0;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	check(size == 0 || send(pair[0], data, size, MSG_NOSIGNAL) == (ssize_t)size);
	if (size == 0 || !memchr(data, '\0', size)) /* it would wait for the rest */
		shutdown(pair[0], SHUT_WR);
	serve(&r, pair[1]);
	len = recv(pair[0], answer, sizeof(answer), MSG_DONTWAIT);
	if (len > 0)
		check_answer(answer, (size_t)len, (const char *)data, size);
	close(pair[0]);
	return 0;
}
