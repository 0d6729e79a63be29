/* SPDX-License-Identifier: ISC */
/* dovad: reads its arguments, then is the configuration check, the supervisor, or the network half. */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "config.h"
#include "core/conf.h"
#include "core/name.h"
#include "exits.h"
#include "io/systemd.h"
#include "network.h"
#include "supervisor.h"
#include "survey.h"

enum { OPT_KEEPER = 256, OPT_KEEPER_FD, OPT_NETWORK, OPT_READY_FD };

struct arguments {
	const char *main_file;
	bool foreground, verbose, test, network_half;
	struct network_options network;
};

static void usage(FILE *to)
{
	fputs("usage: dovad [-c FILE] [-f] [-v]          run\n"
	      "       dovad -t [-c FILE] [SNIPPET...]    check the configuration: nothing is touched, no network\n"
	      "       dovad -V                           version, features and libraries\n"
	      "  -c FILE   main file (" SYSCONFDIR "/dovad/dovad.conf)\n"
	      "  -f        stay in the foreground and log to stderr\n"
	      "  -v        log what is sent, too\n"
	      "  --keeper PATH   socket of dovad-keeper, as its unit makes it\n",
		to);
}

/* Called when everything is up: whoever started us knows then that it worked. */
static int ready_fd = -1;

static void say_ready(void)
{
	if (ready_fd >= 0) {
		(void)!write(ready_fd, "", 1); /* who was told before is gone */
		close(ready_fd);
	}
	ready_fd = -1;
}

/* What is logged until then is shown by the command that was typed. It ends when all is ready, or with the exit code of what cannot start. */
static void wait_for_ready(pid_t pid, int ready, int log)
{
	struct pollfd fds[] = {{.fd = ready, .events = POLLIN}, {.fd = log, .events = POLLIN}};
	char text[4096];
	ssize_t n = 1;
	int status = 0;

	do {
		poll(fds, 2, -1);
		while ((n = read(log, text, sizeof(text))) > 0)
			(void)!write(STDERR_FILENO, text, (size_t)n);
		fds[1].fd = n == 0 ? -1 : log;
	} while (!fds[0].revents);
	if (read(ready, text, 1) == 1)
		_exit(0);
	waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* Whoever runs in the background has a pipe for stderr; when the command that reads it is gone, log.h goes on to syslog. */
static void go_to_background(void)
{
	int ready[2], log[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (null < 0 || pipe2(ready, O_CLOEXEC) < 0 || pipe2(log, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("dovad: cannot go to the background");
		exit(1);
	}
	if (pid > 0) {
		close(ready[1]);
		close(log[1]);
		fcntl(log[0], F_SETFL, O_NONBLOCK);
		wait_for_ready(pid, ready[0], log[0]);
	}
	close(ready[0]);
	close(log[0]);
	ready_fd = ready[1];
	setsid();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log[1], STDERR_FILENO);
	close(log[1]);
	close(null);
}

static void version_print(void)
{
	const char *const others[] = {conf_library(), name_library(), js_library(), systemd_library(), confine_library()};

	printf("dovad %s\nfeatures: acme http-01 webroot listener dns-01 rfc2136 exec%s%s\n", PACKAGE_VERSION,
		systemd_library() ? " systemd" : "", confine_features());
	for (const char *const *l = network_libraries(); *l; l++)
		printf("  %s\n", *l);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i])
			printf("  %s\n", others[i]);
}

/* keeper: the socket of the one that runs with this configuration; NULL: it is nobody's. */
static int test(const char *main_file, char **snippets, const char *keeper)
{
	struct conf_set set;
	struct conf *conf;
	int code;

	conf_read(main_file, &set);
	for (; *snippets; snippets++)
		conf_read_snippet(&set, *snippets);
	conf = conf_build(set.v, set.n, set.unread, set.nunread);
	code = conf_report(conf, stdout, stderr);
	if (keeper && geteuid() == 0)
		survey_report(conf, keeper, stderr);
	conf_free(conf);
	conf_set_free(&set);
	return code;
}

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option longs[] = {{"keeper", required_argument, NULL, OPT_KEEPER},
		{"keeper-fd", required_argument, NULL, OPT_KEEPER_FD}, {"network", no_argument, NULL, OPT_NETWORK},
		{"ready-fd", required_argument, NULL, OPT_READY_FD}, {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:fhtvV", longs, NULL)) != -1)
		switch (c) {
		case 'c': a->main_file = optarg; break;
		case 'f': a->foreground = true; break;
		case 't': a->test = true; break;
		case 'v': a->verbose = true; break;
		case OPT_KEEPER: a->network.keeper_socket = optarg; break;
		case OPT_NETWORK: a->network_half = true; break;
		case OPT_READY_FD: ready_fd = atoi(optarg); break;
		case OPT_KEEPER_FD: a->network.keeper_fd = atoi(optarg); break;
		case 'V': version_print(); exit(0);
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); return EXIT_USAGE;
		}
	if (optind < argc && !a->test) {
		fprintf(stderr, "dovad: unexpected argument \"%s\"\n", argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	return 0;
}

/* The halves do not share a working directory, and options count from the main file's folder, which has no ".." then. */
static const char *absolute(const char *path)
{
	static char full[PATH_MAX];

	return realpath(path, full) ? full : path;
}

int main(int argc, char **argv)
{
	static const char main_file[] = SYSCONFDIR "/dovad/dovad.conf";
	struct arguments a = {.main_file = main_file, .network = {.keeper_fd = -1, .ready = say_ready}};
	bool half;
	int code = parse(argc, argv, &a);

	if (code)
		return code;
	if (a.test && !a.network.keeper_socket && strcmp(a.main_file, main_file) == 0)
		a.network.keeper_socket = RUNSTATEDIR "/dovad-keeper/keeper.sock";
	if (a.test)
		return test(absolute(a.main_file), argv + optind, a.network.keeper_socket);
	half = a.network_half || a.network.keeper_socket;
	a.main_file = a.network.main_file = absolute(a.main_file);
	a.network.verbose = a.verbose;
	if (!a.foreground && !half && !getenv("NOTIFY_SOCKET"))
		go_to_background();
	log_open("dovad", a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (geteuid() == 0 && !half)
		return supervisor_run(&(struct supervisor_options){.main_file = a.main_file, .verbose = a.verbose, .ready = say_ready});
	return network_run(&a.network);
}
