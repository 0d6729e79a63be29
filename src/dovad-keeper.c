/* SPDX-License-Identifier: ISC */
/* dovad-keeper: the privileged half. Reads its arguments, opens the keeper on the loop, turns. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "exits.h"
#include "io/alive.h"
#include "io/loop.h"
#include "io/systemd.h"
#include "keeper/keeper.h"

enum { OPT_PEER_FD = 256, OPT_RUN_FD, OPT_RUN_SOCKET };

static int usage(FILE *to, int code)
{
	fputs("usage: dovad-keeper [-c FILE] [-v] [--peer-fd N] [--run-fd N] [--run-socket PATH]\n"
	      "Started by the service manager or by dovad; see dovad-keeper(8).\n", to);
	return code;
}

static int parse_fd(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (!*text || *end || fd < 3 || fd > INT_MAX)
		exit(usage(stderr, EXIT_USAGE));
	return (int)fd;
}

static void parse(int argc, char **argv, struct keeper_options *o)
{
	static const struct option longs[] = {
		{ "peer-fd", required_argument, NULL, OPT_PEER_FD },
		{ "run-fd", required_argument, NULL, OPT_RUN_FD },
		{ "run-socket", required_argument, NULL, OPT_RUN_SOCKET },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:vhV", longs, NULL)) != -1)
		switch (c) {
		case 'c': o->main_file = optarg; break;
		case 'v': log_set_level(LOG_LEVEL_DEBUG); break;
		case OPT_PEER_FD: o->peer_fd = parse_fd(optarg); break;
		case OPT_RUN_FD: o->run_fd = parse_fd(optarg); break;
		case OPT_RUN_SOCKET: o->run_socket = optarg; break;
		case 'V': puts("dovad-keeper " PACKAGE_VERSION); exit(0);
		case 'h': exit(usage(stdout, 0));
		default: exit(usage(stderr, EXIT_USAGE));
		}
	if (optind < argc)
		exit(usage(stderr, EXIT_USAGE));
}

/* Nobody of our uid reads our memory, no core shows a key. Only a keeper that starts commands itself, as the user who configured them, leaves them
 * the way to another user (sudo). */
static bool harden(bool may_gain, struct err *err)
{
	const struct rlimit none = { 0, 0 };

	umask(077);
	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return err_errno(err, "cannot switch off core dumps");
	return may_gain || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 || err_errno(err, "cannot give up new privileges");
}

/* Keys stand in more places than OpenSSL's secure heap would hold: their text on its way to files, PKCS#12, buffers of the stack. So all of the memory is
 * kept from the swap, or none: with a limit the next allocation beyond it would end us. */
static void lock_memory(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_MEMLOCK, &most) != 0 || most.rlim_cur != RLIM_INFINITY)
		log_info("keys may be written to the swap: the limit on locked memory (LimitMEMLOCK=, ulimit -l) is not \"infinity\"", NULL);
	else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_info("keys may be written to the swap: memory cannot be locked", "error", strerror(errno), NULL);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void hang_up(void *arg)
{
	keeper_reload(arg);
}

static bool starts_commands(const struct keeper_options *o)
{
	return o->run_fd < 0 && !o->run_socket;
}

/* Where targets and webroots are is the configuration's to say, and may change at any time: which files this half may change is its user's, capabilities'
 * and unit's affair. But it never runs a file, makes a device or a pipe, or reaches the network. */
static void keep_to_files(void)
{
	static const char *const everywhere[] = { "/", NULL };

	confine(&(struct confine_wish){ .read = everywhere, .write = everywhere });
}

static int serve(const struct keeper_options *o, struct err *err)
{
	struct keeper *k;

	for (const int *s = (int[]){ SIGTERM, SIGHUP, 0 }; *s; s++)
		signal(*s, SIG_IGN); /* what the loop puts back when it closes: nothing cuts the end short */
	/* On a terminal ^C reaches both halves: this one waits for the other, which still has to clear up. */
	if (o->peer_fd >= 0)
		signal(SIGINT, SIG_IGN);
	else if (!loop_signal(SIGINT, stop, NULL, err))
		return EXIT_FAILED;
	if (!loop_signal(SIGTERM, stop, NULL, err))
		return EXIT_FAILED;
	k = keeper_open(o, err);
	if (!k)
		return exits_of(err);
	if (!starts_commands(o))
		keep_to_files();
	if (loop_signal(SIGHUP, hang_up, k, err)) {
		systemd_notify("READY=1");
		alive_start(0);
		loop_run();
		systemd_notify("STOPPING=1");
	}
	alive_stop();
	keeper_close(k);
	loop_turn(false); /* what was closed is freed at the end of a turn */
	return err->kind == ERR_NONE ? 0 : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct keeper_options o = { .main_file = SYSCONFDIR "/dovad/dovad.conf", .peer_fd = -1, .listen_fd = -1, .run_fd = -1 };
	char path[PATH_MAX];
	struct err err = { 0 };
	int code = EXIT_FAILED;

	log_open("dovad-keeper", LOG_LEVEL_INFO);
	parse(argc, argv, &o);
	if (realpath(o.main_file, path))
		o.main_file = path;
	if (systemd_listen_fds(NULL, &o.listen_fd, 1) == 0 && o.peer_fd < 0)
		err_set(&err, ERR_LOCAL, "call", "no socket was handed over: the service manager or dovad starts this program, not a person");
	else if (harden(starts_commands(&o), &err) && loop_open(&err)) {
		lock_memory();
		code = serve(&o, &err);
		loop_close();
	}
	if (err.kind != ERR_NONE)
		log_error("the keeper cannot work", "error", err.detail, NULL);
	return code;
}
