/* SPDX-License-Identifier: ISC */
#include "core/conf_follow.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { RELOAD_MS = 60000 };

struct waiter {
	conf_reloaded *done; /* NULL: nobody */
	void *arg;
};

struct conf_follow {
	struct rpc *keeper;
	struct conf_follow_ops ops;
	void *arg;
	struct conf_fetch *fetch;
	bool wanted;            /* a fetch, begun later than the one under way */
	bool own;               /* the one under way began after the keeper answered the reload */
	/* A reload is under way while one of these two is there. */
	struct rpc_call *asked; /* the keeper reads the disk */
	struct js *report;      /* it has; what it accepted is to be fetched */
	struct waiter now, next;
	bool again;
};

static void follow_fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err);

/* While the keeper reads the disk nothing is fetched: what it accepts then is fetched anyway. */
static void follow_on(struct conf_follow *f)
{
	if (!f->wanted || f->fetch || f->asked)
		return;
	f->wanted = false;
	f->own = f->report != NULL;
	f->fetch = conf_fetch_start(f->keeper, follow_fetched, f);
}

static void follow_reload_end(struct conf_follow *f, const struct err *err)
{
	struct js *report = f->report;
	struct waiter now = f->now;

	f->report = NULL;
	f->now = (struct waiter){ 0 };
	f->ops.reloading(f->arg, false);
	if (now.done)
		now.done(now.arg, err ? NULL : report, err);
	js_free(report);
	if (!f->again)
		return;
	now = f->next;
	f->next = (struct waiter){ 0 };
	f->again = false;
	conf_follow_reload(f, now.done, now.arg);
}

static void follow_fetched(void *arg, struct conf *conf, const struct js *report, const struct err *err)
{
	struct conf_follow *f = arg;
	bool own = f->own;

	f->fetch = NULL;
	f->own = false;
	f->ops.fetched(f->arg, conf, report, err);
	if (own)
		follow_reload_end(f, err);
	follow_on(f);
}

static void follow_answered(void *arg, const struct js *answer, const struct err *err)
{
	struct conf_follow *f = arg;

	f->asked = NULL;
	if (err) {
		log_error("reload failed, the running configuration stays", "error", log_err(err), NULL);
		follow_reload_end(f, err);
	} else {
		f->report = js_ref((struct js *)answer);
		f->wanted = true;
	}
	follow_on(f);
}

void conf_follow_changed(struct conf_follow *f)
{
	f->wanted = true;
	follow_on(f);
}

void conf_follow_reload(struct conf_follow *f, conf_reloaded *done, void *arg)
{
	bool busy = f->asked || f->report;
	struct waiter *w = busy ? &f->next : &f->now;
	struct js *request;

	if (done)
		*w = (struct waiter){ done, arg };
	f->again = f->again || busy;
	if (busy)
		return;
	f->ops.reloading(f->arg, true);
	request = js_object();
	js_put_str(request, "op", "reload");
	f->asked = rpc_send(f->keeper, request, RELOAD_MS, follow_answered, f);
}

struct conf_follow *conf_follow_new(struct rpc *keeper, const struct conf_follow_ops *ops, void *arg)
{
	struct conf_follow *f = mem_alloc(sizeof(*f));

	f->keeper = keeper;
	f->ops = *ops;
	f->arg = arg;
	conf_follow_changed(f);
	return f;
}

void conf_follow_free(struct conf_follow *f)
{
	if (!f)
		return;
	conf_fetch_cancel(f->fetch);
	rpc_cancel(f->asked);
	js_free(f->report);
	free(f);
}
