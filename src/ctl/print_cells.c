/* SPDX-License-Identifier: ISC */
#include "ctl/print_cells.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { NAME_WIDTH = 63 }; /* of the widest column; longer names push the rest aside */

/* --- cells: texts that are safe to print, of the arena --- */

const char *cells_safe(struct print *p, const char *s)
{
	size_t room;
	char *out;

	if (!s)
		return "-";
	room = 4 * strlen(s) + 1; /* a byte becomes at most \xHH, two of them at most \u{HHHH} */
	out = arena_alloc(p->arena, room);
	return text_escape(s, strlen(s), out, room);
}

const char *cells_text(struct print *p, const struct js *v, const char *key)
{
	return cells_safe(p, js_str(v, key));
}

const char *cells_distance(struct print *p, const char *stamp)
{
	int64_t at, left;
	char span[48];

	if (!stamp || !text_time_parse(stamp, &at))
		return "-";
	left = at - clock_now();
	if (left == 0)
		return "now";
	text_duration_format(left < 0 ? -left : left, span, sizeof span);
	return left < 0 ? arena_printf(p->arena, "%s ago", span) : arena_printf(p->arena, "in %s", span);
}

const char *cells_moment(struct print *p, const struct js *v, const char *key)
{
	const char *stamp = js_str(v, key);

	return stamp ? arena_printf(p->arena, "%s (%s)", cells_safe(p, stamp), cells_distance(p, stamp)) : "-";
}

bool cells_is_due(const struct js *cert)
{
	const char *stamp = js_str(cert, "next_at");
	int64_t at;

	return stamp && text_time_parse(stamp, &at) && at <= clock_now();
}

const char *cells_next_step(struct print *p, const struct js *cert)
{
	const char *step = js_str(cert, "next_step"), *at = js_str(cert, "next_at");

	if (!step && !at)
		return "-";
	return at ? arena_printf(p->arena, "%s %s", step ? cells_safe(p, step) : "next", cells_is_due(cert) ? "now" : cells_distance(p, at))
		  : cells_safe(p, step);
}

const char *cells_reason(struct print *p, const struct js *failure)
{
	const char *during = js_str(failure, "during"), *detail = js_str(failure, "detail"),
		   *type = js_str(failure, "type");
	int64_t status = js_int(failure, "status", 0);
	const char *http = status ? arena_printf(p->arena, ", HTTP %" PRId64, status) : "";

	return arena_printf(p->arena, "%s%s%s (%s%s)", during ? cells_safe(p, during) : "", during ? ": " : "",
		detail ? cells_safe(p, detail) : "no detail",
		type ? cells_safe(p, type) : cells_text(p, failure, "kind"), http);
}

const char *cells_proof(struct print *p, const struct js *proof)
{
	const char *method = js_str(proof, "method");

	return arena_printf(p->arena, "%s%s%s%s", js_bool(proof, "wildcard", false) ? "*." : "", cells_text(p, proof, "name"), method ? " by " : "",
		method ? cells_safe(p, method) : "");
}

const char *cells_target(struct print *p, const struct js *target)
{
	const char *what = js_bool(target, "ok", false) ? "serves this certificate"
			   : js_str(target, "text")	? cells_text(p, target, "text")
							: "not seen yet";

	const char *until = !js_bool(target, "ok", false) && js_str(target, "not_after")
				    ? arena_printf(p->arena, "; that one ends %s", cells_moment(p, target, "not_after"))
				    : "";

	return arena_printf(p->arena, "%s %s: %s%s", cells_text(p, target, "service"), cells_text(p, target, "address"), what, until);
}

/* Why it is not as it should be: the last failure or else the first service that serves something else. */
const char *cells_trouble(struct print *p, const struct js *cert)
{
	const struct js *failure = js_obj(cert, "last_error"), *targets = js_arr(cert, "targets");

	for (size_t i = 0; !failure && i < js_len(targets); i++)
		if (!js_bool(js_at(targets, i), "ok", false))
			return cells_target(p, js_at(targets, i));
	return failure ? cells_reason(p, failure) : "no reason given";
}

const char *cells_count(struct print *p, int64_t n, const char *what)
{
	return arena_printf(p->arena, "%" PRId64 " %s%s", n, what, n == 1 ? "" : "s");
}

const char *cells_span(struct print *p, int64_t ms)
{
	char span[48];

	if (ms < 60000)
		return arena_printf(p->arena, "%.*f s", ms < 1000 ? 2 : 1, (double)ms / 1000);
	return arena_printf(p->arena, "%s", text_duration_format(ms / 1000, span, sizeof span));
}

/* --- lines --- */

void cells_paint(struct print *p, const char *colour, const char *fmt, ...)
{
	va_list ap;

	if (p->colour)
		fprintf(p->out, "\033[%sm", colour);
	va_start(ap, fmt);
	vfprintf(p->out, fmt, ap);
	va_end(ap);
	if (p->colour)
		fputs("\033[0m", p->out);
}

void cells_label(struct print *p, const char *label)
{
	cells_paint(p, DIM, "  %-12s ", label);
}

void cells_failure(struct print *p, const struct js *failure)
{
	const struct js *subs = js_arr(failure, "subproblems");

	fprintf(p->out, "%s\n", cells_reason(p, failure));
	for (size_t i = 0; i < js_len(subs); i++) {
		cells_label(p, "");
		fprintf(p->out, "%s: %s\n", cells_text(p, js_at(subs, i), "identifier"), cells_reason(p, js_at(subs, i)));
	}
	if (js_str(failure, "at")) {
		cells_label(p, "");
		fprintf(p->out, "at %s\n", cells_moment(p, failure, "at"));
	}
}

/* NULL: something is under way. */
static const char *resting_colour(const char *state)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {
		{"waiting", GREEN},
		{"stale", YELLOW},
		{"failed", RED},
		{"held", RED},
		{"disabled", DIM},
	};

	for (size_t i = 0; state && i < sizeof colours / sizeof colours[0]; i++)
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	return NULL;
}

bool cells_is_under_way(const struct js *cert)
{
	return !resting_colour(js_str(cert, "state"));
}

void cells_state(struct print *p, const struct js *cert, int width)
{
	const char *resting = resting_colour(js_str(cert, "state"));

	cells_paint(p, resting ? resting : CYAN, "%-*s", width, cells_text(p, cert, "state"));
}

void cells_widen(struct print *p, const struct js *certs)
{
	for (size_t i = 0; i < js_len(certs); i++) {
		int len = (int)strnlen(cells_text(p, js_at(certs, i), "name"), NAME_WIDTH);

		if (len > p->width)
			p->width = len;
	}
}

static void print_row(struct print *p, const struct js *cert)
{
	fprintf(p->out, "%-*s  ", p->width, cells_text(p, cert, "name"));
	cells_state(p, cert, STATE_WIDTH);
	fprintf(p->out, "  %-14s  %-22s  %s\n", cells_distance(p, js_str(cert, "not_after")), cells_next_step(p, cert),
		cells_text(p, cert, "ca"));
}

void cells_rows(struct print *p, const struct js *certs)
{
	cells_widen(p, certs);
	for (size_t i = 0; i < js_len(certs); i++)
		print_row(p, js_at(certs, i));
}

void cells_problem(struct print *p, const struct js *problem)
{
	int64_t line = js_int(problem, "line", 0);

	fprintf(p->out, "%s:", cells_text(p, problem, "file"));
	if (line > 0)
		fprintf(p->out, "%" PRId64 ":", line);
	fprintf(p->out, " %s%s\n", js_bool(problem, "warning", false) ? "warning: " : "",
		cells_text(p, problem, "text"));
}

void cells_end(struct print *p)
{
	p->replies++;
	arena_reset(p->arena);
	fflush(p->out);
}
