/* SPDX-License-Identifier: ISC */
#include "io/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/fork.h"

enum { PIPE = 3 }; /* its one descriptor beside the standard ones */

struct answer { /* followed by len bytes; only ever read by the program that wrote it */
	bool ok;
	struct err err;
	size_t len;
};

/* --- in the copy --- */

static bool write_all(const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(PIPE, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool settle(int fd, pid_t parent)
{
	const struct rlimit no_core = { 0, 0 };
	int null;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setsid() < 0)
		return false;
	(void)setrlimit(RLIMIT_CORE, &no_core);
	fd = fcntl(fd, F_DUPFD, PIPE + 1);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(fd, PIPE) < 0)
		return false;
	closefrom(PIPE + 1);
	return true;
}

static _Noreturn void be_copy(aside_work *work, void *arg, int fd, pid_t parent)
{
	struct answer a = { 0 };
	struct buf out;

	if (!settle(fd, parent))
		_exit(126);
	buf_init(&out, ASIDE_MAX);
	a.ok = work(arg, &out, &a.err);
	a.len = out.len;
	_exit(write_all(&a, sizeof(a)) && write_all(out.data ? out.data : "", out.len) ? 0 : 125); /* nobody's exit handlers */
}

/* --- here --- */

/* The answer's head; NULL: it is not all there. */
static const struct answer *find_answer(const struct buf *all, struct answer *a)
{
	if (all->len < sizeof(*a))
		return NULL;
	memcpy(a, all->data, sizeof(*a));
	return all->len - sizeof(*a) >= a->len ? a : NULL;
}

/* Until the answer is there or can come no more; false: too late. */
static bool read_answer(int fd, int64_t until, struct buf *all)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct answer a;
	char chunk[4096];

	while (!find_answer(all, &a)) {
		int64_t left = until - clock_mono_ms();
		int ready = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n = ready > 0 ? read(fd, chunk, sizeof(chunk)) : -1;

		if (ready == 0 && left <= 0)
			return false;
		if (n == 0 || (n > 0 && !buf_add(all, chunk, (size_t)n)))
			break;
	}
	explicit_bzero(chunk, sizeof(chunk));
	return true;
}

static bool take(const struct buf *all, int status, struct buf *out, struct err *err)
{
	struct answer space;
	const struct answer *a = find_answer(all, &space);

	if (!a && WIFSIGNALED(status))
		return err_set(err, ERR_LOCAL, "crash", "killed by signal %d", WTERMSIG(status));
	if (!a)
		return err_set(err, ERR_LOCAL, "crash", "ended with %d without an answer", WEXITSTATUS(status));
	return a->ok ? buf_add(out, all->data + sizeof(*a), a->len) || err_set(err, ERR_BUG, "size", "no room for an answer of %zu bytes", a->len) :
		       err_copy(err, &a->err);
}

/* Whoever has answered is ended all the same, with what it started; one that ended by itself keeps its own status. */
static int end_copy(pid_t pid)
{
	int status = 0;

	if (kill(-pid, SIGKILL) != 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static bool await(pid_t pid, int fd, int64_t limit_ms, struct buf *out, struct err *err)
{
	struct buf all;
	bool in_time, ok;
	int status;

	buf_init(&all, sizeof(struct answer) + ASIDE_MAX);
	in_time = read_answer(fd, clock_mono_ms() + limit_ms, &all);
	status = end_copy(pid);
	ok = in_time ? take(&all, status, out, err) : err_set(err, ERR_LOCAL, ASIDE_TIMEOUT, "no answer within %d ms", (int)limit_ms);
	buf_wipe(&all);
	return ok;
}

bool aside_run(aside_work *work, void *arg, int64_t limit_ms, struct buf *out, struct err *err)
{
	pid_t pid, parent = getpid();
	int fds[2];
	bool ok;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(err, "cannot make a pipe");
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored, the kernel would throw the exit status away */
	pid = fork_plain();
	if (pid == 0)
		be_copy(work, arg, fds[1], parent);
	close(fds[1]);
	ok = pid < 0 ? err_errno(err, "cannot make a process") : await(pid, fds[0], limit_ms, out, err);
	close(fds[0]);
	return ok;
}
