/* SPDX-License-Identifier: ISC */
/* The text of status, list and show. */
#include <inttypes.h>
#include <string.h>

#include "ctl/print.h"
#include "ctl/print_cells.h"

enum {
	SHOWN_FAILING = 5, /* together with those at risk, of which one is always shown */
	SHOWN_OTHERS = 3, /* per group of `status`: it is to fit one screen */
};

static void print_failing_row(struct print *p, const struct js *cert)
{
	fprintf(p->out, "  %-*s  ", p->width, cells_text(p, cert, "name"));
	cells_state(p, cert, STATE_WIDTH);
	if (js_str(cert, "not_after"))
		fprintf(p->out, "  expires %s,", cells_distance(p, js_str(cert, "not_after")));
	else
		fputs("  nothing issued yet,", p->out);
	fprintf(p->out, " %s\n      %s\n", cells_next_step(p, cert), cells_trouble(p, cert));
}

static void print_risk_row(struct print *p, const struct js *cert)
{
	fprintf(p->out, "  %-*s  %s\n      ", p->width, cells_text(p, cert, "name"), cells_next_step(p, cert));
	cells_paint(p, YELLOW, "%s", cells_risk(p, js_obj(cert, "check")));
	fputc('\n', p->out);
}

static void print_running_row(struct print *p, const struct js *cert)
{
	fprintf(p->out, "  %-*s  ", p->width, cells_text(p, cert, "name"));
	cells_state(p, cert, 0);
	fputc('\n', p->out);
}

static void print_next_row(struct print *p, const struct js *cert)
{
	fprintf(p->out, "  %-*s  %s\n", p->width, cells_text(p, cert, "name"), cells_next_step(p, cert));
}

static void print_group(struct print *p, const char *title, const struct js *certs, int64_t total, size_t most,
	void (*row)(struct print *p, const struct js *cert))
{
	size_t n = js_len(certs) < most ? js_len(certs) : most;

	if (n == 0)
		return;
	fputc('\n', p->out);
	cells_paint(p, BOLD, "%s", title);
	fputc('\n', p->out);
	p->width = 0;
	cells_widen(p, certs);
	for (size_t i = 0; i < n; i++)
		row(p, js_at(certs, i));
	if (total > (int64_t)n)
		fprintf(p->out, "  and %" PRId64 " more\n", total - (int64_t)n);
}

static void print_counts(struct print *p, const struct js *counts)
{
	static const struct {
		const char *key, *word, *colour;
	} parts[] = {{"failing", "failing", RED}, {"stale", "stale", YELLOW}, {"at_risk", "at risk", YELLOW}, {"running", "running", CYAN},
		{"waiting", "waiting", GREEN}, {"disabled", "disabled", DIM}};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		int64_t n = js_int(counts, parts[i].key, 0);

		if (n == 0)
			continue;
		fputs(", ", p->out);
		cells_paint(p, parts[i].colour, "%" PRId64 " %s", n, parts[i].word);
	}
	fputc('\n', p->out);
}

static void print_issuers(struct print *p, const struct js *issuers)
{
	for (size_t i = 0; i < js_len(issuers); i++) {
		const struct js *is = js_at(issuers, i);

		if (js_str(is, "not_before"))
			fprintf(p->out, "\n%s takes no new order before %s\n", cells_text(p, is, "name"),
				cells_moment(p, is, "not_before"));
	}
}

static void print_configuration(struct print *p, const struct js *reply)
{
	const struct js *problems = js_arr(reply, "problems");
	int64_t errors = js_int(reply, "errors", 0), warnings = js_int(reply, "warnings", 0);
	int64_t aside = js_int(reply, "quarantined_count", 0);

	if (errors + warnings + aside == 0)
		return;
	fputc('\n', p->out);
	cells_paint(p, BOLD, "Configuration: %s, %s, %s set aside", cells_count(p, errors, "error"),
		cells_count(p, warnings, "warning"), cells_count(p, aside, "file"));
	fputc('\n', p->out);
	for (size_t i = 0; i < js_len(problems) && i < SHOWN_OTHERS; i++) {
		fputs("  ", p->out);
		cells_problem(p, js_at(problems, i));
	}
	if (errors + warnings > SHOWN_OTHERS)
		fprintf(p->out, "  and %" PRId64 " more\n", errors + warnings - SHOWN_OTHERS);
}

void print_status(struct print *p, const struct js *reply, bool last)
{
	const struct js *counts = js_obj(reply, "counts");
	size_t failing = js_len(js_arr(reply, "failing"));

	(void)last;
	fprintf(p->out, "dovad %s, started %s: %s", cells_text(p, reply, "version"),
		cells_distance(p, js_str(reply, "since")), cells_count(p, js_int(counts, "total", 0), "certificate"));
	print_counts(p, counts);
	for (size_t i = 0; i < js_len(js_arr(reply, "trouble")); i++) {
		cells_paint(p, RED, "%s", cells_safe(p, js_str_at(js_arr(reply, "trouble"), i)));
		fputc('\n', p->out);
	}
	print_group(p, "Failing", js_arr(reply, "failing"), js_int(counts, "failing", 0) + js_int(counts, "stale", 0),
		SHOWN_FAILING, print_failing_row);
	print_group(p, "At risk", js_arr(reply, "at_risk"), js_int(counts, "at_risk", 0), failing < SHOWN_FAILING ? SHOWN_FAILING - failing : 1,
		print_risk_row);
	print_group(p, "Under way", js_arr(reply, "running"), js_int(counts, "running", 0), SHOWN_OTHERS,
		print_running_row);
	print_group(p, "Next", js_arr(reply, "next"), 0, SHOWN_OTHERS, print_next_row);
	print_issuers(p, js_arr(reply, "issuers"));
	print_configuration(p, reply);
	cells_end(p);
}

void print_list(struct print *p, const struct js *reply, bool last)
{
	const struct js *certs = js_arr(reply, "certificates");

	(void)last;
	if (p->replies == 0 && js_len(certs) > 0) {
		p->width = (int)strlen("NAME");
		cells_widen(p, certs);
		cells_paint(p, BOLD, "%-*s  %-*s  %-14s  %-22s  %s", p->width, "NAME", STATE_WIDTH, "STATE", "EXPIRES",
			"NEXT", "CA");
		fputc('\n', p->out);
	}
	cells_rows(p, certs);
	cells_end(p);
}

/* --- show --- */

static void show_text(struct print *p, const struct js *cert, const char *key)
{
	fprintf(p->out, "%s\n", cells_text(p, cert, key));
}

static void show_number(struct print *p, const struct js *cert, const char *key)
{
	fprintf(p->out, "%" PRId64 "\n", js_int(cert, key, 0));
}

static void show_moment(struct print *p, const struct js *cert, const char *key)
{
	fprintf(p->out, "%s\n", cells_moment(p, cert, key));
}

static void show_next_at(struct print *p, const struct js *cert, const char *key)
{
	fprintf(p->out, "%s\n", cells_is_due(cert) ? "now" : cells_moment(p, cert, key));
}

static void show_list(struct print *p, const struct js *cert, const char *key)
{
	const struct js *list = js_arr(cert, key);

	for (size_t i = 0; i < js_len(list); i++)
		fprintf(p->out, "%s%s", i ? ", " : "", cells_safe(p, js_str_at(list, i)));
	fputc('\n', p->out);
}

static void show_state(struct print *p, const struct js *cert, const char *key)
{
	(void)key;
	cells_state(p, cert, 0);
	fputc('\n', p->out);
}

static void show_failure(struct print *p, const struct js *cert, const char *key)
{
	cells_failure(p, js_obj(cert, key));
}

static void show_check(struct print *p, const struct js *cert, const char *key)
{
	cells_check(p, js_obj(cert, key));
}

static void show_targets(struct print *p, const struct js *cert, const char *key)
{
	const struct js *targets = js_arr(cert, key);

	for (size_t i = 0; i < js_len(targets); i++) {
		const struct js *t = js_at(targets, i);

		if (i)
			cells_label(p, "");
		fputs(cells_target(p, t), p->out);
		if (js_str(t, "since"))
			fprintf(p->out, ", since %s", cells_moment(p, t, "since"));
		fputc('\n', p->out);
	}
}

/* What dovad saw at each address of the name when it looked for the proof itself; of name servers, explain tells more. */
static void print_seen(struct print *p, const struct js *look)
{
	const struct js *addresses = js_arr(look, "addresses");
	const char *why = js_str(look, "why");

	if (js_str(look, "decision")) {
		cells_label(p, "");
		fprintf(p->out, "  name servers: %s%s%s\n", cells_text(p, look, "decision"), why && *why ? ", " : "", why ? cells_safe(p, why) : "");
	}
	for (size_t i = 0; i < js_len(addresses); i++) {
		const struct js *seen = js_at(addresses, i);

		cells_label(p, "");
		fprintf(p->out, "  %s: %s\n", cells_text(p, seen, "address"),
			js_bool(seen, "ok", false) ? "the proof is there" : cells_text(p, seen, "text"));
	}
}

static void show_order(struct print *p, const struct js *cert, const char *key)
{
	const struct js *order = js_obj(cert, key), *proofs = js_arr(order, "proofs");

	fprintf(p->out, "%s, begun %s", cells_text(p, order, "step"), cells_moment(p, order, "begun"));
	if (js_str(order, "proved"))
		fprintf(p->out, ", proofs over %s", cells_moment(p, order, "proved"));
	fputc('\n', p->out);
	for (size_t i = 0; i < js_len(proofs); i++) {
		const struct js *proof = js_at(proofs, i);

		cells_label(p, "");
		fprintf(p->out, "%s: %s", cells_proof(p, proof), cells_text(p, proof, "step"));
		if (js_obj(proof, "error"))
			fprintf(p->out, ": %s", cells_reason(p, js_obj(proof, "error")));
		fputc('\n', p->out);
		print_seen(p, js_obj(proof, "seen"));
	}
}

static bool is_there(const struct js *cert, const char *key)
{
	return js_str(cert, key) || js_int(cert, key, 0) != 0 || js_len(js_arr(cert, key)) > 0 || js_obj(cert, key);
}

void print_show(struct print *p, const struct js *reply, bool last)
{
	static const struct {
		const char *key, *label;
		void (*show)(struct print *p, const struct js *cert, const char *key);
	} rows[] = {
		{"names", "names", show_list},
		{"state", "state", show_state},
		{"next_step", "next step", show_text},
		{"next_at", "next at", show_next_at},
		{"check", "look ahead", show_check},
		{"last_error", "last error", show_failure},
		{"attempts", "failures", show_number},
		{"order", "order", show_order},
		{"last_order", "last order", show_order},
		{"not_before", "valid from", show_moment},
		{"not_after", "valid until", show_moment},
		{"ca", "ca", show_text},
		{"issuer", "issuer", show_text},
		{"serial", "serial", show_text},
		{"fingerprint", "fingerprint", show_text},
		{"generation", "generation", show_number},
		{"prove", "proves by", show_list},
		{"install", "installs in", show_list},
		{"services", "services", show_list},
		{"targets", "served", show_targets},
		{"file", "defined in", show_text},
	};
	const struct js *cert = js_obj(reply, "certificate");

	(void)last;
	cells_paint(p, BOLD, "%s", cells_text(p, cert, "name"));
	fputc('\n', p->out);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (!is_there(cert, rows[i].key))
			continue;
		cells_label(p, rows[i].label);
		rows[i].show(p, cert, rows[i].key);
	}
	cells_end(p);
}
