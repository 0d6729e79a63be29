/* SPDX-License-Identifier: ISC */
/* The text of check, and what of it stands in status and show. */
#include <string.h>

#include "ctl/print.h"
#include "ctl/print_cells.h"

static const struct {
	const char *verdict, *colour, *word, *sentence;
} verdicts[] = {
	{"ok", GREEN, "ok", "the next renewal would work, as far as can be seen"},
	{"untested", DIM, "?", "nothing could be looked at"},
	{"warn", YELLOW, "WARN", "the next renewal would work, but look at this"},
	{"fail", RED, "FAIL", "the next renewal would fail"},
};

/* A verdict of a later version is told in its own word. */
static void paint_verdict(struct print *p, const char *verdict, bool sentence)
{
	for (size_t i = 0; verdict && i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (strcmp(verdicts[i].verdict, verdict) == 0) {
			cells_paint(p, verdicts[i].colour, sentence ? "%s" : "%-4s", sentence ? verdicts[i].sentence : verdicts[i].word);
			return;
		}
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
