/* SPDX-License-Identifier: ISC */
#include "supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "exits.h"
#include "halves.h"

enum { RUNS = 32, DELAY_MS = 1000, DELAY_MAX_MS = 60000, STOP_MS = 30000 };

static struct {
	struct supervisor_options options;
	bool stopping;
	int code;                    /* what we end with */
	int ready[2];                /* a network half writes a byte when it is ready; the end to read is -1 when it was once */
	struct prepared prepared;
	struct { const char *half, *how; int code; } cause; /* who went first, or wrong; half NULL: nobody yet */
	enum { UP, ENDING, DOWN } state;
	pid_t halves[HALVES], runs[RUNS];
	int run;                     /* the keeper asks here for a dovad-run; -1: no keeper */
	int64_t started, due, delay; /* due: when to kill what does not end, or to start again */
} sup = { .state = DOWN, .run = -1, .ready = { -1, -1 } };

static void start_halves(void)
{
	sup.run = halves_start(&(struct halves_wish){ .main_file = sup.options.main_file, .verbose = sup.options.verbose,
		.prepared = &sup.prepared, .ready_fd = sup.ready[1] }, sup.halves);
	sup.started = clock_mono_ms();
	sup.state = UP;
}

static bool open_ready(struct err *err)
{
	return pipe2(sup.ready, O_CLOEXEC) == 0 || err_errno(err, "cannot make a pipe");
}

/* The byte is there; what it says is no matter. */
static void got_ready(void)
{
	close(sup.ready[0]);
	sup.ready[0] = -1;
	if (sup.options.ready)
		sup.options.ready();
}

static void close_run(void)
{
	close(sup.run);
	sup.run = -1;
}

/* A message of the keeper is one end of a socket pair for a new dovad-run. What is asked there is between the two. */
static void start_run(void)
{
	bool gone;
	int fd = privilege_receive(sup.run, &gone), i = 0;

	if (gone)
		close_run(); /* the rest comes with SIGCHLD */
	if (fd < 0)
		return;
	while (i < RUNS && sup.runs[i])
		i++;
	if (i < RUNS) /* else the closed end says no */
		sup.runs[i] = halves_start_run(sup.options.main_file, fd);
	close(fd);
}

static void send_all(const pid_t *pids, size_t n, int signum)
{
	for (size_t i = 0; i < n; i++)
		if (pids[i])
			kill(pids[i], signum);
}

/* A half ends with 0 because the other is gone, and may be found dead before it: what ended otherwise is the cause. */
static void half_ended(pid_t pid, int status)
{
	const char *half = pid == sup.halves[HALF_KEEPER] ? "keeper" : "network", *how = WIFSIGNALED(status) ? "signal" : "exit";
	int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);

	if (sup.ready[0] >= 0 && WIFEXITED(status) && exits_are_final(code)) {
		log_error("a half cannot start; its own message stands above", "half", half, how, log_num(code), NULL);
		sup.code = code;
		sup.stopping = true;
	} else if (!sup.cause.half || (!sup.cause.code && code)) {
		sup.cause.half = half;
		sup.cause.how = how;
		sup.cause.code = code;
	}
}

/* Orphans of others are ours to bury, too, where we are the first process of a container. */
static void reap(void)
{
	pid_t pid;

	for (int status; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == sup.halves[HALF_KEEPER] || pid == sup.halves[HALF_NETWORK])
			half_ended(pid, status);
		for (int i = 0; i < RUNS; i++)
			sup.runs[i] = sup.runs[i] == pid ? 0 : sup.runs[i];
		for (int i = 0; i < HALVES; i++)
			sup.halves[i] = sup.halves[i] == pid ? 0 : sup.halves[i];
	}
}

static void go_down(int64_t now)
{
	sup.state = DOWN;
	sup.delay = now - sup.started > DELAY_MAX_MS ? DELAY_MS : MIN(MAX(sup.delay * 2, DELAY_MS), DELAY_MAX_MS);
	sup.due = now + sup.delay;
	if (!sup.stopping && sup.cause.half)
		log_error("a half ended, both are started again", "half", sup.cause.half, sup.cause.how, log_num(sup.cause.code),
			"again_in_ms", log_num(sup.delay), NULL);
	sup.cause.half = NULL;
	close_run();
}

/* Both or none: when one is gone the other is told to go, then killed; when both are, they start again a while later. */
static void keep_both(void)
{
	int64_t now = clock_mono_ms();

	if (sup.state == UP && (!sup.halves[HALF_KEEPER] || !sup.halves[HALF_NETWORK])) {
		send_all(sup.halves, HALVES, SIGTERM);
		sup.state = ENDING;
		sup.due = now + STOP_MS;
	}
	if (sup.state == ENDING && !sup.halves[HALF_KEEPER] && !sup.halves[HALF_NETWORK])
		go_down(now);
	else if (sup.state == ENDING && now >= sup.due)
		send_all(sup.halves, HALVES, SIGKILL);
	else if (sup.state == DOWN && now >= sup.due && !sup.stopping)
		start_halves();
}

static void on_signal(int signum)
{
	if (signum == SIGCHLD) {
		reap();
	} else if (signum == SIGHUP) {
		send_all(&sup.halves[HALF_NETWORK], 1, SIGHUP); /* it has the keeper read the disk */
	} else {
		sup.stopping = true;
		if (sup.state == UP) { /* the keeper follows when the network half has cleared up and gone */
			sup.state = ENDING;
			sup.due = clock_mono_ms() + STOP_MS;
		}
		send_all(&sup.halves[HALF_NETWORK], 1, SIGTERM);
	}
}

static void supervise(int signals)
{
	struct signalfd_siginfo info;

	for (keep_both(); !sup.stopping || sup.state != DOWN; keep_both()) {
		struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = sup.run, .events = POLLIN },
			{ .fd = sup.ready[0], .events = POLLIN } };

		if (poll(fds, 3, sup.state == UP ? -1 : (int)MAX(sup.due - clock_mono_ms(), 100)) <= 0)
			continue;
		if (fds[2].revents)
			got_ready();
		if (fds[1].revents)
			start_run();
		if (fds[0].revents && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			on_signal((int)info.ssi_signo);
	}
	send_all(sup.runs, RUNS, SIGTERM);
}

int supervisor_run(const struct supervisor_options *options)
{
	struct err err;
	sigset_t all;

	sup.options = *options;
	if (!prepare(options->main_file, &sup.prepared, &err) || !open_ready(&err)) {
		log_error("cannot start", "error", err.detail, NULL);
		return exits_of(&err);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&all);
	for (const int *s = (int[]){ SIGCHLD, SIGHUP, SIGTERM, SIGINT, 0 }; *s; s++)
		sigaddset(&all, *s);
	sigprocmask(SIG_BLOCK, &all, NULL);
	supervise(signalfd(-1, &all, SFD_CLOEXEC));
	return sup.code;
}
