/* SPDX-License-Identifier: ISC */
#include "io/fork.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static void reset_signals(void)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &standard, NULL); /* some cannot be set, and need not be */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t fork_plain(void)
{
	sigset_t all, before;
	pid_t pid;
	int errnum;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* held back until then */
	pid = fork();
	if (pid == 0) {
		reset_signals();
		return 0;
	}
	errnum = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = errnum;
	return pid;
}
