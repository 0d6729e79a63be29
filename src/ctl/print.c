/* SPDX-License-Identifier: ISC */
#include "ctl/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/print_cells.h"

struct print *print_new(FILE *out, bool colour)
{
	struct print *p = mem_alloc(sizeof *p);

	p->out = out;
	p->colour = colour;
	p->arena = arena_new();
	p->began_ms = clock_mono_ms();
	return p;
}

void print_free(struct print *p)
{
	if (!p)
		return;
	arena_free(p->arena);
	free(p);
}

bool print_may_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

/* Lines for a program to read; what a terminal would obey does not belong into any. */
void print_metrics(struct print *p, const struct js *reply, bool last)
{
	const char *text = js_str(reply, "text");

	(void)last;
	for (; text && *text; text++)
		if (*text == '\n' || (unsigned char)*text >= ' ')
			fputc(*text, p->out);
	cells_end(p);
}

void print_json(struct print *p, const struct js *reply, bool last)
{
	char *text = js_dump(reply);

	(void)last;
	fprintf(p->out, "%s\n", text);
	free(text);
	cells_end(p);
}

/* --- events --- */

/* What an event says besides its name, in the order it came: key=value. */
static void print_extras(struct print *p, const struct js *event)
{
	static const char *const told[] = {"at", "cert", "event", "kind", "type", "detail", "during", "status"};

	for (void *i = js_first(event); i; i = js_next(event, i)) {
		const struct js *v = js_value(i);
		bool skip = !js_text(v) && !js_is_int(v) && !js_is_bool(v);
		char *text;

		for (size_t k = 0; k < sizeof told / sizeof told[0]; k++)
			skip = skip || strcmp(told[k], js_key(i)) == 0;
		if (skip)
			continue;
		text = js_text(v) ? mem_strdup(js_text(v)) : js_dump(v);
		fprintf(p->out, "  %s=%s", cells_safe(p, js_key(i)), cells_safe(p, text));
		free(text);
	}
	if (js_str(event, "detail"))
		fprintf(p->out, "  %s", cells_reason(p, event));
	fputc('\n', p->out);
}

static void print_event(struct print *p, const struct js *event)
{
	fprintf(p->out, "%s  ", cells_text(p, event, "at"));
	if (js_str(event, "cert"))
		fprintf(p->out, "%s  ", cells_text(p, event, "cert"));
	cells_paint(p, BOLD, "%s", cells_text(p, event, "event"));
	print_extras(p, event);
}

void print_watch(struct print *p, const struct js *reply, bool last)
{
	const struct js *event = js_obj(reply, "event");

	(void)last;
	cells_rows(p, js_arr(reply, "certificates"));
	if (event)
		print_event(p, event);
	cells_end(p);
}

void print_history(struct print *p, const struct js *reply, bool last)
{
	const struct js *events = js_arr(reply, "events");

	(void)last;
	for (size_t i = 0; i < js_len(events); i++)
		print_event(p, js_at(events, i));
	cells_end(p);
}

/* Without --wait one reply, the last, is all: it is under way. With it, each step is a line with the time that passed.
 */
void print_renewal(struct print *p, const struct js *reply, bool last)
{
	const struct js *cert = js_obj(reply, "certificate"), *event = js_obj(reply, "event");
	bool waited = !last || p->replies > 0;

	if (waited)
		fprintf(p->out, "%7.1fs  ", (double)(clock_mono_ms() - p->began_ms) / 1000);
	if (event) {
		cells_paint(p, BOLD, "%s", cells_text(p, event, "event"));
		print_extras(p, event);
	} else if (!waited) {
		fprintf(p->out, "%s: on its way (%s)\n", cells_text(p, cert, "name"), cells_text(p, cert, "state"));
	} else if (last) {
		cells_paint(p, GREEN, "%s: valid until %s", cells_text(p, cert, "name"),
			cells_moment(p, cert, "not_after"));
		fputc('\n', p->out);
	} else {
		fprintf(p->out, "%s: ", cells_text(p, cert, "name"));
		cells_state(p, cert, 0);
		if (!cells_is_under_way(cert))
			fprintf(p->out, ", %s", cells_next_step(p, cert));
		fputc('\n', p->out);
	}
	cells_end(p);
}

/* --- the rest --- */

void print_reload(struct print *p, const struct js *reply, bool last)
{
	const struct js *problems = js_arr(reply, "problems"), *aside = js_arr(reply, "quarantined");
	int64_t errors = js_int(reply, "errors", 0), warnings = js_int(reply, "warnings", 0);

	(void)last;
	for (size_t i = 0; i < js_len(problems); i++)
		cells_problem(p, js_at(problems, i));
	if (errors + warnings > (int64_t)js_len(problems))
		fprintf(p->out, "and %" PRId64 " more\n", errors + warnings - (int64_t)js_len(problems));
	for (size_t i = 0; i < js_len(aside); i++)
		fprintf(p->out, "set aside: %s\n", cells_safe(p, js_str_at(aside, i)));
	fprintf(p->out, "The configuration %s: %s, %s.\n",
		js_bool(reply, "changed", false) ? "has changed" : "is what it was", cells_count(p, errors, "error"),
		cells_count(p, warnings, "warning"));
	cells_end(p);
}

void print_revoked(struct print *p, const struct js *reply, bool last)
{
	(void)last;
	fprintf(p->out, "%s: revoked\n", cells_text(p, js_obj(reply, "certificate"), "name"));
	cells_end(p);
}

void print_version(struct print *p, const struct js *reply, bool last)
{
	(void)last;
	fprintf(p->out, "dovad %s, started %s\n", cells_text(p, reply, "version"), cells_moment(p, reply, "since"));
	cells_end(p);
}

/* --- failures --- */

#define AGENT "org.dovad.Agent."
#define SERVICE "org.varlink.service."

static void say_failed(struct print *p, const struct js *details)
{
	const struct js *subs = js_arr(details, "subproblems");

	fputs(cells_reason(p, details), p->out);
	for (size_t i = 0; i < js_len(subs); i++)
		fprintf(p->out, "\n  %s: %s", cells_text(p, js_at(subs, i), "identifier"),
			cells_reason(p, js_at(subs, i)));
}

static void say_unknown(struct print *p, const struct js *details)
{
	fprintf(p->out, "no certificate is named %s", cells_text(p, details, "name"));
}

static void say_not_due(struct print *p, const struct js *details)
{
	fprintf(p->out, "%s is not due before %s; --force renews it all the same", cells_text(p, details, "name"),
		cells_moment(p, details, "renews_at"));
}

static void say_busy(struct print *p, const struct js *details)
{
	(void)details;
	fputs("the same is under way already; try again", p->out);
}

static void say_denied(struct print *p, const struct js *details)
{
	(void)details;
	fputs("not permitted: reading is for members of the groups dovad and dovad-admin, changing for root and "
	      "dovad-admin",
		p->out);
}

static void say_invalid(struct print *p, const struct js *details)
{
	fprintf(p->out, "the daemon does not take this value: %s", cells_text(p, details, "parameter"));
}

static void say_other_version(struct print *p, const struct js *details)
{
	(void)details;
	fputs("the running daemon does not know this verb; is it of another version?", p->out);
}

int print_failure(struct print *p, const char *error, const struct js *details)
{
	static const struct {
		const char *error;
		int exit_code;
		void (*say)(struct print *p, const struct js *details);
	} failures[] = {
		{AGENT "NoSuchCertificate", 3, say_unknown},
		{AGENT "NotDue", 1, say_not_due},
		{AGENT "Failed", 1, say_failed},
		{AGENT "Busy", 75, say_busy},
		{SERVICE "PermissionDenied", 77, say_denied},
		{SERVICE "InvalidParameter", 2, say_invalid},
		{SERVICE "MethodNotFound", 1, say_other_version},
		{SERVICE "MethodNotImplemented", 1, say_other_version},
		{SERVICE "InterfaceNotFound", 1, say_other_version},
	};
	int exit_code = 1;
	size_t i = 0;

	while (i < sizeof failures / sizeof failures[0] && strcmp(failures[i].error, error) != 0)
		i++;
	fputs("dovactl: ", p->out);
	if (i < sizeof failures / sizeof failures[0]) {
		failures[i].say(p, details);
		exit_code = failures[i].exit_code;
	} else {
		fprintf(p->out, "the daemon answered %s", cells_safe(p, error));
	}
	fputc('\n', p->out);
	cells_end(p);
	return exit_code;
}
