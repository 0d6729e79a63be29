/* SPDX-License-Identifier: ISC */
#include "io/dns_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/dns_pool.h"
#include "io/pace.h"

enum { PER_NAME = 20, PER_ADDRESS = 200, CHANNELS = 256, PLAIN_MS = 10 * 60 * 1000 };

/* c-ares sends each try once and hears its answer; what comes after is decided here, because its versions differ:
 * - It keeps an average of how fast a server is, and cookies of it (1.32 and 1.33 on): a machine behind the same address that is slower, or has no
 *   cookies, would not be heard. So a channel on which something stayed silent is not used again.
 * - A datagram that is no message (1.28 on) or empty (1.18), or an ICMP error, ends all tries of a socket: more of them are made.
 * - It asks again without OPT after a FORMERR that has none, once per channel (1.18) or always: seen by the answer that has none either. */
enum { FIRST_UDP = 0, FIRST_TCP = 2, STEPS = 4, TURNS = 2 };
enum {
	TCP_SHARE = 40, /* at least, of the time in percent */
	STILL_MS = 100, /* later than that, this process stood still: answers may be in its sockets */
};
static const struct {
	bool tcp;
	bool plain;     /* without OPT, unless DNS_DO wants it: some servers answer EDNS with a bare head, which c-ares ignores, and firewalls drop it */
	unsigned share; /* of the time in percent, after which the next step begins though this one has not failed yet */
} steps[STEPS] = {
	{ false, false, 20 },
	{ false, true, 40 },
	{ true, false, 100 },
	{ true, false, 100 }, /* when a server closes a connection early that several questions use */
};

struct real_asker {
	struct asker asker;
	struct asker_limits limits;
	struct pace *pace;
	struct dns_pool pool;
	LIST_HEAD(, dns_query) queries;
	TAILQ_HEAD(, dns_query) line; /* wait for a channel */
	bool line_moves;              /* serve_line is deferred */
};

struct attempt { /* held by c-ares */
	LIST_ENTRY(attempt) link;
	struct dns_query *query;     /* NULL: nobody waits any more */
	struct dns_channel *channel; /* while there is a query */
	int64_t sent_us;
	bool tcp, plain;
	size_t qlen;
	uint8_t question[DNS_QUESTION_MAX];
};

struct dns_query {
	LIST_ENTRY(dns_query) link;
	TAILQ_ENTRY(dns_query) in_line;
	struct real_asker *asker;
	struct dns_host *host;
	struct dns_ask ask;
	char *name;                  /* ask.name */
	dns_answered *done;          /* NULL: being called */
	void *arg;
	struct timer timer;
	unsigned turns;              /* taken of the pace, for the next question */
	int64_t turn_ms;             /* when a repeat has the last of them */
	unsigned step;
	int64_t next_ms, deadline_ms; /* of the next step, of all; 0: not sent yet */
	int64_t waits_since_ms;      /* in the line, where its time stands still */
	bool waits, still, deferred, over;
	bool plain, told_plain;      /* asked without EDNS only; because the server did not like it */
	bool cut, broken, refused;   /* what tries brought */
	const char *complaint;       /* of c-ares */
	LIST_HEAD(, attempt) attempts;
	struct dns_answer answer;
	uint8_t *msg;
	char text[200];
};

static void query_go(void *arg);

static void query_woken(void *arg)
{
	struct dns_query *q = arg;

	q->deferred = false;
	query_go(q);
}

static void defer(struct dns_query *q, void (*fn)(void *))
{
	if (q->deferred)
		loop_undefer(q);
	q->deferred = true;
	loop_defer(fn, q);
}

/* --- waiting for a channel --- */

static void serve_line(void *arg)
{
	struct real_asker *a = arg;
	struct dns_query *q;

	a->line_moves = false;
	while ((q = TAILQ_FIRST(&a->line))) {
		query_go(q);
		if (q->waits)
			return;
	}
}

static void line_leave(struct dns_query *q)
{
	if (q->waits)
		TAILQ_REMOVE(&q->asker->line, q, in_line);
	q->waits = false;
}

static void line_enter(struct dns_query *q)
{
	if (q->waits)
		return;
	q->waits = true;
	q->waits_since_ms = clock_mono_ms();
	timer_disarm(&q->timer);
	TAILQ_INSERT_TAIL(&q->asker->line, q, in_line);
}

static void line_move(struct real_asker *a)
{
	if (a->line_moves || TAILQ_EMPTY(&a->line))
		return;
	a->line_moves = true;
	loop_defer(serve_line, a);
}

static void forget_attempt(struct attempt *t)
{
	LIST_REMOVE(t, link);
	dns_channel_release(t->channel);
	line_move(t->query->asker);
	t->query = NULL;
}

static void forget_attempts(struct dns_query *q)
{
	while (!LIST_EMPTY(&q->attempts))
		forget_attempt(LIST_FIRST(&q->attempts));
}

/* --- the end --- */

static void query_free(struct dns_query *q)
{
	free(q->msg);
	free(q->name);
	free(q);
}

static void deliver(void *arg)
{
	struct dns_query *q = arg;
	dns_answered *done = q->done;

	q->deferred = false;
	q->done = NULL;
	q->host->users--;
	LIST_REMOVE(q, link); /* done() may close the asker */
	done(q->arg, &q->answer);
	query_free(q);
}

static void real_cancel(struct dns_query *q)
{
	if (!q || !q->done)
		return;
	forget_attempts(q);
	line_leave(q);
	timer_disarm(&q->timer);
	if (q->deferred)
		loop_undefer(q);
	q->host->users--;
	LIST_REMOVE(q, link);
	query_free(q);
}

static void finish(struct dns_query *q, enum dns_how how)
{
	q->over = true;
	forget_attempts(q);
	line_leave(q);
	timer_disarm(&q->timer);
	q->answer.how = how;
	if (how != DNS_ANSWERED)
		q->answer.text = q->text;
	defer(q, deliver);
}

static void finish_unable(struct dns_query *q, enum dns_how how, const char *why)
{
	snprintf(q->text, sizeof(q->text), "%s cannot be asked: %.100s", q->host->text, why);
	finish(q, how);
}

static void finish_unanswered(struct dns_query *q)
{
	const char *over = q->ask.tcp ? "over TCP" : "over UDP and TCP";

	if (q->cut)
		snprintf(q->text, sizeof(q->text), "%s: the answer was cut off (TC), and the whole of it did not come over TCP%s", q->host->text,
			q->refused ? ": connection refused or closed" : "");
	else if (q->broken)
		snprintf(q->text, sizeof(q->text), "%s: what came %s is no answer to the question%s%s", q->host->text, over,
			q->complaint ? ": " : "", q->complaint ? q->complaint : "");
	else if (q->refused)
		snprintf(q->text, sizeof(q->text), "%s: no answer %s: connection refused or closed", q->host->text, over);
	else
		snprintf(q->text, sizeof(q->text), "%s: no answer %s in %lld ms", q->host->text, over, (long long)q->ask.timeout_ms);
	finish(q, q->cut || q->broken ? DNS_BROKEN : DNS_SILENT);
}

/* --- what comes --- */

static bool dislikes_edns(unsigned rcode)
{
	return rcode == DNS_FORMERR || rcode == DNS_NOTIMP;
}

static void keep_answer(struct dns_query *q, const struct attempt *t, const uint8_t *msg, size_t len)
{
	q->msg = mem_alloc(len);
	memcpy(q->msg, msg, len);
	q->answer.msg = q->msg;
	q->answer.len = len;
	q->answer.over_tcp = t->tcp;
	q->answer.case_kept = dns_is_answer_to(msg, len, t->question, t->qlen, true);
}

/* Remembers a server that is too old for EDNS, however that came out. Some things in front of a server leave it out of errors only. */
static void learn_plain(struct dns_query *q, const struct attempt *t)
{
	bool left_out = !t->plain && !q->answer.head.edns;
	unsigned rcode = q->answer.head.rcode;
	bool deaf = left_out && (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN);

	if (left_out)
		dns_channel_retire(t->channel);
	if (deaf || (t->plain && (q->told_plain || q->broken) && !dislikes_edns(rcode)))
		q->host->plain_until_ms = clock_mono_ms() + PLAIN_MS;
}

static void begin_again(struct dns_query *q, unsigned step)
{
	forget_attempts(q);
	q->step = step;
}

static void judge_message(struct dns_query *q, const struct attempt *t, const uint8_t *msg, size_t len)
{
	const struct dns_head *head = &q->answer.head;

	if (!dns_is_answer_to(msg, len, t->question, t->qlen, false) || !dns_read_head(msg, len, &q->answer.head)) {
		q->broken = true;
	} else if (head->tc && !t->tcp) {
		q->cut = true;
		if (q->step <= FIRST_TCP) /* not begun */
			begin_again(q, FIRST_TCP);
	} else if (head->tc || !head->whole) {
		q->broken = true;
	} else if (!t->plain && dislikes_edns(head->rcode)) {
		if (!q->told_plain)
			begin_again(q, t->tcp ? FIRST_TCP : FIRST_UDP);
		q->plain = q->told_plain = true;
	} else {
		keep_answer(q, t, msg, len);
		learn_plain(q, t);
	}
}

/* The later versions of c-ares say so of what is no DNS message, and of names of bytes that it would not have in a name. */
static void complain(struct dns_query *q, int status)
{
	q->broken = true;
	q->complaint = ares_strerror(status);
}

static void heard(void *arg, int status, int timeouts, unsigned char *msg, int len)
{
	struct attempt *t = arg;
	struct dns_query *q = t->query;

	(void)timeouts; /* one try each */
	if (q && !q->over && !q->msg) {
		q->answer.rtt_us = clock_mono_us() - t->sent_us;
		if (status == ARES_SUCCESS && len > 0)
			judge_message(q, t, msg, (size_t)len);
		else if (status == ARES_ETIMEOUT)
			dns_channel_retire(t->channel);
		else if (status == ARES_ECONNREFUSED)
			q->refused = true;
		else
			complain(q, status);
		if (!q->deferred)
			defer(q, query_woken);
	}
	if (t->query)
		forget_attempt(t);
	free(t);
}

/* --- asking --- */

static bool goes_plain(const struct dns_query *q)
{
	return q->plain || (steps[q->step].plain && !(q->ask.bits & DNS_DO));
}

static struct dns_channel *channel_ensure(struct dns_query *q, struct err *err)
{
	struct dns_pool *pool = &q->asker->pool;
	enum dns_pool_kind kind = steps[q->step].tcp ? DNS_POOL_TCP : goes_plain(q) ? DNS_POOL_PLAIN : DNS_POOL_UDP;
	struct dns_channel *c = dns_pool_channel(pool, q->host, kind, q->ask.fresh, err);

	if (c || err->kind != ERR_NONE || LIST_EMPTY(&q->attempts))
		return c;
	forget_attempts(q); /* what it holds itself makes room */
	return dns_pool_channel(pool, q->host, kind, q->ask.fresh, err);
}

/* Of two: among the questions for this name, then among all to this address. */
static int64_t take_turn(const struct dns_query *q, unsigned turn)
{
	const struct asker_limits *limits = &q->asker->limits;
	char key[DNS_NAME_TEXT + ADDR_TEXT];

	snprintf(key, sizeof(key), "%s%s%s", q->host->text, turn == 0 ? " " : "", turn == 0 ? q->name : "");
	return pace_take(q->asker->pace, key, turn == 0 ? limits->per_name : limits->per_address);
}

/* The second is taken when the first has come: else it would be used later than it was for. Milliseconds until this is to be asked again; 0: has both. */
static int64_t take_turns(struct dns_query *q)
{
	int64_t wait = 0;

	while (q->turns < TURNS && wait == 0)
		wait = take_turn(q, q->turns++);
	return (wait + 999) / 1000;
}

static void draw(void *out, size_t len)
{
	while (getrandom(out, len, 0) != (ssize_t)len)
		;
}

static void send_attempt(struct dns_query *q, struct dns_channel *c)
{
	struct attempt *t = mem_alloc(sizeof(*t));
	unsigned bits = q->ask.bits | (goes_plain(q) ? DNS_PLAIN : 0U);
	uint64_t coin;
	uint16_t id;

	draw(&id, sizeof(id));
	draw(&coin, sizeof(coin));
	t->qlen = dns_write_question(t->question, id, q->ask.name, q->ask.type, bits, coin);
	t->query = q;
	t->channel = c;
	t->tcp = steps[q->step].tcp;
	t->plain = goes_plain(q);
	t->sent_us = clock_mono_us();
	LIST_INSERT_HEAD(&q->attempts, t, link);
	q->answer.sent++;
	q->turns = 0;
	dns_channel_take(c);
	ares_send(c->ares, t->question, (int)t->qlen, heard, t); /* t may be gone */
	dns_channel_arm(c);
}

/* false: it is over. */
static bool step_start(struct dns_query *q)
{
	int64_t now = clock_mono_ms();
	struct err err;
	struct dns_channel *c = channel_ensure(q, &err);

	if (!c && err.kind != ERR_NONE) {
		finish_unable(q, DNS_NO_ROUTE, err.detail);
		return false;
	}
	if (!c) {
		line_enter(q);
		return true;
	}
	if (!q->deadline_ms)
		q->deadline_ms = now + q->ask.timeout_ms;
	else if (q->waits)
		q->deadline_ms += now - q->waits_since_ms;
	if (steps[q->step].tcp && q->deadline_ms < now + q->ask.timeout_ms * TCP_SHARE / 100)
		q->deadline_ms = now + q->ask.timeout_ms * TCP_SHARE / 100;
	line_leave(q);
	q->next_ms = now + q->ask.timeout_ms * steps[q->step].share / 100;
	q->still = false;
	send_attempt(q, c);
	q->step++;
	return true;
}

/* What stayed silent so far is waited for, but nothing new is asked that way. */
static void retire_silent(struct dns_query *q)
{
	struct attempt *t;

	LIST_FOREACH(t, &q->attempts, link)
		dns_channel_retire(t->channel);
}

static int64_t due(const struct dns_query *q)
{
	return q->next_ms < q->deadline_ms ? q->next_ms : q->deadline_ms;
}

static void query_due(void *arg)
{
	struct dns_query *q = arg;

	if (!q->still && clock_mono_ms() > due(q) + STILL_MS) {
		q->still = true;
		timer_arm(&q->timer, STILL_MS, query_due, q);
	} else {
		query_go(q);
	}
}

/* A repeat counts as a question and waits as one. Its time stands still, and what was asked before may still be answered. */
static bool has_turn(struct dns_query *q, int64_t now)
{
	int64_t wait;

	if (now >= q->turn_ms && (wait = take_turns(q)) > 0) {
		q->turn_ms = now + wait;
		if (q->deadline_ms < now) /* TCP, which it goes on to, adds its share */
			q->deadline_ms = now;
		q->deadline_ms += wait;
	}
	if (now >= q->turn_ms)
		return true;
	q->next_ms = q->turn_ms;
	return false;
}

static void query_go(void *arg)
{
	struct dns_query *q = arg;
	int64_t now = clock_mono_ms();
	bool begun = q->deadline_ms && !q->waits, late = begun && now >= q->next_ms, up = begun && now >= q->deadline_ms;

	if (q->deferred) { /* its timer, or the line, was faster */
		loop_undefer(q);
		q->deferred = false;
	}
	if (q->msg) {
		finish(q, DNS_ANSWERED);
		return;
	}
	if (late)
		retire_silent(q);
	if (up && q->step <= FIRST_TCP)
		q->step = FIRST_TCP;
	else if (up || (q->step == STEPS && LIST_EMPTY(&q->attempts))) {
		finish_unanswered(q);
		return;
	}
	if (q->step < STEPS && (late || up || LIST_EMPTY(&q->attempts)) && has_turn(q, now) && !step_start(q))
		return;
	if (!q->waits)
		timer_arm(&q->timer, due(q) - now, query_due, q);
}

/* connect() of a datagram socket sends nothing, but says whether there is a way. */
static bool has_route(const struct addr *to)
{
	int fd = socket(to->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), saved;
	bool found = fd >= 0 && connect(fd, (const struct sockaddr *)&to->ss, to->len) == 0;

	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return found;
}

static void query_begin(struct dns_query *q)
{
	uint8_t question[DNS_QUESTION_MAX];

	if (dns_write_question(question, 0, q->ask.name, q->ask.type, q->ask.bits, 0) == 0) {
		finish_unable(q, DNS_BROKEN, "the question is for no possible name");
	} else if (!has_route(&q->ask.to)) {
		finish_unable(q, DNS_NO_ROUTE, strerror(errno));
	} else {
		q->step = q->ask.tcp ? FIRST_TCP : FIRST_UDP;
		q->plain = (q->ask.bits & DNS_PLAIN) || (q->host->plain_until_ms > clock_mono_ms() && !(q->ask.bits & DNS_DO));
		query_go(q);
	}
}

static void query_take_turns(void *arg)
{
	struct dns_query *q = arg;
	int64_t wait = take_turns(q);

	if (wait > 0)
		timer_arm(&q->timer, wait, query_take_turns, q);
	else
		query_begin(q);
}

static struct dns_query *real_ask(struct asker *asker, const struct dns_ask *ask, dns_answered *done, void *arg)
{
	struct real_asker *a = (struct real_asker *)asker;
	struct dns_query *q = mem_alloc(sizeof(*q));

	q->asker = a;
	q->host = dns_pool_host(&a->pool, &ask->to);
	q->host->users++;
	q->ask = *ask;
	q->ask.name = q->name = mem_strdup(ask->name);
	if (q->ask.timeout_ms <= 0)
		q->ask.timeout_ms = DNS_ASK_MS;
	if (q->ask.timeout_ms > DNS_ASK_MAX_MS)
		q->ask.timeout_ms = DNS_ASK_MAX_MS;
	q->done = done;
	q->arg = arg;
	LIST_INIT(&q->attempts);
	LIST_INSERT_HEAD(&a->queries, q, link);
	query_take_turns(q);
	return q;
}

void asker_set_limits(struct asker *asker, const struct asker_limits *limits)
{
	struct real_asker *a = (struct real_asker *)asker;

	a->limits = (struct asker_limits){
		limits && limits->per_name ? limits->per_name : PER_NAME,
		limits && limits->per_address ? limits->per_address : PER_ADDRESS,
		limits && limits->channels ? limits->channels : CHANNELS,
	};
	a->pool.cap = a->limits.channels;
	line_move(a);
}

struct asker *asker_open(const struct asker_limits *limits, struct err *err)
{
	static const struct asker_ops ops = { real_ask, real_cancel };
	struct real_asker *a;
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	if (status != ARES_SUCCESS) {
		err_set(err, ERR_LOCAL, "dns", "cannot prepare DNS questions: %s", ares_strerror(status));
		return NULL;
	}
	a = mem_alloc(sizeof(*a));
	a->asker.ops = &ops;
	a->pace = pace_new();
	dns_pool_init(&a->pool);
	LIST_INIT(&a->queries);
	TAILQ_INIT(&a->line);
	asker_set_limits(&a->asker, limits);
	return &a->asker;
}

void asker_close(struct asker *asker)
{
	struct real_asker *a = (struct real_asker *)asker;

	if (!a)
		return;
	while (!LIST_EMPTY(&a->queries))
		real_cancel(LIST_FIRST(&a->queries));
	dns_pool_end(&a->pool);
	loop_undefer(a);
	pace_free(a->pace);
	ares_library_cleanup();
	free(a);
}
