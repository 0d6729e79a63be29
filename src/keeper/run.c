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
	REQUEST_MAX = 16384,
	MOST = 12, /* processes at a time: whoever starts them refuses what is too much, and is told of an end a little after us */
};

struct waiter {
	STAILQ_ENTRY(waiter) link;
	run_done *done;
	void *arg;
};
STAILQ_HEAD(waiters, waiter);

struct job { /* one kind, name and data that somebody waits for */
	TAILQ_ENTRY(job) link, turn;
	struct run *run;
	char *kind, *name;
	struct js *data;
	char *text;               /* of data: "{}" for none */
	int64_t timeout_ms;
	struct waiters now, next; /* those the process under way is for, and those that came since */
	struct gate_pass pass;    /* from before the process begins until it is done with; without `enter` there is no need of it */
	enum { IDLE, QUEUED, ADMITTED } place; /* among the few that may have a process */
	struct msg *msg;          /* NULL: nothing is under way */
	struct child *child;      /* only of our own starting */
	struct err ended;         /* how that ended, should no answer come */
	struct timer limit;
};

struct run {
	char *socket, *program, *main_file;
	int supervisor;
	struct gate *gate;
	TAILQ_HEAD(jobs, job) jobs; /* those of one kind and name are a line: the first of them is under way, or about to be */
	TAILQ_HEAD(, job) queue;    /* firsts of their lines that are too many, in the order of asking */
	unsigned admitted;
};

static void begin(void *arg);

static void admit(struct job *j)
{
	j->place = ADMITTED;
	j->run->admitted++;
	if (j->pass.enter)
		gate_ask(j->run->gate, &j->pass);
	else
		loop_defer(begin, j);
}

/* Before the gate: who waits here keeps nobody from switching. */
static void take_turn(struct job *j)
{
	if (j->run->admitted < MOST) {
		admit(j);
		return;
	}
	j->place = QUEUED;
	TAILQ_INSERT_TAIL(&j->run->queue, j, turn);
}

static void give_up_place(struct job *j)
{
	struct run *r = j->run;
	struct job *first = TAILQ_FIRST(&r->queue);

	if (j->place == QUEUED) {
		TAILQ_REMOVE(&r->queue, j, turn);
	} else if (j->place == ADMITTED) {
		r->admitted--;
		if (first) {
			TAILQ_REMOVE(&r->queue, first, turn);
			admit(first);
		}
	}
	j->place = IDLE;
}

static void stop(struct job *j)
{
	timer_disarm(&j->limit);
	loop_undefer(j);
	msg_close(j->msg);
	child_cancel(j->child);
	gate_leave(&j->pass);
	j->msg = NULL;
	j->child = NULL;
	give_up_place(j);
}

static void job_free(struct job *j)
{
	TAILQ_REMOVE(&j->run->jobs, j, link);
	stop(j);
	js_free(j->data);
	free(j->kind);
	free(j->name);
	free(j->text);
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

static bool is_of_line(const struct job *j, const char *kind, const char *name)
{
	return strcmp(j->kind, kind) == 0 && strcmp(j->name, name) == 0;
}

/* NULL: it is the last. */
static struct job *next_of_line(const struct job *j)
{
	struct job *next = TAILQ_NEXT(j, link);

	while (next && !is_of_line(next, j->kind, j->name))
		next = TAILQ_NEXT(next, link);
	return next;
}

/* The process is done with, however it ended. */
static void finish(struct job *j, bool ran, const char *output, const struct err *err)
{
	struct waiter *w;
	struct job *next;

	stop(j);
	while ((w = STAILQ_FIRST(&j->now))) {
		STAILQ_REMOVE_HEAD(&j->now, link);
		w->done(w->arg, ran, output, err);
		free(w);
	}
	next = STAILQ_EMPTY(&j->next) ? next_of_line(j) : j;
	if (next)
		take_turn(next);
	if (next != j)
		job_free(j);
}

static void fail(struct job *j, const char *why)
{
	struct err err;

	err_set(&err, ERR_LOCAL, "run", "%s %s: %s", j->kind, j->name, why);
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
		err_set(&err, ERR_LOCAL, "run", "%s %s: dovad-run ended without an answer", j->kind, j->name);
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
		.argv = argv, .timeout_ms = j->timeout_ms + MARGIN_MS, .uid = (uid_t)-1, .gid = (gid_t)-1, .keep = &fd, .nkeep = 1,
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
	static const struct msg_limits limits = { .message = ANSWER_MAX, .output = REQUEST_MAX };
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
	js_put_str(request, "name", j->name);
	if (j->data)
		js_put(request, "data", js_ref(j->data));
	timer_arm(&j->limit, j->timeout_ms + MARGIN_MS, too_late, j);
	j->msg = reach(j, &err);
	if (j->msg)
		msg_send(j->msg, request);
	else
		finish(j, false, NULL, &err);
	js_free(request);
}

/* --- requests --- */

/* The last of a line; NULL: there is none. */
static struct job *last_of_line(const struct run *r, const struct run_wish *wish)
{
	struct job *j;

	TAILQ_FOREACH_REVERSE(j, &r->jobs, jobs, link)
		if (is_of_line(j, wish->kind, wish->name))
			return j;
	return NULL;
}

/* text is taken over. */
static struct job *job_new(struct run *r, const struct run_wish *wish, char *text)
{
	bool first = !last_of_line(r, wish);
	struct job *j = mem_alloc(sizeof(*j));

	j->run = r;
	j->kind = mem_strdup(wish->kind);
	j->name = mem_strdup(wish->name);
	j->data = wish->data ? js_ref((struct js *)wish->data) : NULL;
	j->text = text;
	STAILQ_INIT(&j->now);
	STAILQ_INIT(&j->next);
	TAILQ_INSERT_TAIL(&r->jobs, j, link);
	if (wish->reads)
		j->pass = (struct gate_pass){ .kind = GATE_RUN, .name = j->name, .enter = begin, .arg = j };
	if (first)
		take_turn(j);
	return j;
}

/* Only the last can be the same: what was asked for in between must not be overtaken. */
static struct job *job_ensure(struct run *r, const struct run_wish *wish)
{
	char *text = wish->data ? js_dump(wish->data) : mem_strdup("{}");
	struct job *last = last_of_line(r, wish);

	if (!last || strcmp(last->text, text) != 0)
		return job_new(r, wish, text);
	free(text);
	return last;
}

void run_start(struct run *r, const struct run_wish *wish, run_done *done, void *arg)
{
	struct waiter *w = mem_alloc(sizeof(*w));
	struct job *j = job_ensure(r, wish);

	w->done = done;
	w->arg = arg;
	j->timeout_ms = wish->timeout_s * 1000;
	STAILQ_INSERT_TAIL(&j->next, w, link);
}

bool run_is_idle(const struct run *r)
{
	return TAILQ_EMPTY(&r->jobs);
}

struct run *run_open(const struct run_options *o)
{
	struct run *r = mem_alloc(sizeof(*r));

	r->socket = o->socket ? mem_strdup(o->socket) : NULL;
	r->program = o->program ? mem_strdup(o->program) : NULL;
	r->main_file = mem_strdup(o->main_file);
	r->supervisor = o->supervisor;
	r->gate = o->gate;
	TAILQ_INIT(&r->jobs);
	TAILQ_INIT(&r->queue);
	return r;
}

void run_close(struct run *r)
{
	struct job *j;

	if (!r)
		return;
	while ((j = TAILQ_FIRST(&r->jobs))) {
		give_up(&j->now);
		give_up(&j->next);
		job_free(j);
	}
	free(r->socket);
	free(r->program);
	free(r->main_file);
	free(r);
}
