/* SPDX-License-Identifier: ISC */
/* The text of explain: what was seen of a proof, and by whom. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "ctl/print_explain.h"

enum {
	COLUMN_MAX = 40, /* longer cells push the rest aside */
	ROWS_MOST = 1000,
	LISTED_MOST = 16, /* on one line */
	VALUE_SHOWN = 16,
	VALUE_ROOM = 32,
};

/* --- the table of name servers --- */

struct row { /* of which look */
	const struct js *look, *server;
};

static size_t count_rows(const struct js *servers)
{
	return js_len(servers) < ROWS_MOST ? js_len(servers) : ROWS_MOST;
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static const char *cell_text(struct print *p, const struct row *r, const char *key)
{
	return or_dash(cells_text(p, r->server, key));
}

static const char *cell_number(struct print *p, const struct row *r, const char *key)
{
	int64_t n = js_int(r->server, key, -1);

	return n < 0 ? "-" : arena_printf(p->arena, "%" PRId64, n);
}

static const char *cell_rtt(struct print *p, const struct row *r, const char *key)
{
	double ms = js_real(r->server, key, -1);

	return ms < 0 ? "-" : arena_printf(p->arena, "%.*f ms", ms < 10 ? 1 : 0, ms);
}

static const char *cell_aa(struct print *p, const struct row *r, const char *key)
{
	(void)p;
	return !js_has(r->server, key) ? "-" : js_bool(r->server, key, false) ? "y" : "n";
}

static const char *cell_span(struct print *p, const struct row *r, const char *key)
{
	int64_t ms = js_int(r->server, key, -1);

	return ms < 0 ? "-" : cells_span(p, ms);
}

static bool is_decided(const struct js *look)
{
	const char *decision = js_str(look, "decision");

	return decision && (strcmp(decision, "visible") == 0 || strcmp(decision, "failed") == 0);
}

static const char *cell_note(struct print *p, const struct row *r, const char *key)
{
	const char *note = js_str(r->server, key);
	int64_t left = js_int(r->server, "next_ms", -1) - js_int(r->look, "elapsed_ms", 0);

	note = note ? cells_safe(p, note) : "";
	if (!js_has(r->server, "next_ms") || left < 0 || is_decided(r->look))
		return note;
	return arena_printf(p->arena, "%s%snext look in %s", note, *note ? "; " : "", cells_span(p, left));
}

static const struct column {
	const char *title, *key;
	const char *(*cell)(struct print *p, const struct row *r, const char *key);
} columns[] = {
	{"NS", "name", cell_text},
	{"address", "address", cell_text},
	{"proto", "proto", cell_text},
	{"seen", "seen", cell_number},
	{"rtt", "rtt_ms", cell_rtt},
	{"rcode", "rcode", cell_text},
	{"AA", "aa", cell_aa},
	{"serial", "serial", cell_number},
	{"verdict", "verdict", cell_text},
	{"since", "since_ms", cell_span},
	{"note", "note", cell_note},
};

enum { COLUMNS = sizeof columns / sizeof columns[0], VERDICT = 8, NOTE = COLUMNS - 1 };

static bool is_good(const char *verdict)
{
	return strcmp(verdict, "OK") == 0 || strcmp(verdict, "WILD") == 0;
}

static bool is_ok(const struct js *server)
{
	const char *verdict = js_str(server, "verdict");

	return verdict && is_good(verdict);
}

static const char *verdict_colour(const char *verdict)
{
	return is_good(verdict) ? GREEN : strcmp(verdict, "STALE") == 0 ? RED : YELLOW;
}

/* What stands last in its line is as wide as it likes. */
static void print_cells(struct print *p, const char *const cells[COLUMNS], const int widths[COLUMNS], bool heading)
{
	size_t n = *cells[NOTE] ? COLUMNS : NOTE;

	for (size_t k = 0; k < n; k++) {
		int width = k + 1 < n ? widths[k] : 0;

		fputs("  ", p->out);
		if (heading || k == VERDICT)
			cells_paint(p, heading ? BOLD : verdict_colour(cells[k]), "%-*s", width, cells[k]);
		else
			fprintf(p->out, "%-*s", width, cells[k]);
	}
	fputc('\n', p->out);
}

static void print_table(struct print *p, const struct js *look)
{
	const struct js *servers = js_arr(look, "servers");
	size_t n = count_rows(servers);
	const char *(*cells)[COLUMNS] = arena_array(p->arena, n + 1, sizeof *cells);
	int widths[COLUMNS];

	if (n == 0)
		return;
	for (size_t k = 0; k < COLUMNS; k++) {
		cells[0][k] = columns[k].title;
		widths[k] = (int)strlen(columns[k].title);
		for (size_t i = 1; i <= n; i++) {
			struct row r = {look, js_at(servers, i - 1)};
			int len;

			cells[i][k] = columns[k].cell(p, &r, columns[k].key);
			len = (int)strnlen(cells[i][k], COLUMN_MAX);
			widths[k] = len > widths[k] ? len : widths[k];
		}
	}
	for (size_t i = 0; i <= n; i++)
		print_cells(p, cells[i], widths, i == 0);
}

/* --- around it: what stands on one line, "   " between its parts --- */

static void part(struct print *p, unsigned *parts, const char *text)
{
	if (text)
		fprintf(p->out, "%s%s", (*parts)++ ? "   " : "  ", text);
}

static void end_parts(struct print *p, const unsigned *parts)
{
	if (*parts)
		fputc('\n', p->out);
}

/* Long ones by both ends, as people compare them. */
static const char *value_text(struct print *p, const char *value)
{
	size_t len = strlen(value);
	char head[VALUE_ROOM], tail[VALUE_ROOM];

	if (len <= VALUE_SHOWN)
		return cells_safe(p, value);
	return arena_printf(p->arena, "%s...%s", text_escape(value, 4, head, sizeof head), text_escape(value + len - 2, 2, tail, sizeof tail));
}

static const char *list_text(struct print *p, const struct js *list, const char *between, const char *(*one)(struct print *p, const char *s))
{
	const char *text = "";

	for (size_t i = 0; i < js_len(list) && i < LISTED_MOST; i++)
		if (js_str_at(list, i))
			text = arena_printf(p->arena, "%s%s%s", text, *text ? between : "", one(p, js_str_at(list, i)));
	if (js_len(list) > LISTED_MOST)
		text = arena_printf(p->arena, "%s and %zu more", text, js_len(list) - LISTED_MOST);
	return text;
}

static const char *values_part(struct print *p, const struct js *look)
{
	const struct js *values = js_arr(look, "values");

	if (js_len(values) == 0)
		return NULL;
	return arena_printf(p->arena, "%s %s", js_len(values) == 1 ? "value" : "values", list_text(p, values, ", ", value_text));
}

static const char *zone_part(struct print *p, const struct js *look)
{
	const struct js *found = js_obj(look, "found");
	const char *zone = js_str(look, "zone") ? js_str(look, "zone") : js_str(found, "zone"), *cut = js_str(found, "cut");
	const char *parent = !js_has(found, "parent_agrees") ? "parent not asked" : js_bool(found, "parent_agrees", false) ? "parent agrees" : "parent differs";

	if (!zone)
		return NULL;
	if (!cut)
		return arena_printf(p->arena, "zone %s", cells_safe(p, zone));
	return arena_printf(p->arena, "zone %s (cut by %s, %s)", cells_safe(p, zone), cells_safe(p, cut), parent);
}

static const char *serial_part(struct print *p, const struct js *look)
{
	int64_t before = js_int(look, "serial_before", js_int(js_obj(look, "found"), "serial", -1)), now = js_int(look, "serial", before);

	if (now < 0)
		return NULL;
	if (before < 0 || before == now)
		return arena_printf(p->arena, "serial %" PRId64, now);
	return arena_printf(p->arena, "serial %" PRId64 " -> %" PRId64, before, now);
}

static void print_head(struct print *p, const struct js *look)
{
	const struct js *found = js_obj(look, "found"), *chain = js_arr(found, "chain");
	int64_t negative = js_int(look, "negative_ttl", js_int(found, "negative_ttl", -1));
	const char *name = js_str(look, "name") ? js_str(look, "name") : js_str(look, "challenge");
	unsigned parts = 0;

	part(p, &parts, name ? cells_safe(p, name) : NULL);
	part(p, &parts, values_part(p, look));
	part(p, &parts, zone_part(p, look));
	part(p, &parts, serial_part(p, look));
	end_parts(p, &parts);
	parts = 0;
	if (chain)
		part(p, &parts, arena_printf(p->arena, "chain: %s", js_len(chain) ? list_text(p, chain, " -> ", cells_safe) : "none"));
	if (js_has(found, "wildcard_cname"))
		part(p, &parts, js_bool(found, "wildcard_cname", false) ? "wildcard: a CNAME, not followed" : "wildcard: no");
	if (negative >= 0)
		part(p, &parts, arena_printf(p->arena, "negTTL %" PRId64 " s", negative));
	end_parts(p, &parts);
}

static const char *opinion_part(struct print *p, const struct js *opinions)
{
	size_t yes = 0;

	for (size_t i = 0; i < js_len(opinions); i++)
		yes += js_bool(js_at(opinions, i), "ok", false);
	return js_len(opinions) ? arena_printf(p->arena, "last opinion: %zu of %zu see it", yes, js_len(opinions)) : "last opinion: none";
}

static void print_decision(struct print *p, const struct js *look)
{
	static const struct {
		const char *decision, *shown, *colour;
	} words[] = {{"wait", "WAIT", YELLOW}, {"confirm", "CONFIRM", CYAN}, {"settle", "SETTLE", CYAN}, {"visible", "VISIBLE", GREEN}, {"failed", "FAILED", RED}};
	const char *decision = js_str(look, "decision"), *why = js_str(look, "why");
	size_t i = 0;

	if (!decision)
		return;
	while (i < sizeof words / sizeof words[0] && strcmp(words[i].decision, decision) != 0)
		i++;
	fputs("  decision: ", p->out);
	if (i < sizeof words / sizeof words[0])
		cells_paint(p, words[i].colour, "%s", words[i].shown);
	else
		fputs(cells_safe(p, decision), p->out);
	fprintf(p->out, "%s%s\n", why && *why ? ": " : "", why ? cells_safe(p, why) : "");
}

static void print_foot(struct print *p, const struct js *look)
{
	unsigned parts = 0;

	print_decision(p, look);
	if (js_has(look, "questions"))
		part(p, &parts, arena_printf(p->arena, "asked %s", cells_count(p, js_int(look, "questions", 0), "question")));
	if (js_has(look, "elapsed_ms"))
		part(p, &parts, arena_printf(p->arena, "elapsed %s", cells_span(p, js_int(look, "elapsed_ms", 0))));
	if (parts || js_arr(look, "opinions"))
		part(p, &parts, opinion_part(p, js_arr(look, "opinions")));
	if (js_has(look, "usual_ms"))
		part(p, &parts, arena_printf(p->arena, "usual for this provider: %s (p50 of %" PRId64 ")", cells_span(p, js_int(look, "usual_ms", 0)),
			js_int(look, "usual_of", 0)));
	end_parts(p, &parts);
}

static void print_opinions(struct print *p, const struct js *opinions)
{
	for (size_t i = 0; i < js_len(opinions); i++) {
		const struct js *o = js_at(opinions, i);
		const char *text = js_str(o, "text") ? js_str(o, "text") : js_str(o, "rcode");

		fprintf(p->out, "  opinion of %s: %s", cells_text(p, o, "server"), js_bool(o, "ok", false) ? "it is there" : text ? cells_safe(p, text) : "no answer yet");
		if (js_has(o, "next_ms"))
			fprintf(p->out, "; next question in %s", cells_span(p, js_int(o, "next_ms", 0)));
		fputc('\n', p->out);
	}
}

static void print_lines(struct print *p, const char *label, const struct js *list)
{
	for (size_t i = 0; i < js_len(list); i++)
		if (js_str_at(list, i))
			fprintf(p->out, "  %s: %s\n", label, cells_safe(p, js_str_at(list, i)));
}

static void print_notes(struct print *p, const struct js *look)
{
	const struct js *found = js_obj(look, "found");

	print_lines(p, "not listed by the parent zone", js_arr(found, "missing_at_parent"));
	print_lines(p, "listed by the parent zone only, and does not serve the zone", js_arr(found, "lame_at_parent"));
	print_lines(p, "note", js_arr(look, "notes") ? js_arr(look, "notes") : js_arr(found, "notes"));
	if (js_str(look, "fallback"))
		fprintf(p->out, "  note: %s\n", cells_text(p, look, "fallback"));
}

static void print_addresses(struct print *p, const struct js *addresses)
{
	for (size_t i = 0; i < js_len(addresses); i++) {
		const struct js *seen = js_at(addresses, i);
		bool ok = js_bool(seen, "ok", false);

		fprintf(p->out, "  %s: ", cells_text(p, seen, "address"));
		cells_paint(p, ok ? GREEN : RED, "%s", ok ? "the proof is there" : cells_text(p, seen, "text"));
		fputc('\n', p->out);
	}
}

void look_print(struct print *p, const struct js *look)
{
	print_addresses(p, js_arr(look, "addresses"));
	print_head(p, look);
	print_table(p, look);
	print_opinions(p, js_arr(look, "opinions"));
	print_foot(p, look);
	print_notes(p, look);
	if (js_obj(look, "error"))
		fprintf(p->out, "  the look failed: %s\n", cells_reason(p, js_obj(look, "error")));
}

/* --- when the CA does not see what we see --- */

static const struct js *same_server(const struct js *servers, const struct js *wanted)
{
	const char *address = js_str(wanted, "address");

	for (size_t i = 0; address && i < count_rows(servers); i++) {
		const char *other = js_str(js_at(servers, i), "address");

		if (other && strcmp(other, address) == 0)
			return js_at(servers, i);
	}
	return NULL;
}

/* Those that do not show it now; returns how many of them did before. */
static size_t print_differing(struct print *p, const struct js *before, const struct js *now, size_t *missing)
{
	size_t differ = 0;

	*missing = 0;
	for (size_t i = 0; i < count_rows(now); i++) {
		const struct js *s = js_at(now, i), *old = same_server(before, s);

		if (is_ok(s))
			continue;
		++*missing;
		differ += is_ok(old);
		cells_label(p, *missing == 1 ? "not shown by" : "");
		cells_paint(p, is_ok(old) ? RED : YELLOW, "%s (%s)", or_dash(cells_text(p, s, "name")), cells_text(p, s, "address"));
		fprintf(p->out, ": %s now, %s before\n", cells_text(p, s, "verdict"), old ? cells_text(p, old, "verdict") : "not asked");
	}
	return differ;
}

/* Of these a longer wait is learnt; of anything else the record is innocent. */
static bool is_unseen(const struct js *failure)
{
	static const char *const types[] = {"dns", "unauthorized", "incorrectResponse"};
	const char *type = js_str(failure, "type");

	for (size_t i = 0; type && i < sizeof types / sizeof types[0]; i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static const char *conclusion(const struct js *review, size_t differ, size_t missing)
{
	if (!is_unseen(js_obj(review, "ca")))
		return "it is not the record that the CA speaks of";
	if (differ)
		return "the CA seems to have asked one that shows it no more; dovad waits longer next time";
	if (missing)
		return "no server shows it less than before: the CA looks from elsewhere, or asked one of these; dovad waits longer next time";
	return "from here every server shows it: the CA looks from elsewhere; dovad waits longer next time";
}

void look_review(struct print *p, const struct js *look)
{
	const struct js *review = js_obj(look, "review"), *now = js_obj(review, "seen"), *servers = js_arr(now, "servers");
	size_t missing, differ;

	if (!review)
		return;
	cells_label(p, "the CA said");
	cells_failure(p, js_obj(review, "ca"));
	cells_label(p, "we see");
	if (js_len(servers) == 0) {
		fprintf(p->out, "nothing: our own look right after it failed: %s\n", cells_reason(p, js_obj(review, "error")));
		return;
	}
	fprintf(p->out, "right after it, within %s:\n", cells_span(p, js_int(now, "elapsed_ms", 0)));
	print_table(p, now);
	differ = print_differing(p, js_arr(look, "servers"), servers, &missing);
	cells_label(p, "so");
	fprintf(p->out, "%s\n", conclusion(review, differ, missing));
}
