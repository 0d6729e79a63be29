/* SPDX-License-Identifier: ISC */
/* dovactl as a program ($DOVACTL, ./dovactl by default): command line, exit codes and output, against the agent on a
 * stub registry in a child process and against daemons that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "ctl/agent.h"
#include "io/loop.h"
#include "needs_root.h"
#include "stub_registry.h"

static char folder[64], path[80];
static const char *program;
static pid_t daemon_pid;
static char out[1 << 20], err_text[8192];
static int exit_code;

/* --- the daemon --- */

static struct timer step;

static void reload(void *arg, agent_reloaded *done, void *done_arg)
{
	static const char bad[] = "{\"changed\":true,\"problems\":[{\"file\":\"x.conf\",\"line\":3,\"text\":\"bad\"}]}";
	static unsigned times;
	struct js *report = times++ ? js_object() : js_parse(bad, sizeof bad - 1, NULL);

	(void)arg;
	done(done_arg, report, NULL);
	js_free(report);
}

/* Whatever anybody watches makes progress: create, done, create, failed, ... */
static void move(void *arg)
{
	static unsigned n;
	struct cert *c = stub_cert(1);
	struct err err = {0};

	(void)arg;
	timer_arm(&step, 20, move, NULL);
	if (!stub_watchers())
		return;
	err_set(&err, ERR_TEMP, "dns", "no address");
	c->state = n % 2 ? (n % 4 == 1 ? CERT_WAITING : CERT_FAILED) : CERT_ORDERING;
	c->generation += n % 4 == 1;
	if (n % 4 == 3)
		cert_set_error(c, &err, 1);
	else if (n % 2)
		cert_set_error(c, NULL, 0);
	c->attempts = n % 4 == 3;
	stub_event(c->name, n % 2 ? (n % 4 == 1 ? "done" : "failed") : "create");
	n++;
}

static const char last_order[] = "{\"step\":\"prove\",\"proofs\":[{\"name\":\"c00000\",\"method\":\"dns:corp\",\"step\":\"valid\","
				 "\"seen\":{\"decision\":\"visible\"}}]}";

static void serve(int ready_fd)
{
	struct agent_options o = {.path = path, .registry = &stub, .version = "1.2", .reload = reload};
	struct err err;

	log_open("test", LOG_LEVEL_ERROR);
	if (!loop_open(&err))
		_exit(1);
	stub_open(100);
	stub.at_risk = "c00007";
	stub.last_order = js_parse(last_order, sizeof last_order - 1, &err);
	if (!agent_open(&o, &err) || write(ready_fd, "", 1) != 1)
		_exit(1);
	close(ready_fd);
	timer_arm(&step, 0, move, NULL);
	loop_run();
}

/* Never answers, never accepts, or says something else. */
static void misbehave(int ready_fd, const char *say, size_t len, bool hang_up)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), peer;

	memcpy(at.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 5) != 0 || write(ready_fd, "", 1) != 1)
		_exit(1);
	close(ready_fd);
	while ((peer = accept(fd, NULL, NULL)) >= 0) {
		char request[4096];

		if (read(peer, request, sizeof request) > 0)
			send(peer, say, len, MSG_NOSIGNAL);
		if (hang_up)
			close(peer);
	}
}

static int begin(int *ready)
{
	int fds[2];
	char byte;

	assert_int_equal(pipe(fds), 0);
	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	*ready = fds[1];
	if (daemon_pid == 0) {
		close(fds[0]);
		return 0;
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return 1;
}

static void open_daemon(void)
{
	int ready;

	if (begin(&ready) == 0) {
		serve(ready);
		_exit(0);
	}
}

static void open_liar(const char *say, size_t len, bool hang_up)
{
	int ready;

	if (begin(&ready) == 0) {
		misbehave(ready, say, len, hang_up);
		_exit(0);
	}
}

static void close_daemon(void)
{
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGKILL);
		waitpid(daemon_pid, NULL, 0);
	}
	daemon_pid = 0;
	unlink(path);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/dovad-dovactl-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/sock", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_daemon();
	return rmdir(folder);
}

/* --- the program --- */

static void drain(int out_fd, int err_fd)
{
	struct pollfd fds[2] = {{.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}};
	char *const at[2] = {out, err_text};
	const size_t room[2] = {sizeof out - 1, sizeof err_text - 1};
	size_t len[2] = {0, 0};

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		assert_true(poll(fds, 2, 30000) > 0);
		for (int i = 0; i < 2; i++) {
			ssize_t n = fds[i].revents ? read(fds[i].fd, at[i] + len[i], room[i] - len[i]) : 1;

			if (n <= 0)
				fds[i].fd = -1;
			else if (fds[i].revents)
				len[i] += (size_t)n;
		}
	}
	out[len[0]] = err_text[len[1]] = '\0';
}

static uid_t as_uid;
static bool to_full_disk;

/* Runs `dovactl -s SOCKET ...`; results in exit_code, out and err_text. */
static void run(const char *arguments)
{
	int out_fds[2], err_fds[2], status;
	char copy[1024], *rest, *argv[32] = {(char *)"dovactl", (char *)"-s", path};
	size_t n = 3;
	pid_t pid;

	snprintf(copy, sizeof copy, "%s", arguments);
	for (char *word = strtok_r(copy, " ", &rest); word && n < 31; word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	assert_int_equal(pipe(out_fds), 0);
	assert_int_equal(pipe(err_fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(to_full_disk ? open("/dev/full", O_WRONLY) : out_fds[1], 1);
		dup2(err_fds[1], 2);
		close(out_fds[0]);
		close(err_fds[0]);
		if (as_uid && (setgroups(0, NULL) != 0 || setgid(as_uid) != 0 || setuid(as_uid) != 0))
			_exit(126);
		execv(program, argv);
		_exit(127);
	}
	close(out_fds[1]);
	close(err_fds[1]);
	drain(out_fds[0], err_fds[0]);
	close(out_fds[0]);
	close(err_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	exit_code = WEXITSTATUS(status);
}

static void expect(const char *arguments, int code, const char *in_out, const char *in_err)
{
	run(arguments);
	if (exit_code != code)
		print_error("dovactl %s: exit %d, not %d: %s%s\n", arguments, exit_code, code, out, err_text);
	assert_int_equal(exit_code, code);
	if (in_out)
		assert_non_null(strstr(out, in_out));
	else
		assert_string_equal(out, "");
	if (in_err)
		assert_non_null(strstr(err_text, in_err));
	else
		assert_string_equal(err_text, "");
}

/* --- tests --- */

static void test_usage(void **state)
{
	static const struct {
		const char *arguments, *complaint;
	} rows[] = {
		{"", "usage:"},
		{"lst", "did you mean list"},
		{"frobnicate", "there is no such verb"},
		{"status a.example", "status takes no name"},
		{"show", "show takes one name"},
		{"show a b", "show takes one name"},
		{"watch a b", "watch takes one name"},
		{"status --wait", "status takes no --wait"},
		{"renew a --failing", "renew takes no --failing"},
		{"list --due soon", "--due takes a time"},
		{"list --due", "argument"},
		{"history --limit x", "--limit takes a number"},
		{"history --limit 0", "--limit takes a number"},
		{"history --limit 99999999999999999999", "--limit takes a number"},
		{"status --timeout 5", "--timeout takes a time"},
		{"status --timeout 99999999999w", "--timeout takes a time"},
		{"--frob status", "frob"},
		{"explain", "explain takes one name"},
		{"check a b", "check takes one name"},
		{"check --wait", "check takes no --wait"},
		{"plan", "not in this version"},
		{"rollback", "rollback takes one name"},
		{"rollback a --force", "rollback takes no --force"},
		{"ca", "ca takes the name of a CA and a verb"},
		{"ca x", "ca takes the name of a CA and a verb"},
		{"ca x instances y", "ca takes the name of a CA and a verb"},
		{"ca x instance", "there is no such verb of a CA: did you mean instances"},
		{"ca x status", "there is no such verb of a CA"},
		{"ca x contacts --wait", "contacts takes no --wait"},
		{"instances", "there is no such verb"},
		{"account", "not in this version"},
		{"metrics a", "metrics takes no name"},
		{"nagios", "not in this version"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect(rows[i].arguments, 2, NULL, rows[i].complaint);
	expect("--help", 0, "usage: dovactl", NULL);
	expect("-V", 0, "dovactl ", NULL);
}

static void test_verbs(void **state)
{
	(void)state;
	open_daemon();
	expect("status", 0, "dovad 1.2, started ", NULL);
	expect("list", 0, "c00099", NULL);
	expect("list --name c0000? --due 3d --ca ca-a", 0, "c00002", NULL);
	assert_null(strstr(out, "c00001"));
	expect("list --failing", 0, NULL, NULL);
	expect("show c00001", 0, "odd.example.org", NULL);
	expect("explain c00000", 0, "c00000\n  state        waiting\n  next step    renew at ", NULL);
	assert_non_null(strstr(out, "\nc00000 by dns:corp: valid\n  decision: VISIBLE\n"));
	expect("explain c00001", 0, "  last order   none so far\n", NULL);
	expect("check c00001", 0, "c00001: the next renewal would work, as far as can be seen\n  ok    caa           c00001: the CAA records of it are none\n", NULL);
	expect("check c00007", 1, "c00007: the next renewal would fail\n  FAIL  caa           c00007: the CAA records of it allow no CA at all\n", NULL);
	expect("check", 1, "c00099: the next renewal would work", NULL);
	assert_non_null(strstr(out, "c00007: the next renewal would fail"));
	expect("check --json c00007", 1, "{\"checks\":[{\"name\":\"c00007\",\"check\":{\"at\":", NULL);
	expect("renew c00001 --force", 0, "c00001: on its way", NULL);
	expect("renew --wait c00001", 0, "create", NULL);
	assert_non_null(strstr(out, "s  c00001: valid until"));
	expect("renew c00001 --wait", 1, "failed", "dovactl: no address (dns)");
	expect("reload", 1, "x.conf:3: bad\nThe configuration has changed: 1 error, 0 warnings.\n", NULL);
	expect("reload", 0, "The configuration is what it was", NULL);
	expect("history", 0, NULL, NULL);
	expect("version", 0, "dovad 1.2, started ", NULL);
	expect("watch --timeout 1s c00001", 0, "c00001", NULL);
	assert_non_null(strstr(out, "create"));
}

static void test_exit_codes(void **state)
{
	(void)state;
	open_daemon();
	expect("show nobody", 3, NULL, "dovactl: no certificate is named nobody\n");
	expect("explain nobody", 3, NULL, "dovactl: no certificate is named nobody\n");
	expect("check nobody", 3, NULL, "nobody");
	expect("renew nobody --wait", 3, NULL, "nobody");
	expect("history nobody", 3, NULL, "nobody");
	expect("watch nobody", 3, NULL, "nobody");
	expect("history --limit 501", 2, NULL, "limit");
	expect("revoke c00001 --reason boredom", 2, NULL, "reason");
	expect("rollback c00001 --timeout 1s", 69, NULL, "no answer in time");
	expect("ca alibaba instances --timeout 1s", 69, NULL, "no answer in time");
	expect("revoke c00001 --timeout 1s", 69, NULL, "no answer in time"); /* the stub never finishes */
	expect("renew --wait --timeout 1s c00002", 75, "c00002", "no answer in time");
}

static void test_json(void **state)
{
	(void)state;
	open_daemon();
	expect("--json version", 0, "{\"version\":\"1.2\",\"since\":\"", NULL);
	expect("show --json c00001", 0, "{\"certificate\":{\"name\":\"c00001\"", NULL);
	expect("explain --json c00000", 0, "\"seen\":{\"decision\":\"visible\"}", NULL);
	expect("--json show nobody", 3,
		"{\"error\":\"org.dovad.Agent.NoSuchCertificate\",\"parameters\":{\"name\":\"nobody\"}}\n", "nobody");
	expect("--json list", 0, "\"c00099\"", NULL);
	for (char *rest, *line = strtok_r(out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct js *v = js_parse(line, strlen(line), NULL);

		assert_true(js_is_object(v));
		js_free(v);
	}
}

static void test_not_permitted(void **state)
{
	(void)state;
	needs_root();
	open_daemon();
	assert_int_equal(chmod(folder, 0755), 0);
	as_uid = 65534;
	expect("status", 77, NULL, "not permitted");
	expect("reload", 77, NULL, "not permitted");
	assert_int_equal(chmod(path, 0600), 0);
	expect("status", 77, NULL, "Permission denied");
	as_uid = 0;
}

static void test_absent_daemon(void **state)
{
	char too_long[300];

	(void)state;
	expect("status", 69, NULL, "No such file or directory");
	snprintf(too_long, sizeof too_long, "-s /%0200d status", 0);
	expect(too_long, 69, NULL, "longer than 107 bytes");
	open_daemon();
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	daemon_pid = 0;
	expect("status", 69, NULL, "Connection refused"); /* the stale socket is still there */
}

static void test_misbehaving_daemons(void **state)
{
	static const struct {
		const char *say;
		size_t len;
		bool hang_up;
		const char *arguments;
		int exit_code;
		const char *complaint;
	} rows[] = {
		{"", 0, false, "status --timeout 1s", 69, "no answer in time"},
		{"", 0, true, "status", 69, "the daemon closed the connection"},
		{"{\"parameters\":{}", 16, true, "status", 69, "the daemon closed the connection"},
		{"hello", 6, true, "status", 69, "is not Varlink"},
		{"[]", 3, true, "status", 69, "is not Varlink"},
		{"{\"error\":7}", 12, true, "status", 69, "is not Varlink"},
		{"{\"error\":\"a.B\"}", 16, true, "status", 1, "the daemon answered a.B"},
		{"{\"error\":\"org.varlink.service.MethodNotFound\"}", 47, true, "status", 1, "another version"},
		{"{\"parameters\":{},\"continues\":true}", 35, false, "list --timeout 1s", 75, "no answer in time"},
		{"{\"parameters\":{},\"continues\":true}", 35, true, "list", 69, "the daemon closed the connection"},
		{"{\"parameters\":{},\"continues\":true}", 35, false, "watch --timeout 1s", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_liar(rows[i].say, rows[i].len, rows[i].hang_up);
		run(rows[i].arguments);
		if (exit_code != rows[i].exit_code)
			print_error("row %zu: exit %d\n", i, exit_code);
		assert_int_equal(exit_code, rows[i].exit_code);
		if (rows[i].complaint)
			assert_non_null(strstr(err_text, rows[i].complaint));
		close_daemon();
	}
}

static void test_full_disk(void **state)
{
	(void)state;
	open_daemon();
	to_full_disk = true;
	expect("status", 1, NULL, "cannot write: No space left on device");
	to_full_disk = false;
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_usage),
		ROW(test_verbs),
		ROW(test_exit_codes),
		ROW(test_json),
		ROW(test_not_permitted),
		ROW(test_absent_daemon),
		ROW(test_misbehaving_daemons),
		ROW(test_full_disk),
	};

	program = getenv("DOVACTL") ? getenv("DOVACTL") : "./dovactl";
	if (access(program, X_OK) != 0) {
		fprintf(stderr, "no program to test at %s\n", program);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
