/* SPDX-License-Identifier: ISC */
#include "keeper/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/child.h"
#include "io/loop.h"
#include "io/msg.h"

enum {
	MARGIN_MS = 5000,   /* for dovad-run to start, to end what hangs, and to answer */
	ANSWER_MAX = 256 * 1024,
};

struct waiter {
	STAILQ_ENTRY(waiter) link;
	run_done *done;
	void *arg;
};
STAILQ_HEAD(waiters, waiter);

struct job { /* one service and kind that somebody waits for */
	LIST_ENTRY(job) link;
	struct run *run;
	char *kind, *service;
	int64_t timeout_ms;
	struct waiters now, next; /* those the process under way is for, and those that came since */
	struct gate_pass pass;    /* from before the process begins until it is done with */
	struct msg *msg;          /* NULL: nothing is under way */
	struct child *child;      /* only of our own starting */
	struct err ended;         /* how that ended, should no answer come */
	struct timer limit;
};

struct run {
	char *socket, *program, *main_file;
	int supervisor;
	struct gate *gate;
	LIST_HEAD(, job) jobs;
};

static void stop(struct job *j)
{
	timer_disarm(&j->limit);
	msg_close(j->msg);
	child_cancel(j->child);
	gate_leave(&j->pass);
	j->msg = NULL;
	j->child = NULL;
}

static void job_free(struct job *j)
{
	LIST_REMOVE(j, link);
	stop(j);
	free(j->kind);
	free(j->service);
	free(j);
}

static void give_up(struct waiters *all)
{
	struct waiter *w;
	struct err err;

	err_set(&err, ERR_TEMP, "run", "the keeper ends");
	while ((w = STAILQ_FIRST(all))) {
		STAILQ_REMOVE_HEAD(all, link);
		w->done(w->arg, false, NULL, &err);
		free(w);
	}
}

/* The process is done with, however it ended. */
static void finish(struct job *j, bool ran, const char *output, const struct err *err)
{
	struct waiter *w;

	stop(j);
	while ((w = STAILQ_FIRST(&j->now))) {
		STAILQ_REMOVE_HEAD(&j->now, link);
		w->done(w->arg, ran, output, err);
		free(w);
	}
	if (STAILQ_EMPTY(&j->next))
		job_free(j);
	else
		gate_ask(j->run->gate, &j->pass);
}

static void fail(struct job *j, const char *why)
{
	struct err err;

	err_set(&err, ERR_LOCAL, "run", "%s %s: %s", j->kind, j->service, why);
	finish(j, true, NULL, &err);
}

static void got(void *arg, struct msg *m, struct js *v)
{
	struct job *j = arg;
	struct js *error = js_obj(v, "error");
	struct err err = { 0 };

	(void)m;
	if (js_bool(v, "ok", false)) {
		finish(j, js_bool(v, "ran", false), js_str(v, "output"), NULL);
		return;
	}
	js_to_err(error, &err);
	if (err.kind == ERR_NONE)
		err_set(&err, ERR_BUG, "run", "dovad-run failed without a reason");
	finish(j, js_bool(v, "ran", true), js_str(v, "output"), &err);
}

static void closed(void *arg, struct msg *m, const struct err *err)
{
	struct job *j = arg;
	struct err ended = j->ended;

	(void)m;
	j->msg = NULL;
	/* A child of ours says more by how it ends. */
	if (ended.kind != ERR_NONE)
		finish(j, true, NULL, &ended);
	else if (!j->child)
		fail(j, err->kind == ERR_NONE ? "dovad-run ended without an answer" : err->detail);
}

static void child_ended(void *arg, const struct child_end *end)
{
	struct job *j = arg;
	struct err err;

	j->child = NULL;
	if (child_judge(end, "run", "dovad-run", &err))
		err_set(&err, ERR_LOCAL, "run", "%s %s: dovad-run ended without an answer", j->kind, j->service);
	if (j->msg)
		j->ended = err; /* the answer may be on its way still */
	else
		finish(j, true, NULL, &err);
}

static void too_late(void *arg)
{
	fail(arg, "dovad-run did not answer in time");
}

/* --- three ways to one --- */

static bool send_fd(int supervisor, int fd)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 'r';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(supervisor, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

static bool start_child(struct job *j, int fd, struct err *err)
{
	const char *argv[] = { j->run->program, "-c", j->run->main_file, "--fd", "3", NULL };
	struct child_wish wish = {
		.argv = argv, .timeout_ms = j->timeout_ms + MARGIN_MS, .uid = (uid_t)-1, .gid = (gid_t)-1, .keep_fd = fd,
	};

	j->child = child_start(&wish, child_ended, j, err);
	return j->child != NULL;
}

/* Our end of a socket pair whose other end is a dovad-run's. -1 on error. */
static int hand_over(struct job *j, struct err *err)
{
	int pair[2];
	bool ok;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		err_errno(err, "cannot make a socket pair");
		return -1;
	}
	if (j->run->supervisor < 0)
		ok = start_child(j, pair[1], err);
	else
		ok = send_fd(j->run->supervisor, pair[1]) || err_errno(err, "cannot ask the supervisor for a dovad-run");
	close(pair[1]);
	if (ok)
		return pair[0];
	close(pair[0]);
	return -1;
}

static struct msg *reach(struct job *j, struct err *err)
{
	static const struct msg_limits limits = { .message = ANSWER_MAX, .output = 4096 };
	static const struct msg_ops ops = { .got = got, .closed = closed };
	int fd;

	if (j->run->socket)
		return msg_connect(j->run->socket, &limits, &ops, j, err);
	fd = hand_over(j, err);
	return fd < 0 ? NULL : msg_open(fd, &limits, &ops, j, err);
}

static void begin(void *arg)
{
	struct job *j = arg;
	struct js *request = js_object();
	struct err err;

	err_clear(&j->ended);
	STAILQ_CONCAT(&j->now, &j->next);
	js_put_str(request, "kind", j->kind);
	js_put_str(request, "service", j->service);
	timer_arm(&j->limit, j->timeout_ms + MARGIN_MS, too_late, j);
	j->msg = reach(j, &err);
	if (j->msg)
		msg_send(j->msg, request);
	else
		finish(j, false, NULL, &err);
	js_free(request);
}

/* --- requests --- */

static struct job *find(const struct run *r, const char *kind, const char *service)
{
	struct job *j;

	LIST_FOREACH(j, &r->jobs, link)
		if (strcmp(j->kind, kind) == 0 && strcmp(j->service, service) == 0)
			return j;
	return NULL;
}

void run_start(struct run *r, const char *kind, const char *service, int64_t timeout_s, run_done *done, void *arg)
{
	struct waiter *w = mem_alloc(sizeof(*w));
	struct job *j = find(r, kind, service);

	w->done = done;
	w->arg = arg;
	if (!j) {
		j = mem_alloc(sizeof(*j));
		j->run = r;
		j->kind = mem_strdup(kind);
		j->service = mem_strdup(service);
		j->pass = (struct gate_pass){ .kind = GATE_RUN, .name = j->service, .enter = begin, .arg = j };
		STAILQ_INIT(&j->now);
		STAILQ_INIT(&j->next);
		LIST_INSERT_HEAD(&r->jobs, j, link);
		gate_ask(r->gate, &j->pass);
	}
	j->timeout_ms = timeout_s * 1000;
	STAILQ_INSERT_TAIL(&j->next, w, link);
}

bool run_is_idle(const struct run *r)
{
	return LIST_EMPTY(&r->jobs);
}

struct run *run_open(const struct run_options *o)
{
	struct run *r = mem_alloc(sizeof(*r));

	r->socket = o->socket ? mem_strdup(o->socket) : NULL;
	r->program = o->program ? mem_strdup(o->program) : NULL;
	r->main_file = mem_strdup(o->main_file);
	r->supervisor = o->supervisor;
	r->gate = o->gate;
	LIST_INIT(&r->jobs);
	return r;
}

void run_close(struct run *r)
{
	struct job *j;

	if (!r)
		return;
	while ((j = LIST_FIRST(&r->jobs))) {
		give_up(&j->now);
		give_up(&j->next);
		job_free(j);
	}
	free(r->socket);
	free(r->program);
	free(r->main_file);
	free(r);
}
