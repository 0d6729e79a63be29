/* SPDX-License-Identifier: ISC */
#include "io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/time.h>

#include "base/log.h"
#include "base/mem.h"

/* Longer waits are cut to this: no sum of times overflows, and whoever waits ten years looks again then. */
#define LONGEST_MS (INT64_C(10) * 366 * 86400 * 1000)

struct deferred {
	TAILQ_ENTRY(deferred) link;
	void (*fn)(void *arg);
	void *arg;
};

struct signal_handler {
	struct event *event;
	void (*fn)(void *arg);
	void *arg;
};

static struct {
	struct event_base *base;
	TAILQ_HEAD(, deferred) deferred;
	bool (*on_turn)(void *arg);
	void *on_turn_arg;
	bool stopped;
	struct signal_handler signals[NSIG];
} loop = { .deferred = TAILQ_HEAD_INITIALIZER(loop.deferred) };

static void relay_log(int severity, const char *text)
{
	if (severity >= EVENT_LOG_ERR)
		log_error("event loop", "text", text, NULL);
	else
		log_debug("event loop", "text", text, NULL);
}

bool loop_open(struct err *err)
{
	struct event_config *config;

	if (loop.base)
		return err_set(err, ERR_BUG, "loop", "the event loop is open already");
	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(mem_bytes, mem_resize_bytes, free);
	event_set_log_callback(relay_log);
	config = event_config_new();
	/* No cached or coarse time: a timer must not run before its owner's own clock says so. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
		EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER);
	loop.base = event_base_new_with_config(config);
	event_config_free(config);
	return loop.base || err_errno(err, "cannot make the event loop");
}

static void run_deferred(void)
{
	struct deferred *d;

	while ((d = TAILQ_FIRST(&loop.deferred))) {
		void (*fn)(void *) = d->fn;
		void *arg = d->arg;

		TAILQ_REMOVE(&loop.deferred, d, link);
		free(d);
		fn(arg);
	}
}

void loop_close(void)
{
	if (!loop.base)
		return;
	run_deferred(); /* what was closed just now is freed in the turn after: there is no other */
	for (int i = 0; i < NSIG; i++) {
		if (loop.signals[i].event)
			event_free(loop.signals[i].event);
		loop.signals[i] = (struct signal_handler){ 0 };
	}
	loop.on_turn = NULL;
	loop.stopped = false;
	event_base_free(loop.base);
	loop.base = NULL;
}

void loop_turn(bool block)
{
	bool wait = block && TAILQ_EMPTY(&loop.deferred);

	event_base_loop(loop.base, wait ? EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY : EVLOOP_NONBLOCK);
	do
		run_deferred();
	while (loop.on_turn && loop.on_turn(loop.on_turn_arg));
}

void loop_run(void)
{
	/* What was done before the loop ran (starting up) gets its end of turn before the first wait. */
	if (!loop.stopped)
		loop_turn(false);
	while (!loop.stopped)
		loop_turn(true);
	loop.stopped = false;
}

void loop_stop(void)
{
	loop.stopped = true;
}

void loop_defer(void (*fn)(void *arg), void *arg)
{
	struct deferred *d = mem_alloc(sizeof(*d));

	d->fn = fn;
	d->arg = arg;
	TAILQ_INSERT_TAIL(&loop.deferred, d, link);
}

void loop_undefer(void *arg)
{
	struct deferred *d, *next;

	for (d = TAILQ_FIRST(&loop.deferred); d; d = next) {
		next = TAILQ_NEXT(d, link);
		if (d->arg != arg)
			continue;
		TAILQ_REMOVE(&loop.deferred, d, link);
		free(d);
	}
}

void loop_on_turn(bool (*fn)(void *arg), void *arg)
{
	loop.on_turn = fn;
	loop.on_turn_arg = arg;
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;
	void (*fn)(void *) = t->fn;
	void *fn_arg = t->arg;

	(void)fd;
	(void)what;
	timer_disarm(t); /* before the call, which may free the timer's owner or arm it again */
	fn(fn_arg);
}

void timer_arm(struct timer *t, int64_t milliseconds, void (*fn)(void *arg), void *arg)
{
	int64_t ms = milliseconds < 0 ? 0 : milliseconds > LONGEST_MS ? LONGEST_MS : milliseconds;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	t->fn = fn;
	t->arg = arg;
	if (!t->event)
		t->event = event_new(loop.base, -1, 0, timer_due, t);
	event_add(t->event, &tv);
}

bool timer_armed(const struct timer *t)
{
	return t->event != NULL;
}

void timer_disarm(struct timer *t)
{
	if (t->event)
		event_free(t->event);
	t->event = NULL;
}

static void signal_arrived(evutil_socket_t signum, short what, void *arg)
{
	struct signal_handler *h = arg;

	(void)signum;
	(void)what;
	h->fn(h->arg);
}

bool loop_signal(int signum, void (*fn)(void *arg), void *arg, struct err *err)
{
	struct signal_handler *h;

	if (signum <= 0 || signum >= NSIG)
		return err_set(err, ERR_BUG, "loop", "there is no signal %d", signum);
	h = &loop.signals[signum];
	if (h->event)
		return err_set(err, ERR_BUG, "loop", "signal %d has a handler already", signum);
	h->fn = fn;
	h->arg = arg;
	h->event = evsignal_new(loop.base, signum, signal_arrived, h);
	if (event_add(h->event, NULL) == 0)
		return true;
	err_errno(err, "cannot handle signal %d", signum);
	event_free(h->event);
	h->event = NULL;
	return false;
}

static void watch_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	w->fn(w->arg, (short)((what & EV_READ ? POLLIN : 0) | (what & EV_WRITE ? POLLOUT : 0)));
}

bool watch_set(struct watch *w, int fd, short events, void (*fn)(void *arg, short events), void *arg, struct err *err)
{
	short what = (short)(EV_PERSIST | (events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0));

	if (what == EV_PERSIST) {
		watch_clear(w);
		return true;
	}
	w->fn = fn;
	w->arg = arg;
	if (w->event) {
		event_del(w->event);
		event_assign(w->event, loop.base, fd, what, watch_ready, w);
	} else {
		w->event = event_new(loop.base, fd, what, watch_ready, w);
	}
	if (event_add(w->event, NULL) == 0)
		return true;
	err_errno(err, "cannot watch descriptor %d", fd);
	watch_clear(w);
	return false;
}

void watch_clear(struct watch *w)
{
	if (w->event)
		event_free(w->event);
	w->event = NULL;
}

const char *loop_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libevent %s", event_get_version());
	return text;
}
