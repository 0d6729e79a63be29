/* SPDX-License-Identifier: ISC */
#include "keeper/haproxy_talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"
#include "keeper/haproxy_cli.h"
#include "keeper/haproxy_files.h"

enum step { LIST, OPEN, TIDY, DETAILS, ROOM, CHECK, PUT, BACK };

struct haproxy_talk {
	struct conf *conf;
	const struct conf_service *service;
	const struct install *install;
	struct js *certs;
	bool restore;
	haproxy_talk_done *done;
	void *arg;
	struct timer limit, reading;
	struct arena *arena;
	struct haproxy_cli *cli;
	struct haproxy_files *files;
	struct haproxy_list list;
	struct haproxy_item *item;
	size_t nitem;
	struct haproxy_item **differ; /* those that differ */
	size_t ndiffer, nput, nback;  /* ... that were committed, and brought back */
	size_t room; /* a command is shorter */
	bool open_is_ours, set_well;
	enum step step;
	size_t count, asked, heard; /* of this step: in all, sent, answered in full ... */
	unsigned nth;               /* ... and answers to the one after those */
	bool halted;                /* nothing more is to be sent */
	struct err err;             /* the first refusal, or why it cannot be reached */
	bool is_down;
};

/* --- the end --- */

void haproxy_talk_cancel(struct haproxy_talk *t)
{
	if (!t)
		return;
	timer_disarm(&t->limit);
	timer_disarm(&t->reading);
	loop_undefer(t);
	haproxy_cli_close(t->cli);
	haproxy_files_free(t->files);
	arena_free(t->arena);
	js_free(t->certs);
	conf_free(t->conf);
	free(t);
}

static void end(struct haproxy_talk *t, enum haproxy_end how, const char *output)
{
	haproxy_talk_done *done = t->done;
	void *arg = t->arg;
	struct err err;

	/* What is told comes from memory of ours. */
	if (how != HAPROXY_DONE)
		err_set(&err, t->err.kind, "haproxy", "HAProxy at %s: %s", t->service->haproxy, t->err.detail);
	haproxy_talk_cancel(t);
	done(arg, how, output, how == HAPROXY_DONE ? NULL : &err);
}

static void end_unreached(void *arg)
{
	struct haproxy_talk *t = arg;

	end(t, t->is_down ? HAPROXY_DOWN : HAPROXY_FAILED, NULL);
}

static void fail(struct haproxy_talk *t, enum err_kind kind, const char *why)
{
	err_set(&t->err, kind, "haproxy", "%s", why);
	end(t, HAPROXY_FAILED, NULL);
}

/* The first refusal is the one that is told. */
static void refuse(struct haproxy_talk *t, const struct err *why)
{
	if (t->err.kind == ERR_NONE)
		t->err = *why;
	else
		log_warning("HAProxy refused another one", "service", t->service->name, "error", why->detail, NULL);
	if (t->step != BACK && !(t->step == PUT && t->restore))
		t->halted = true;
}

/* It says no more: how far it came is all that can be told. */
static void broke_off(struct haproxy_talk *t, enum err_kind kind, const char *why)
{
	static const char *const doing[] = {
		[LIST] = "show ssl cert", [OPEN] = "show ssl cert", [TIDY] = "abort ssl cert", [DETAILS] = "show ssl cert", [ROOM] = "show pools match buffer",
		[CHECK] = "set ssl cert ", [PUT] = "set ssl cert ", [BACK] = "set ssl cert ",
	};
	bool setting = t->step >= CHECK;
	char *told = mem_printf("%s%s%s, at \"%s%s\"", t->err.detail, t->err.kind == ERR_NONE ? "" : "; then ", why, doing[t->step],
		setting && t->heard < t->count ? t->differ[t->heard]->name : "");
	char *more = setting ? mem_printf("%s; %zu of %zu files were replaced", told, t->nput - t->nback, t->ndiffer) : mem_strdup(told);

	fail(t, kind, more);
	free(told);
	free(more);
}

static void too_late(void *arg)
{
	struct haproxy_talk *t = arg;
	char *why = mem_printf("no answer in %lld s", (long long)t->service->timeout);

	broke_off(t, ERR_LOCAL, why);
	free(why);
}

static void closed(void *arg, const struct err *err)
{
	broke_off(arg, ERR_LOCAL, err->detail);
}

/* --- what is said --- */

/* About a certificate; name NULL: the verb is the whole command. */
static void say(struct haproxy_talk *t, const char *verb, const char *mark, const char *name)
{
	struct buf command;

	buf_init(&command, 0);
	if (!(name ? haproxy_say_command(&command, verb, mark, name) : buf_puts(&command, verb)) || !buf_puts(&command, "\n"))
		abort(); /* no cap */
	haproxy_cli_send(t->cli, &command);
	buf_free(&command);
}

/* At one that is too long HAProxy hangs up, at some lengths it waits for ever, and at some others 2.6 crashes. */
static bool say_set(struct haproxy_talk *t, const struct haproxy_item *item, const char *sha1, struct err *err)
{
	struct buf command;
	bool ok;

	buf_init(&command, 0);
	ok = haproxy_files_set(t->files, item, sha1, &command, err);
	if (ok && command.len >= t->room)
		ok = err_set(err, ERR_LOCAL, "haproxy", "the command that replaces %s has %zu bytes, and HAProxy takes less than tune.bufsize, %zu: set that to %zu in "
			"its global section and restart it", item->name, command.len, t->room, (command.len / t->room + 1) * t->room);
	if (ok)
		haproxy_cli_send(t->cli, &command);
	buf_wipe(&command);
	return ok;
}

/* Sent at once: a commit of what was not set is refused, and an abort of what was committed. */
static bool say_put(struct haproxy_talk *t, const struct haproxy_item *item, const char *sha1, struct err *err)
{
	if (!say_set(t, item, sha1, err))
		return false;
	say(t, "commit", "", item->name);
	say(t, "abort", "", item->name);
	return true;
}

static void enter(struct haproxy_talk *t, enum step step, size_t count);

/* --- what is loaded --- */

static bool list_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	(void)i, (void)err;
	say(t, "show ssl cert", NULL, NULL);
	return true;
}

static void list_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	struct err err;

	(void)i;
	if (haproxy_say_list(text, t->arena, &t->list, &err))
		t->item = haproxy_files_match(t->files, &t->list, &t->nitem);
	else
		refuse(t, &err);
}

static bool tell_missing(struct haproxy_talk *t)
{
	for (size_t i = 0; i < js_len(t->certs); i++) {
		const char *name = js_str_at(t->certs, i), *path = name ? haproxy_files_missing(t->files, name) : NULL;

		if (path)
			return err_set(&t->err, ERR_LOCAL, "haproxy", "it has loaded no file of certificate %s: name %s in a bind line or a crt-list and reload "
				"HAProxy once, or give service %s a unit, which is then reloaded for such ones", name, path, t->service->name);
	}
	return true;
}

static void list_ended(struct haproxy_talk *t)
{
	if (t->halted)
		end(t, HAPROXY_FAILED, NULL);
	else if (!tell_missing(t))
		end(t, HAPROXY_MISSING, NULL);
	else if (t->list.open)
		enter(t, OPEN, 1);
	else
		enter(t, DETAILS, t->nitem);
}

/* --- a transaction that was left open --- */

static bool open_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	(void)i, (void)err;
	say(t, "show", "*", t->list.open);
	return true;
}

static void open_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	char *name = mem_printf("*%s", t->list.open);
	struct haproxy_print print;
	struct bundle b;

	(void)i;
	if (haproxy_say_cert(text, name, &print, NULL))
		for (size_t k = 0; k < t->nitem && !t->open_is_ours; k++) {
			bundle_init(&b);
			t->open_is_ours = strcmp(t->item[k].name, t->list.open) == 0 && install_load(t->install, t->item[k].cert, print.sha1, &b, NULL);
			bundle_wipe(&b);
		}
	free(name);
}

static void open_ended(struct haproxy_talk *t)
{
	char *why;

	if (t->open_is_ours) {
		enter(t, TIDY, 1);
		return;
	}
	why = mem_printf("somebody else's transaction for %s is open there, and it can have one only: end it by \"commit ssl cert %s\" or \"abort ssl cert %s\"",
		t->list.open, t->list.open, t->list.open);
	fail(t, ERR_TEMP, why);
	free(why);
}

static bool tidy_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	(void)i, (void)err;
	say(t, "abort", "", t->list.open);
	return true;
}

static void tidy_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	struct err err;

	(void)i;
	if (!haproxy_say_abort(text, t->list.open, &err))
		refuse(t, &err);
}

static void tidy_ended(struct haproxy_talk *t)
{
	if (t->halted)
		end(t, HAPROXY_FAILED, NULL);
	else
		enter(t, DETAILS, t->nitem);
}

/* --- what differs --- */

static bool details_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	(void)err;
	say(t, "show", "", t->item[i].name);
	return true;
}

static void details_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	struct haproxy_item *item = &t->item[i];
	struct err err;

	if (!haproxy_say_cert(text, item->name, &item->theirs, &err))
		refuse(t, &err);
	else if (strcmp(item->theirs.sha1, item->ours.sha1) != 0 || item->theirs.chain != item->ours.chain)
		t->differ[t->ndiffer++] = item;
}

static void details_ended(struct haproxy_talk *t)
{
	if (t->halted)
		end(t, HAPROXY_FAILED, NULL);
	else if (t->ndiffer == 0)
		end(t, HAPROXY_DONE, "HAProxy has what is installed");
	else
		enter(t, ROOM, 1);
}

/* --- how long may a command be? --- */

static bool room_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	(void)i, (void)err;
	say(t, "show pools match buffer", NULL, NULL);
	return true;
}

static void room_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	(void)i;
	t->room = haproxy_say_room(text);
}

static void room_ended(struct haproxy_talk *t)
{
	enter(t, t->ndiffer == 1 || t->restore ? PUT : CHECK, t->ndiffer);
}

/* --- would it take them all? --- */

static bool check_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	if (!say_set(t, t->differ[i], NULL, err))
		return false;
	say(t, "abort", "", t->differ[i]->name);
	return true;
}

static void check_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	const char *name = t->differ[i]->name;
	struct err err;

	if (t->nth == 0)
		t->set_well = haproxy_say_set(text, name, &err);
	if (!t->set_well ? t->nth == 0 : t->nth == 1 && !haproxy_say_abort(text, name, &err))
		refuse(t, &err);
}

static void check_ended(struct haproxy_talk *t)
{
	char *told;

	if (!t->halted) {
		enter(t, PUT, t->ndiffer);
		return;
	}
	told = mem_printf("%s; nothing was changed", t->err.detail);
	fail(t, t->err.kind, told);
	free(told);
}

/* --- each is replaced --- */

static bool put_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	return say_put(t, t->differ[i], NULL, err);
}

/* true once: it is committed. */
static bool hear_put(struct haproxy_talk *t, size_t i, const char *text)
{
	const char *name = t->differ[i]->name;
	struct err err;

	if (t->nth == 0) {
		t->set_well = haproxy_say_set(text, name, &err);
		if (!t->set_well)
			refuse(t, &err);
	} else if (t->nth == 1 && t->set_well) {
		if (haproxy_say_commit(text, name, &err))
			return true;
		refuse(t, &err);
	}
	return false;
}

static void put_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	if (!hear_put(t, i, text))
		return;
	t->nput++;
	log_notice("certificate replaced in HAProxy", "cert", t->differ[i]->cert, "service", t->service->name, "file", t->differ[i]->name, NULL);
}

static void put_ended(struct haproxy_talk *t)
{
	char *told;

	if (t->err.kind == ERR_NONE) {
		told = mem_printf("%zu files replaced in HAProxy", t->nput);
		end(t, HAPROXY_DONE, told);
		free(told);
	} else if (t->restore) {
		end(t, HAPROXY_FAILED, NULL);
	} else {
		enter(t, BACK, t->nput);
	}
}

/* --- the way back: it ended at the first refusal, so the first so many were committed --- */

static bool back_ask(struct haproxy_talk *t, size_t i, struct err *err)
{
	return say_put(t, t->differ[i], t->differ[i]->theirs.sha1, err);
}

static void back_hear(struct haproxy_talk *t, size_t i, const char *text)
{
	if (!hear_put(t, i, text))
		return;
	t->nback++;
	t->differ[i]->back = true;
	log_notice("previous certificate put back in HAProxy", "cert", t->differ[i]->cert, "service", t->service->name, "file", t->differ[i]->name, NULL);
}

static void back_ended(struct haproxy_talk *t)
{
	const struct haproxy_item *left = NULL;
	char *told;

	for (size_t i = 0; i < t->nput && !left; i++)
		if (!t->differ[i]->back)
			left = t->differ[i];
	if (left)
		told = mem_printf("%s; %zu of the %zu files replaced before could not be put back, %s first", t->err.detail, t->nput - t->nback, t->nput, left->name);
	else
		told = mem_printf("%s; what was replaced before it is put back", t->err.detail);
	fail(t, t->err.kind, told);
	free(told);
}

/* --- the steps --- */

static const struct {
	size_t window;    /* asked ahead of answers */
	unsigned replies; /* to each */
	bool (*ask)(struct haproxy_talk *t, size_t i, struct err *err);
	void (*hear)(struct haproxy_talk *t, size_t i, const char *text);
	void (*ended)(struct haproxy_talk *t);
} steps[] = {
	[LIST] = { 1, 1, list_ask, list_hear, list_ended },
	[OPEN] = { 1, 1, open_ask, open_hear, open_ended },
	[TIDY] = { 1, 1, tidy_ask, tidy_hear, tidy_ended },
	[DETAILS] = { 64, 1, details_ask, details_hear, details_ended },
	[ROOM] = { 1, 1, room_ask, room_hear, room_ended },
	[CHECK] = { 8, 2, check_ask, check_hear, check_ended },
	[PUT] = { 1, 3, put_ask, put_hear, put_ended },
	[BACK] = { 1, 3, back_ask, back_hear, back_ended },
};

/* What cannot be sent counts as answered; where that does not halt, it is one at a time. */
static void go_on(struct haproxy_talk *t)
{
	struct err err;

	while (!t->halted && t->asked < t->count && t->asked - t->heard < steps[t->step].window) {
		if (!steps[t->step].ask(t, t->asked, &err)) {
			refuse(t, &err);
			t->heard += !t->halted;
			t->asked += !t->halted;
			continue;
		}
		t->asked++;
	}
	if (t->heard == t->asked && (t->halted || t->asked == t->count))
		steps[t->step].ended(t);
}

static void enter(struct haproxy_talk *t, enum step step, size_t count)
{
	t->step = step;
	t->count = count;
	t->asked = t->heard = t->nth = 0;
	t->halted = false;
	if (step == DETAILS)
		t->differ = arena_array(t->arena, count + 1, sizeof(struct haproxy_item *));
	go_on(t);
}

static void answered(void *arg, const char *text)
{
	struct haproxy_talk *t = arg;

	if (t->heard == t->asked) {
		fail(t, ERR_LOCAL, "it answers what was not asked");
		return;
	}
	steps[t->step].hear(t, t->heard, text);
	if (++t->nth == steps[t->step].replies) {
		t->nth = 0;
		t->heard++;
	}
	go_on(t);
}

/* A thousand files are not read in one go. */
static void read_files(void *arg)
{
	struct haproxy_talk *t = arg;

	if (haproxy_files_read(t->files))
		timer_arm(&t->reading, 0, read_files, t);
	else
		enter(t, LIST, 1);
}

struct haproxy_talk *haproxy_talk_start(const struct install *install, const struct haproxy_wish *wish, haproxy_talk_done *done, void *arg)
{
	static const struct haproxy_cli_ops ops = { answered, closed };
	struct haproxy_talk *t = mem_alloc(sizeof(*t));

	*t = (struct haproxy_talk){ .conf = conf_ref((struct conf *)wish->conf), .service = wish->service, .install = install, .restore = wish->restore,
		.certs = js_ref((struct js *)wish->certs), .done = done, .arg = arg, .arena = arena_new() };
	t->files = haproxy_files_new(install, t->conf, t->service->name);
	t->cli = haproxy_cli_open(t->service->haproxy, &ops, t, &t->err);
	if (t->cli) {
		timer_arm(&t->limit, t->service->timeout * 1000, too_late, t);
		timer_arm(&t->reading, 0, read_files, t);
	} else {
		t->is_down = t->err.errnum == ENOENT || t->err.errnum == ECONNREFUSED;
		loop_defer(end_unreached, t);
	}
	return t;
}
