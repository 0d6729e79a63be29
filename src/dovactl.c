/* SPDX-License-Identifier: ISC */
/* dovactl: the admin's command. One verb, one call on the status socket, its replies as text or JSON. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ctl/client.h"
#include "ctl/print.h"

enum { /* of the interface */
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 69,
	EXIT_BUSY = 75,
	EXIT_DENIED = 77,
};

enum { TIMEOUT_S = 60 };

enum kind { KIND_FLAG, KIND_TEXT, KIND_SECONDS, KIND_COUNT };

/* Options that become parameters of the call. */
enum { FAILING, DUE, CA, NAME, FORCE, WAIT, REASON, LIMIT, PARAMETERS };
static const struct {
	const char *option, *parameter;
	enum kind kind;
} parameters[PARAMETERS] = {
	[FAILING] = {"failing", "failing", KIND_FLAG},
	[DUE] = {"due", "due", KIND_SECONDS},
	[CA] = {"ca", "ca", KIND_TEXT},
	[NAME] = {"name", "name", KIND_TEXT},
	[FORCE] = {"force", "force", KIND_FLAG},
	[WAIT] = {"wait", "wait", KIND_FLAG},
	[REASON] = {"reason", "reason", KIND_TEXT},
	[LIMIT] = {"limit", "limit", KIND_COUNT},
};

#define BIT(option) (1u << (option))

enum operand { OPERAND_NONE, OPERAND_MAY, OPERAND_MUST, OPERAND_CA };

static bool has_errors(const struct js *reply)
{
	return js_int(reply, "errors", 0) > 0;
}

static bool has_failing_check(const struct js *reply)
{
	const struct js *checks = js_arr(reply, "checks");

	for (size_t i = 0; i < js_len(checks); i++) {
		const char *verdict = js_str(js_obj(js_at(checks, i), "check"), "verdict");

		if (verdict && strcmp(verdict, "fail") == 0)
			return true;
	}
	return false;
}

static const struct verb {
	const char *name, *method; /* method NULL: comes in a later version */
	enum operand operand;	   /* the NAME of a certificate; OPERAND_CA: "ca NAME VERB" */
	unsigned takes;		   /* which options */
	bool more;		   /* several replies are welcome */
	bool endless;		   /* by itself */
	int limit_s;		   /* unless told otherwise; 0: for ever */
	print_reply *print;
	bool (*bad)(const struct js *reply); /* does it tell of something that makes us end with EXIT_REFUSED? NULL: never */
} verbs[] = {
	{"status", "Status", OPERAND_NONE, 0, false, false, TIMEOUT_S, print_status, NULL},
	{"list", "List", OPERAND_NONE, BIT(FAILING) | BIT(DUE) | BIT(CA) | BIT(NAME), true, false, TIMEOUT_S, print_list, NULL},
	{"show", "Show", OPERAND_MUST, 0, false, false, TIMEOUT_S, print_show, NULL},
	{"explain", "Show", OPERAND_MUST, 0, false, false, TIMEOUT_S, print_explain, NULL},
	{"check", "Check", OPERAND_MAY, 0, true, false, 0, print_check, has_failing_check},
	{"renew", "Renew", OPERAND_MUST, BIT(FORCE) | BIT(WAIT), true, false, TIMEOUT_S, print_renewal, NULL},
	{"metrics", "Metrics", OPERAND_NONE, 0, true, false, TIMEOUT_S, print_metrics, NULL},
	{"reload", "Reload", OPERAND_NONE, 0, false, false, TIMEOUT_S, print_reload, has_errors},
	{"watch", "Watch", OPERAND_MAY, 0, true, true, 0, print_watch, NULL},
	{"revoke", "Revoke", OPERAND_MUST, BIT(REASON), false, false, TIMEOUT_S, print_revoked, NULL},
	{"rollback", "Rollback", OPERAND_MUST, BIT(WAIT), true, false, TIMEOUT_S, print_renewal, NULL},
	{"history", "History", OPERAND_MAY, BIT(LIMIT), false, false, TIMEOUT_S, print_history, NULL},
	{"version", "Version", OPERAND_NONE, 0, false, false, TIMEOUT_S, print_version, NULL},
	{"instances", "ListInstances", OPERAND_CA, 0, false, false, TIMEOUT_S, print_instances, NULL},
	{"contacts", "ListContacts", OPERAND_CA, 0, false, false, TIMEOUT_S, print_contacts, NULL},
	{"companies", "ListCompanies", OPERAND_CA, 0, false, false, TIMEOUT_S, print_companies, NULL},
	{.name = "plan"},
	{.name = "account"},
	{.name = "nagios"},
};

enum { VERBS = sizeof verbs / sizeof verbs[0] };

struct command {
	const char *socket;
	bool json;
	int64_t timeout_s; /* -1: the verb's own */
	const struct verb *verb;
	unsigned given;	 /* which options */
	struct js *call; /* parameters */
};

static const char usage[] =
	"usage: dovactl [-s SOCKET] [--json] [--timeout T] VERB\n"
	"  status                          how many certificates, what is failing and why, what comes next\n"
	"  list [--failing] [--due T] [--ca NAME] [--name GLOB]\n"
	"                                  one line per certificate\n"
	"  show NAME                       everything about one\n"
	"  explain NAME                    why it stands where it stands, and what to do\n"
	"  check [NAME]                    would the next renewal work? Nothing is ordered; ends with 1 if one would fail\n"
	"  renew NAME [--force] [--wait]   now, or as soon as the CA allows\n"
	"  watch [NAME]                    events as they happen\n"
	"  history [NAME] [--limit N]      what happened, newest first\n"
	"  revoke NAME [--reason R]        at its CA, for good\n"
	"  rollback NAME [--wait]          the certificate before it, until it is renewed\n"
	"  ca NAME instances | contacts | companies\n"
	"                                  what the account has at a CA that sells certificates by the piece\n"
	"  metrics                         figures as OpenMetrics text\n"
	"  reload                          read the configuration again\n"
	"  version                         of the running daemon (dovactl -V: of this program)\n";

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line on standard error. What comes from outside is escaped by the caller. */
static void say(const char *fmt, ...)
{
	va_list ap;

	fputs("dovactl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* --- command line --- */

static bool put_parameter(struct command *c, int option, const char *value)
{
	const char *key = parameters[option].parameter;
	int64_t n;
	char *end;

	c->given |= BIT(option);
	switch (parameters[option].kind) {
	case KIND_FLAG:
		js_put_bool(c->call, key, true);
		return true;
	case KIND_TEXT:
		js_put_str(c->call, key, value);
		return true;
	case KIND_SECONDS:
		if (text_duration_parse(value, &n)) {
			js_put_int(c->call, key, n);
			return true;
		}
		break;
	case KIND_COUNT:
		errno = 0;
		n = strtoll(value, &end, 10);
		if (end != value && !*end && errno == 0 && n > 0) {
			js_put_int(c->call, key, n);
			return true;
		}
		break;
	}
	say("--%s takes %s", parameters[option].option,
		parameters[option].kind == KIND_COUNT ? "a number" : "a time such as 90s, 12h or 30d");
	return false;
}

static const struct verb *find_verb(const char *name, bool of_ca)
{
	const char *names[VERBS], *near;
	size_t n = 0;

	for (size_t i = 0; i < VERBS; i++) {
		if ((verbs[i].operand == OPERAND_CA) != of_ca)
			continue;
		names[n++] = verbs[i].name;
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	near = text_nearest(name, names, n);
	say("there is no such verb%s%s%s; dovactl --help names them", of_ca ? " of a CA" : "", near ? ": did you mean " : "", near ? near : "");
	return NULL;
}

/* Of n operands; the second of a CA's verb is the verb. */
static bool take_verb(struct command *c, char **operand, int n)
{
	bool of_ca = strcmp(operand[0], "ca") == 0;

	if (of_ca && n != 3) {
		say("ca takes the name of a CA and a verb: ca NAME instances");
		return false;
	}
	c->verb = find_verb(operand[of_ca ? 2 : 0], of_ca);
	if (!c->verb)
		return false;
	if (!c->verb->method) {
		say("%s: not in this version", c->verb->name);
		return false;
	}
	if (!of_ca && (n > (c->verb->operand == OPERAND_NONE ? 1 : 2) || (n < 2 && c->verb->operand == OPERAND_MUST))) {
		say("%s takes %s", c->verb->name, c->verb->operand == OPERAND_NONE ? "no name" : "one name");
		return false;
	}
	return true;
}

static bool take_operands(struct command *c, char **operand, int n)
{
	if (n == 0) {
		fputs(usage, stderr);
		return false;
	}
	if (!take_verb(c, operand, n))
		return false;
	for (int i = 0; i < PARAMETERS; i++)
		if (c->given & ~c->verb->takes & BIT(i)) {
			say("%s takes no --%s", c->verb->name, parameters[i].option);
			return false;
		}
	if (n > 1)
		js_put_str(c->call, c->verb->operand == OPERAND_CA ? "ca" : "name", operand[1]);
	return true;
}

static bool take_timeout(struct command *c, const char *value)
{
	if (text_duration_parse(value, &c->timeout_s) && c->timeout_s <= INT32_MAX)
		return true;
	say("--timeout takes a time such as 90s or 5m; 0s waits for ever");
	return false;
}

/* Options may stand anywhere. Returns -1 to go on, else an exit code. */
static int parse(struct command *c, int argc, char **argv)
{
	enum { OPTION_JSON = 256, OPTION_TIMEOUT, OPTION_FIRST };
	struct option options[PARAMETERS + 6] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, OPTION_JSON},
		{"timeout", required_argument, NULL, OPTION_TIMEOUT},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
	};
	int o;

	for (int i = 0; i < PARAMETERS; i++)
		options[5 + i] = (struct option){parameters[i].option,
			parameters[i].kind == KIND_FLAG ? no_argument : required_argument, NULL, OPTION_FIRST + i};
	while ((o = getopt_long(argc, argv, "s:hV", options, NULL)) != -1) {
		if (o == 's') {
			c->socket = optarg;
		} else if (o == OPTION_JSON) {
			c->json = true;
		} else if (o == OPTION_TIMEOUT) {
			if (!take_timeout(c, optarg))
				return EXIT_USAGE;
		} else if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_DONE;
		} else if (o == 'V') {
			puts("dovactl " PACKAGE_VERSION);
			return EXIT_DONE;
		} else if (o < OPTION_FIRST || !put_parameter(c, o - OPTION_FIRST, optarg)) {
			return EXIT_USAGE;
		}
	}
	return take_operands(c, argv + optind, argc - optind) ? -1 : EXIT_USAGE;
}

/* --- the call --- */

/* The limit passed after a first answer: it goes on without us. Whoever watches saw what he asked for. */
static int judge_failure(const struct command *c, const struct err *err, bool answered)
{
	bool timeout = strcmp(err->type, "timeout") == 0;

	if (timeout && answered && c->verb->endless)
		return EXIT_DONE;
	say("%s", err->detail);
	if (timeout && answered)
		return EXIT_BUSY;
	return err->errnum == EACCES ? EXIT_DENIED : EXIT_UNREACHABLE;
}

static int refused(const struct command *c, struct print *out, const struct client_reply *reply)
{
	struct print *to = print_new(stderr, false);
	int exit_code = print_failure(to, reply->error, reply->parameters);
	struct js *said;

	print_free(to);
	if (!c->json)
		return exit_code;
	said = js_object();
	js_put_str(said, "error", reply->error);
	js_put(said, "parameters", js_ref(reply->parameters));
	print_json(out, said, true);
	js_free(said);
	return exit_code;
}

static int converse(const struct command *c, struct client *client, struct print *out, struct err *err)
{
	char *method = mem_printf("org.dovad.Agent.%s", c->verb->method);
	bool sent = client_call(client, method, c->call, c->verb->more, err);
	struct client_reply reply = {.continues = true};
	bool answered = false, bad = false;

	free(method);
	if (!sent)
		return judge_failure(c, err, false);
	for (; reply.continues; answered = true) {
		if (!client_receive(client, &reply, err))
			return judge_failure(c, err, answered);
		if (reply.error)
			return refused(c, out, &reply);
		(c->json ? print_json : c->verb->print)(out, reply.parameters, !reply.continues);
		bad |= c->verb->bad && c->verb->bad(reply.parameters);
	}
	return bad ? EXIT_REFUSED : EXIT_DONE;
}

static int run(const struct command *c)
{
	int64_t timeout_s = c->timeout_s >= 0 ? c->timeout_s : c->given & BIT(WAIT) ? 0 : c->verb->limit_s;
	struct print *out = print_new(stdout, print_may_colour(stdout));
	struct err err = {0};
	struct client *client = client_open(c->socket, timeout_s * 1000, &err);
	int exit_code = client ? converse(c, client, out, &err) : judge_failure(c, &err, false);

	client_close(client);
	print_free(out);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	say("cannot write: %s", strerror(errno));
	return exit_code ? exit_code : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
	struct command c = {.socket = RUNSTATEDIR "/dovad/dovad.sock", .timeout_s = -1, .call = js_object()};
	int exit_code = parse(&c, argc, argv);

	if (exit_code < 0)
		exit_code = run(&c);
	js_free(c.call);
	return exit_code;
}
