/* SPDX-License-Identifier: ISC */
/* A network half that was taken over: whatever it asks of a whole keeper, through the socket. Each request has at most one answer, no answer holds a
 * private key or the secret of an access key, and nothing is written anywhere but below the keeper's state and the webroot. @CONF@ stands for the digest of
 * the configuration. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/loop.h"
#include "keeper/keeper.h"
#include "fuzz.h"

#define SECRET "uDWSrQ5hO2kpXl" /* of the access key */
enum { TURNS = 400, QUIET = 15, DIGEST = 64 };

static char main_file[FUZZ_FOLDER + 16], digest[DIGEST + 1];
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static struct keeper *keeper;

static void tidy_up(void)
{
	keeper_close(keeper);
	loop_turn(false);
	loop_close();
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	check(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void open_keeper(void)
{
	struct keeper_options o = { .main_file = main_file, .peer_fd = -1, .run_fd = -1 };
	struct err err = { 0 };

	o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	check(o.listen_fd >= 0 && bind(o.listen_fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(o.listen_fd, 8) == 0);
	keeper = keeper_open(&o, &err);
	check(keeper != NULL);
}

static void write_secret(void)
{
	char path[FUZZ_FOLDER + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/credentials", fuzz_folder());
	check(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/credentials/ali", fuzz_folder());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, SECRET, strlen(SECRET)) == (ssize_t)strlen(SECRET) && close(fd) == 0);
}

static void lay_out(void)
{
	const char *folder = fuzz_folder();
	FILE *f;
	struct err err;
	char path[FUZZ_FOLDER + 16];

	fuzz_quiet();
	umask(022);
	check(loop_open(&err));
	snprintf(main_file, sizeof(main_file), "%s/dovad.conf", folder);
	snprintf(path, sizeof(path), "%s/www", folder);
	check(mkdir(path, 0755) == 0);
	f = fopen(main_file, "w");
	check(f != NULL);
	fprintf(f, "snippets = \"conf.d\"; state = \"journal\"; keeper_state = \"state\"; runtime = \"run\"; services = \"services.d\";\n"
		   "credentials = \"credentials\"; contact = [ \"mailto:admin@example.net\" ];\n"
		   "ca = ( { name = \"le\"; type = \"acme\"; directory = \"https://acme.example/directory\"; agree_tos = true; },\n"
		   "  { name = \"ali\"; type = \"alibaba-cas\"; site = \"china\"; access_key_id = \"LTAI\"; access_key_secret = \"credential:ali\"; } );\n"
		   "http = ( { name = \"www\"; type = \"webroot\"; path = \"%s\"; } );\n"
		   "certificate = { name = \"site\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ]; };\n", path);
	fclose(f);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/keeper.sock", folder);
	write_secret();
	open_keeper();
	atexit(tidy_up);
}

/* Only what belongs there. */
static void look_around(void)
{
	static const char *const known[] = { ".", "..", "dovad.conf", "state", "www", "keeper.sock", "credentials" };
	DIR *d = opendir(fuzz_folder());
	struct dirent *e;
	size_t found = 0;

	check(d != NULL);
	while ((e = readdir(d))) {
		size_t before = found;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			found += strcmp(e->d_name, known[i]) == 0;
		check(found == before + 1);
	}
	closedir(d);
}

static void read_answers(int fd, struct buf *answers)
{
	char piece[4096];
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		check(buf_add(answers, piece, (size_t)n));
}

/* Says all of it and hears all answers. */
static void talk(const char *data, size_t size, struct buf *answers)
{
	int fd = dial(), quiet = 0;

	for (int turn = 0; turn < TURNS && quiet < QUIET; turn++) {
		size_t before = answers->len;
		ssize_t sent = size ? send(fd, data, size, MSG_NOSIGNAL) : 0;

		data += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
		loop_turn(false);
		read_answers(fd, answers);
		quiet = answers->len > before || sent > 0 ? 0 : quiet + 1;
	}
	close(fd);
	for (int i = 0; i < 3; i++)
		loop_turn(false);
}

static void learn_digest(void)
{
	static const char request[] = "{\"id\":1,\"op\":\"conf\"}";
	struct buf answers;
	const char *found;

	buf_init(&answers, 0);
	talk(request, sizeof(request), &answers);
	check(answers.len > 0);
	found = strstr(answers.data, "\"digest\":");
	check(found && sscanf(found + strlen("\"digest\":"), " \"%64[0-9a-f]", digest) == 1);
	buf_free(&answers);
}

static void fill_in(const uint8_t *data, size_t size, struct buf *out)
{
	static const char mark[] = "@CONF@";

	for (size_t i = 0; i < size; i++)
		if (size - i >= strlen(mark) && memcmp(data + i, mark, strlen(mark)) == 0) {
			check(buf_puts(out, digest));
			i += strlen(mark) - 1;
		} else {
			check(buf_add(out, &data[i], 1));
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t asked = 0, answered = 0;
	bool has_said, has_guessed;
	struct buf words, answers;
	struct err err;

	if (!*main_file)
		lay_out();
	if (!*digest)
		learn_digest();
	buf_init(&words, 0);
	buf_init(&answers, 0);
	fill_in(data, size, &words);
	for (size_t i = 0; i < words.len; i++)
		asked += words.data[i] == '\0';
	if (words.len)
		talk(words.data, words.len, &answers);
	has_said = words.len && memmem(words.data, words.len, "PRIVATE KEY", strlen("PRIVATE KEY")); /* an error may repeat what was asked */
	has_guessed = words.len && memmem(words.data, words.len, SECRET, strlen(SECRET));
	for (size_t at = 0; at < answers.len; at += strlen(answers.data + at) + 1) {
		struct js *answer = js_parse(answers.data + at, strlen(answers.data + at), &err);

		check(js_is_object(answer) && (has_said || !strstr(answers.data + at, "PRIVATE KEY")));
		check(has_guessed || !strstr(answers.data + at, SECRET));
		answered += !js_has(answer, "event");
		js_free(answer);
	}
	check(answered <= asked);
	look_around();
	buf_free(&words);
	buf_free(&answers);
	return 0;
}
