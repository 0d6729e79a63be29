/* SPDX-License-Identifier: ISC */
/* The text of check, and what of it stands in status, show and explain. */
#include <string.h>

#include "ctl/print.h"
#include "ctl/print_cells.h"

static const struct verdict {
	const char *verdict, *colour, *word, *sentence;
} verdicts[] = {
	{"ok", GREEN, "ok", "the next renewal would work, as far as can be seen"},
	{"untested", DIM, "?", "nothing could be looked at"},
	{"warn", YELLOW, "WARN", "the next renewal would work, but look at this"},
	{"fail", RED, "FAIL", "the next renewal would fail"},
};

static const struct verdict *find_verdict(const char *verdict)
{
	for (size_t i = 0; verdict && i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (strcmp(verdicts[i].verdict, verdict) == 0)
			return &verdicts[i];
	return NULL;
}

/* A verdict of a later version is told in its own word. */
static void paint_verdict(struct print *p, const char *verdict, bool sentence)
{
	const struct verdict *v = find_verdict(verdict);

	if (v)
		cells_paint(p, v->colour, sentence ? "%s" : "%-4s", sentence ? v->sentence : v->word);
	else
		fprintf(p->out, "%-4s", verdict ? cells_safe(p, verdict) : "-");
}

static void print_finding(struct print *p, const struct js *finding)
{
	fputs("  ", p->out);
	paint_verdict(p, js_str(finding, "verdict"), false);
	fprintf(p->out, "  %-12s  %s: %s\n", cells_text(p, finding, "what"), cells_text(p, finding, "name"), cells_text(p, finding, "text"));
}

void print_check(struct print *p, const struct js *reply, bool last)
{
	const struct js *checks = js_arr(reply, "checks");

	(void)last;
	for (size_t i = 0; i < js_len(checks); i++) {
		const struct js *check = js_obj(js_at(checks, i), "check"), *findings = js_arr(check, "findings");

		cells_paint(p, BOLD, "%s", cells_text(p, js_at(checks, i), "name"));
		fputs(": ", p->out);
		paint_verdict(p, js_str(check, "verdict"), true);
		fputc('\n', p->out);
		for (size_t k = 0; k < js_len(findings); k++)
			print_finding(p, js_at(findings, k));
	}
	cells_end(p);
}

const char *cells_risk(struct print *p, const struct js *check)
{
	return arena_printf(p->arena, "the next renewal would fail because %s", cells_text(p, check, "why"));
}

void cells_check(struct print *p, const struct js *check)
{
	const struct js *findings = js_arr(check, "findings");
	const char *verdict = js_str(check, "verdict");
	bool fails = verdict && strcmp(verdict, "fail") == 0;

	if (fails)
		cells_paint(p, RED, "%s", cells_risk(p, check));
	else
		paint_verdict(p, verdict, true);
	fprintf(p->out, " (looked at %s)\n", cells_distance(p, js_str(check, "at")));
	for (size_t i = fails ? 1 : 0; i < js_len(findings); i++) {
		cells_label(p, "");
		fprintf(p->out, "%s: %s\n", cells_text(p, js_at(findings, i), "name"), cells_text(p, js_at(findings, i), "text"));
	}
}

/* --- how DNSSEC and CAA stood --- */

/* For how many of so many names it stands. */
static int64_t count_names(const struct js *finding, int64_t names)
{
	int64_t more = js_int(finding, "more", 0);

	return more < 0 ? 1 : more < names ? 1 + more : names;
}

static void print_stand(struct print *p, const struct js *finding, int64_t names)
{
	const struct verdict *v = find_verdict(js_str(finding, "verdict"));
	int64_t n = count_names(finding, names);

	cells_paint(p, v ? v->colour : DIM, "%s", cells_text(p, finding, "state"));
	fputs(": ", p->out);
	if (n > 1)
		fprintf(p->out, "%s and %s: ", cells_text(p, finding, "name"), cells_count(p, n - 1, "other"));
	else if (names > 1)
		fprintf(p->out, "%s: ", cells_text(p, finding, "name"));
	fputs(cells_text(p, finding, "text"), p->out);
}

static void print_unknown(struct print *p, const struct js *standing)
{
	if (js_str(standing, "at"))
		fprintf(p->out, "not known: the look at %s could not tell\n", cells_moment(p, standing, "at"));
	else
		fputs("not looked at yet; dovactl check looks\n", p->out);
}

void cells_standing(struct print *p, const struct js *cert, const char *what)
{
	const struct js *standing = js_obj(cert, "standing"), *found = js_arr(standing, what);
	int64_t names = (int64_t)js_len(js_arr(cert, "names")), left = names;

	if (!standing) /* an older daemon, which says nothing of it */
		return;
	cells_label(p, what);
	if (js_len(found) == 0)
		print_unknown(p, standing);
	for (size_t i = 0; i < js_len(found); i++) {
		if (i)
			cells_label(p, "");
		print_stand(p, js_at(found, i), names);
		if (i == 0)
			fprintf(p->out, " (looked at %s)", cells_distance(p, js_str(standing, "at")));
		fputc('\n', p->out);
		left -= count_names(js_at(found, i), names);
	}
	if (js_len(found) > 0 && left > 0) {
		cells_label(p, "");
		fprintf(p->out, "%s: see dovactl check\n", cells_count(p, left, "more name"));
	}
}
