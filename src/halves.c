/* SPDX-License-Identifier: ISC */
#include "halves.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static pid_t start_keeper(const struct halves_wish *w, int peer, int run)
{
	const char *argv[] = { LIBEXECDIR "/dovad-keeper", "-c", w->main_file, "--peer-fd", "3", "--run-fd", "4", w->verbose ? "-v" : NULL, NULL };

	return privilege_start(&(struct privilege_wish){
		.user = &w->prepared->keeper, .capabilities = 1ULL << CAP_CHOWN | 1ULL << CAP_FOWNER | 1ULL << CAP_DAC_OVERRIDE,
		.locks_memory = true,
		.fds = (int[]){ peer, run }, .nfds = 2, .first_fd = 3, .argv = argv });
}

static pid_t start_network(const struct halves_wish *w, int peer)
{
	size_t n = w->prepared->nports;
	const char *keeper = log_num(3 + (int64_t)n), *ready = log_num(4 + (int64_t)n);
	const char *argv[] = { SBINDIR "/dovad", "--network", "-c", w->main_file, "--keeper-fd", keeper, "--ready-fd", ready,
		w->verbose ? "-v" : NULL, NULL };
	int fds[PREPARE_PORTS + 2];
	pid_t pid;

	memcpy(fds, w->prepared->ports, sizeof(w->prepared->ports));
	fds[n] = peer;
	fds[n + 1] = w->ready_fd;
	setenv("LISTEN_FDS", log_num((int64_t)n), 1);
	setenv("LISTEN_FDNAMES", w->prepared->names, 1);
	pid = privilege_start(&(struct privilege_wish){
		.user = &w->prepared->network, .fds = fds, .nfds = n + 2, .first_fd = 3, .argv = argv });
	unsetenv("LISTEN_FDS"); /* for the network half alone */
	return pid;
}

int halves_start(const struct halves_wish *wish, pid_t pids[HALVES])
{
	int peer[2] = { -1, -1 }, run[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peer) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, run) == 0) {
		pids[HALF_KEEPER] = start_keeper(wish, peer[0], run[0]);
		pids[HALF_NETWORK] = start_network(wish, peer[1]);
	}
	close(peer[0]);
	close(peer[1]);
	close(run[0]);
	return run[1];
}

pid_t halves_start_run(const char *main_file, int fd)
{
	const char *argv[] = { LIBEXECDIR "/dovad-run", "-c", main_file, NULL };

	return privilege_start(&(struct privilege_wish){ .fds = (int[]){ fd }, .nfds = 1, .argv = argv });
}
