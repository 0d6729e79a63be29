/* SPDX-License-Identifier: ISC */
#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/fork.h"
#include "io/loop.h"

enum {
	OUTPUT_MAX = 16384,       /* bytes of output kept */
	DRAIN_MAX = 1024 * 1024,  /* bytes read at the end: a grandchild may write for ever */
	KILL_AFTER_MS = 2000,     /* from SIGTERM to SIGKILL */
	HIGH_FD = 16,             /* above every number the child hands over */
};

struct child {
	LIST_ENTRY(child) link;
	pid_t pid;
	int pidfd;
	int out;
	struct watch exit_watch;
	struct watch out_watch;
	struct timer limit;
	int64_t timeout_ms;
	struct buf output;
	child_done *done; /* NULL: cancelled, only to be reaped */
	void *arg;
	bool timed_out;
	bool ended;
};

/* Cancelled ones have no other owner until they are reaped. */
static LIST_HEAD(, child) children = LIST_HEAD_INITIALIZER(children);

const char *const child_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL,
};

/* What failed between fork and exec, sent to the parent as it is. */
enum step { STEP_DESCRIPTORS, STEP_SESSION, STEP_IDENTITY, STEP_EXEC };
static const char *const step_names[] = {
	[STEP_DESCRIPTORS] = "hand over descriptors", [STEP_SESSION] = "make a session",
	[STEP_IDENTITY] = "change the user", [STEP_EXEC] = "run it",
};
struct failure {
	enum step step;
	int errnum;
};

/* The descriptors of the new process. */
struct plumbing {
	int null;
	int out;
	int report;
	int keep[CHILD_KEEP_MAX];
	size_t nkeep;
};

/* From here on: runs in the child, up to exec. */

static _Noreturn void give_up(int report, enum step step)
{
	struct failure f = { .step = step, .errnum = errno };

	/* Should even this fail, the parent sees a child that ended with 127. */
	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static bool lift(int *fd)
{
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, HIGH_FD);
	return *fd >= 0;
}

/* First away from the low numbers, then down to their places: the order never matters. Returns the report's. */
static int place_descriptors(struct plumbing p)
{
	int report = 3 + (int)p.nkeep;
	int original = p.report;
	bool ok;

	if (!lift(&p.report))
		give_up(original, STEP_DESCRIPTORS);
	ok = lift(&p.null) && lift(&p.out);
	for (size_t i = 0; i < p.nkeep; i++)
		ok = ok && lift(&p.keep[i]);
	ok = ok && dup2(p.null, 0) >= 0 && dup2(p.out, 1) >= 0 && dup2(p.out, 2) >= 0;
	for (size_t i = 0; i < p.nkeep; i++)
		ok = ok && dup2(p.keep[i], 3 + (int)i) >= 0;
	if (!ok || dup3(p.report, report, O_CLOEXEC) < 0)
		give_up(p.report, STEP_DESCRIPTORS);
	return report;
}

static bool become(const struct child_wish *w)
{
	if (w->uid == (uid_t)-1)
		return true;
	return (w->user ? initgroups(w->user, w->gid) : setgroups(0, NULL)) == 0 &&
		setresgid(w->gid, w->gid, w->gid) == 0 && setresuid(w->uid, w->uid, w->uid) == 0;
}

static _Noreturn void run(const struct child_wish *w, const struct plumbing *p)
{
	const char *const *env = w->env ? w->env : child_env;
	const struct rlimit no_core = { 0, 0 };
	int report = place_descriptors(*p);

	if (setsid() < 0)
		give_up(report, STEP_SESSION);
	umask(077);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (!become(w))
		give_up(report, STEP_IDENTITY);
	closefrom(report + 1);
	execve(w->argv[0], (char *const *)w->argv, (char *const *)env);
	give_up(report, STEP_EXEC);
}

/* From here on: the parent. */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void reap(void *arg)
{
	struct child *c = arg;

	LIST_REMOVE(c, link);
	buf_free(&c->output);
	free(c);
}

static void release(struct child *c)
{
	watch_clear(&c->exit_watch);
	watch_clear(&c->out_watch);
	timer_disarm(&c->limit);
	close_fd(c->pidfd);
	close_fd(c->out);
	c->ended = true;
	loop_defer(reap, c);
}

/* Returns the bytes read; 0 at the end, -1 when there is nothing for now. */
static ssize_t read_some(struct child *c)
{
	char chunk[8192];
	size_t room = OUTPUT_MAX - c->output.len;
	ssize_t n;

	do
		n = read(c->out, chunk, sizeof(chunk));
	while (n < 0 && errno == EINTR);
	if (n > 0 && room > 0 && !buf_add(&c->output, chunk, (size_t)n < room ? (size_t)n : room))
		return 0; /* never: the room was measured */
	return n;
}

static void output_ready(void *arg, short events)
{
	struct child *c = arg;

	(void)events;
	if (read_some(c) == 0)
		watch_clear(&c->out_watch); /* closed by all that had it; the exit comes by itself */
}

static void exited(void *arg, short events)
{
	struct child *c = arg;
	struct child_end end = { .timed_out = c->timed_out, .timeout_ms = c->timeout_ms };
	int status = W_EXITCODE(255, 0); /* should it be unknown: not success */
	ssize_t n = 1;

	(void)events;
	for (size_t all = 0; n > 0 && all < DRAIN_MAX; all += (size_t)n)
		n = read_some(c);
	/* Not reaped yet, so the group's number is still its own: whatever it left behind ends with it. */
	(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	end.status = status;
	end.output = c->output.data ? c->output.data : "";
	end.output_len = c->output.len;
	release(c);
	if (c->done)
		c->done(c->arg, &end);
}

static void kill_group(void *arg)
{
	struct child *c = arg;

	(void)kill(-c->pid, SIGKILL);
}

static void out_of_time(void *arg)
{
	struct child *c = arg;

	c->timed_out = true;
	(void)kill(-c->pid, SIGTERM);
	timer_arm(&c->limit, KILL_AFTER_MS, kill_group, c);
}

static void abandon(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Wait for exec, which closes the pipe, or for the child's own word why not. */
static bool await_exec(int report, const char *program, struct err *err)
{
	struct failure f;
	ssize_t n;

	do
		n = read(report, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return true;
	if (n != (ssize_t)sizeof(f))
		return err_errno(err, "cannot tell whether %s was started", program);
	errno = f.errnum;
	return f.step == STEP_EXEC ? err_errno(err, "cannot run %s", program) :
		err_errno(err, "cannot run %s: cannot %s", program, step_names[f.step]);
}

static bool watch_child(struct child *c, struct err *err)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0 || fcntl(c->out, F_SETFL, O_NONBLOCK) != 0)
		return err_errno(err, "cannot watch a process");
	return watch_set(&c->exit_watch, c->pidfd, POLLIN, exited, c, err) &&
		watch_set(&c->out_watch, c->out, POLLIN, output_ready, c, err);
}

static bool launch(struct child *c, const struct child_wish *w, struct plumbing *p, int report, struct err *err)
{
	c->pid = fork_plain();
	if (c->pid == 0)
		run(w, p);
	close(p->report); /* or the end of the pipe would never come */
	p->report = -1;
	if (c->pid < 0)
		return err_errno(err, "cannot make a process for %s", w->argv[0]);
	if (await_exec(report, w->argv[0], err) && watch_child(c, err))
		return true;
	abandon(c->pid);
	return false;
}

static bool make_pipes(struct child *c, struct plumbing *p, int *report, struct err *err)
{
	int fds[2];

	p->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (p->null < 0)
		return err_errno(err, "cannot open /dev/null");
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(err, "cannot make a pipe");
	c->out = fds[0];
	p->out = fds[1];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(err, "cannot make a pipe");
	*report = fds[0];
	p->report = fds[1];
	return true;
}

struct child *child_start(const struct child_wish *wish, child_done *done, void *arg, struct err *err)
{
	struct plumbing p = { .null = -1, .out = -1, .report = -1, .nkeep = wish->nkeep };
	struct child *c;
	int report = -1;
	bool ok;

	if (!wish->argv[0] || wish->argv[0][0] != '/') {
		err_set(err, ERR_INPUT, "command", "%s is not an absolute path",
			wish->argv[0] ? wish->argv[0] : "nothing");
		return NULL;
	}
	if (wish->nkeep > CHILD_KEEP_MAX) {
		err_set(err, ERR_BUG, "command", "more than %d descriptors to hand over", CHILD_KEEP_MAX);
		return NULL;
	}
	if (wish->nkeep)
		memcpy(p.keep, wish->keep, wish->nkeep * sizeof(*p.keep));
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored, the kernel would throw the exit status away */
	c = mem_alloc(sizeof(*c));
	LIST_INSERT_HEAD(&children, c, link);
	c->pidfd = c->out = -1;
	c->timeout_ms = wish->timeout_ms;
	c->done = done;
	c->arg = arg;
	buf_init(&c->output, OUTPUT_MAX);
	ok = make_pipes(c, &p, &report, err) && launch(c, wish, &p, report, err);
	close_fd(p.null);
	close_fd(p.out);
	close_fd(p.report);
	close_fd(report);
	if (ok) {
		timer_arm(&c->limit, c->timeout_ms, out_of_time, c);
		return c;
	}
	release(c);
	return NULL;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

void child_cancel(struct child *c)
{
	if (!c || c->ended)
		return;
	c->done = NULL;
	timer_disarm(&c->limit);
	kill_group(c); /* the rest when it is gone */
}

/* The first line with something on it. */
static const char *first_line(const char *text, size_t *len)
{
	text += strspn(text, " \t\r\n");
	*len = strcspn(text, "\r\n");
	return text;
}

bool child_judge(const struct child_end *end, const char *type, const char *what, struct err *err)
{
	char line[256];
	size_t len;
	const char *text = first_line(end->output, &len);
	const char *colon = len ? ": " : "";

	text_escape(text, len, line, sizeof(line));
	if (end->timed_out)
		return err_set(err, ERR_LOCAL, type, "%s: still running after %" PRId64 " s%s%s", what,
			(end->timeout_ms + 999) / 1000, colon, line);
	if (WIFSIGNALED(end->status))
		return err_set(err, ERR_LOCAL, type, "%s: killed by signal %d%s%s", what, WTERMSIG(end->status), colon,
			line);
	if (WEXITSTATUS(end->status) != 0)
		return err_set(err, ERR_LOCAL, type, "%s: exited with %d%s%s", what, WEXITSTATUS(end->status), colon,
			line);
	return true;
}
