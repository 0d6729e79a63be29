/* SPDX-License-Identifier: ISC */
/* dovad-run: one short process for one test, reload or change of a record. It is told a kind and the name of a service or dns entry; what that means it
 * reads from the root-owned configuration itself. */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/conf.h"
#include "io/child.h"
#include "io/loop.h"
#include "io/msg.h"
#include "io/systemd.h"
#include "keeper/hook.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { OPT_FD = 256 };
enum {
	REQUEST_MAX = 16384,
	OUTPUT_MAX = 256 * 1024, /* 16 KiB of a program's output, each byte escaped */
	REQUEST_MS = 10000,
};

struct runner {
	const char *main_file;
	struct conf *conf;
	struct child *child;
	const struct conf_dns *dns; /* of a hook */
	bool answered;
	struct msg *msg;
};

static void answer(struct runner *r, bool ran, const char *output, const struct err *err)
{
	struct js *v = js_object();

	js_put_bool(v, "ok", !err);
	js_put_bool(v, "ran", ran);
	js_put_str(v, "output", output);
	if (err)
		js_put(v, "error", js_from_err(err));
	msg_send(r->msg, v);
	js_free(v);
	r->answered = true;
}

/* Nothing was run. */
static void refuse(struct runner *r, const struct err *err)
{
	log_error("not done", "error", err->detail, NULL);
	answer(r, false, NULL, err);
}

static void ended(struct runner *r, const struct child_end *end, bool well, const struct err *err)
{
	r->child = NULL;
	answer(r, true, end->output, well ? NULL : err);
}

/* The user a command runs as; when there is none to become, it stays ours. */
static bool set_user(const char *of, const char *run_as, struct child_wish *wish, struct err *err)
{
	struct passwd *user;

	if (!run_as || (geteuid() == 0 && strcmp(run_as, "root") == 0))
		return true;
	user = getpwnam(run_as);
	if (!user)
		return err_set(err, ERR_INPUT, "run_as", "\"%s\": there is no user \"%s\" on this host", of, run_as);
	if (user->pw_uid == geteuid())
		return true;
	if (geteuid() != 0)
		return err_set(err, ERR_LOCAL, "run_as", "\"%s\": only root can run something as \"%s\"", of, run_as);
	wish->uid = user->pw_uid;
	wish->gid = user->pw_gid;
	wish->user = run_as;
	return true;
}

/* --- services --- */

static void test_ended(void *arg, const struct child_end *end)
{
	struct err err;
	bool well = child_judge(end, "test", "the test", &err);

	ended(arg, end, well, &err);
}

static void reload_ended(void *arg, const struct child_end *end)
{
	struct err err;
	bool well = child_judge(end, "reload", "the reload command", &err);

	ended(arg, end, well, &err);
}

static bool start_command(struct runner *r, const struct conf_service *s, const struct conf_list *list, child_done *done, struct err *err)
{
	const char **argv = mem_array(list->n + 1, sizeof(*argv));
	struct child_wish wish = { .argv = argv, .timeout_ms = s->timeout * 1000, .uid = (uid_t)-1, .gid = (gid_t)-1 };

	memcpy(argv, list->v, list->n * sizeof(*argv));
	if (set_user(s->name, s->run_as, &wish, err))
		r->child = child_start(&wish, done, r, err);
	free(argv);
	return r->child != NULL;
}

static void reload_unit(struct runner *r, const struct conf_service *s)
{
	bool was_active = false;
	struct err err;

	if (systemd_reload_unit(s->unit, s->timeout * 1000, &was_active, &err))
		answer(r, was_active, "", NULL);
	else
		answer(r, true, "", &err);
}

static void restore_unit(struct runner *r, const struct conf_service *s)
{
	bool was_active = false;
	struct err err;

	if (!systemd_restore_unit(s->unit, s->timeout * 1000, &was_active, &err)) {
		answer(r, true, "", &err);
		return;
	}
	if (!was_active)
		log_warning("the unit was down after its reload: it is started again", "service", s->name, "unit", s->unit, NULL);
	answer(r, true, "", NULL);
}

static const struct conf_service *service_of(const struct runner *r, const char *name, struct err *err)
{
	const struct conf_service *found = conf_find_service(r->conf, name);

	if (!found)
		err_set(err, ERR_INPUT, "unknown-service", "there is no good definition of service \"%s\" on the disk now: see dovad -t", name);
	return found;
}

static bool run_test(struct runner *r, const char *name, const struct js *data, struct err *err)
{
	const struct conf_service *s = service_of(r, name, err);

	(void)data;
	if (s && s->test.n)
		return start_command(r, s, &s->test, test_ended, err);
	if (s)
		answer(r, false, "", NULL);
	return s != NULL;
}

static bool reach(struct runner *r, const char *name, void (*unit)(struct runner *r, const struct conf_service *s), struct err *err)
{
	const struct conf_service *s = service_of(r, name, err);

	if (s && s->unit)
		unit(r, s);
	else if (s && s->command.n)
		return start_command(r, s, &s->command, reload_ended, err);
	else if (s)
		answer(r, false, "", NULL);
	return s != NULL;
}

static bool run_load(struct runner *r, const char *name, const struct js *data, struct err *err)
{
	(void)data;
	return reach(r, name, reload_unit, err);
}

static bool run_restore(struct runner *r, const char *name, const struct js *data, struct err *err)
{
	(void)data;
	return reach(r, name, restore_unit, err);
}

/* --- records --- */

static void hook_ended(void *arg, const struct child_end *end)
{
	struct runner *r = arg;
	struct err err;
	bool well = hook_judge(end, r->dns, &err);

	ended(r, end, well, &err);
}

static bool run_hook(struct runner *r, const char *name, const struct js *data, struct err *err)
{
	struct child_wish wish = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	struct hook_call call;
	struct hook h;

	r->dns = conf_find_dns(r->conf, name);
	if (!r->dns)
		return err_set(err, ERR_INPUT, "unknown-dns", "there is no good definition of dns \"%s\" on the disk now: see dovad -t", name);
	if (!hook_read(r->dns, data, &call, err))
		return false;
	if (!set_user(r->dns->name, !r->dns->run_as && geteuid() == 0 ? "nobody" : r->dns->run_as, &wish, err))
		return false;
	if (hook_prepare(&h, r->conf, r->dns, &call, err)) {
		wish.argv = h.argv;
		wish.env = (const char *const *)h.env;
		wish.keep = h.secrets;
		wish.nkeep = h.nsecrets;
		wish.timeout_ms = r->dns->command_timeout * 1000;
		r->child = child_start(&wish, hook_ended, r, err);
	}
	hook_free(&h);
	return r->child != NULL;
}

/* --- requests --- */

static const struct what {
	const char *kind;
	/* Starts it, or answers. false: neither, and *err says why. */
	bool (*run)(struct runner *r, const char *name, const struct js *data, struct err *err);
} whats[] = { { "test", run_test }, { "load", run_load }, { "restore", run_restore }, { "hook", run_hook } };

static const struct what *find_what(const char *kind)
{
	for (size_t i = 0; kind && i < sizeof(whats) / sizeof(whats[0]); i++)
		if (strcmp(whats[i].kind, kind) == 0)
			return &whats[i];
	return NULL;
}

/* What is on the disk now, not what the keeper accepted some time ago: a broken definition stops reloads, an old command never runs. */
static bool read_conf(struct runner *r, struct err *err)
{
	struct conf_set set;

	conf_read(r->main_file, &set);
	r->conf = conf_build(set.v, set.n, set.unread, set.nunread);
	conf_set_free(&set);
	return r->conf->usable || err_set(err, ERR_INPUT, "conf", "%s cannot be used now, so nothing is run: see dovad -t", r->main_file);
}

/* Only root, we and the keeper have a say, whoever gave them the socket. */
static bool check_peer(const struct runner *r, struct err *err)
{
	uid_t uid = msg_peer(r->msg)->uid;
	struct passwd *keeper = getpwnam(r->conf->settings.keeper_user);

	return uid == 0 || uid == geteuid() || (keeper && keeper->pw_uid == uid) ||
		err_set(err, ERR_DENIED, "peer", "a request of uid %lu", (unsigned long)uid);
}

static void got(void *arg, struct msg *m, struct js *v)
{
	struct runner *r = arg;
	const struct what *what = find_what(js_str(v, "kind"));
	const char *name = js_str(v, "name");
	bool ok;
	struct err err;

	(void)m;
	if (what && name)
		ok = read_conf(r, &err) && check_peer(r, &err) && what->run(r, name, js_obj(v, "data"), &err);
	else
		ok = err_set(&err, ERR_INPUT, "call", "a request has a kind, test, load, restore or hook, and a name");
	if (!ok)
		refuse(r, &err);
}

/* Nobody is interested any more. */
static void closed(void *arg, struct msg *m, const struct err *err)
{
	struct runner *r = arg;

	(void)m, (void)err;
	r->msg = NULL;
	loop_stop();
}

static void drained(void *arg, struct msg *m)
{
	(void)m;
	if (((struct runner *)arg)->answered)
		loop_stop();
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

static int serve(struct runner *r, int fd)
{
	static const struct msg_limits limits = { .message = REQUEST_MAX, .output = OUTPUT_MAX, .partial_ms = REQUEST_MS, .write_ms = REQUEST_MS };
	static const struct msg_ops ops = { .got = got, .closed = closed, .drained = drained, .ordered = true }; /* one request only */
	struct err err;

	if (!loop_open(&err) || !loop_signal(SIGTERM, stop, NULL, &err) || !loop_signal(SIGINT, stop, NULL, &err) ||
		!(r->msg = msg_open(fd, &limits, &ops, r, &err))) {
		log_error("cannot work", "error", err.detail, NULL);
		return EXIT_FAILED;
	}
	loop_run();
	child_cancel(r->child);
	msg_close(r->msg);
	conf_free(r->conf);
	loop_turn(false);
	loop_close();
	return r->answered ? 0 : EXIT_FAILED;
}

static int usage(FILE *to, int code)
{
	fputs("usage: dovad-run [-c FILE] [--fd N]\nStarted by the service manager or by dovad; see dovad-run(8).\n", to);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "fd", required_argument, NULL, OPT_FD }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 },
	};
	const struct rlimit none = { 0, 0 };
	struct runner r = { .main_file = SYSCONFDIR "/dovad/dovad.conf" };
	int c, fd = STDIN_FILENO;

	while ((c = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1)
		switch (c) {
		case 'c': r.main_file = optarg; break;
		case OPT_FD: fd = atoi(optarg); break;
		case 'V': puts("dovad-run " PACKAGE_VERSION); return 0;
		case 'h': return usage(stdout, 0);
		default: return usage(stderr, EXIT_USAGE);
		}
	if (optind < argc)
		return usage(stderr, EXIT_USAGE);
	log_open("dovad-run", LOG_LEVEL_INFO);
	umask(077);
	setrlimit(RLIMIT_CORE, &none);
	return serve(&r, fd);
}
