/* SPDX-License-Identifier: ISC */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prove/visible_inner.h"

static bool is_good(enum verdict v)
{
	return v == VERDICT_OK || v == VERDICT_WILD;
}

enum quorum_state visible_quorum(const struct visible *v, char why[160])
{
	struct quorum_row *rows = mem_array(v->nrows, sizeof(*rows));
	enum quorum_state state;

	for (size_t i = 0; i < v->nrows; i++)
		rows[i] = (struct quorum_row){ .server = v->row[i].server->name, .verdict = v->row[i].seen.verdict };
	state = quorum_check(&v->o.quorum, rows, v->nrows, why);
	free(rows);
	return state;
}

/* The newest serial that was seen (RFC 1982); false: none was. */
static bool newest_serial(const struct visible *v, uint32_t *out)
{
	bool any = false;

	for (size_t i = 0; i < v->nrows; i++)
		if (v->row[i].has_serial && (!any || (int32_t)(v->row[i].serial - *out) > 0)) {
			*out = v->row[i].serial;
			any = true;
		}
	return any;
}

static void say_note(const struct visible *v, const struct visible_row *row, char *out, size_t room)
{
	uint32_t newest = 0;
	bool wild = row->seen.verdict == VERDICT_WILD && !*row->seen.note;
	size_t used = (size_t)snprintf(out, room, "%s", wild ? "by a wildcard" : row->seen.note);

	if (row->seen.verdict == VERDICT_STALE && row->has_serial && newest_serial(v, &newest) && newest != row->serial && used < room)
		used += (size_t)snprintf(out + used, room - used, "; %u serial behind", newest - row->serial);
	if (row->seen.verdict == VERDICT_STALE && row->failures > 0 && used < room)
		used += (size_t)snprintf(out + used, room - used, "; no answer since then");
	if (row->lowers_case && used < room)
		used += (size_t)snprintf(out + used, room - used, "%schanges the case of questions (0x20), which some CAs refuse", used ? "; " : "");
	if (row->no_tcp && used < room)
		used += (size_t)snprintf(out + used, room - used, "%sno answer over TCP", used ? "; " : "");
	if (row->held && used < room)
		snprintf(out + used, room - used, "%snot asked: the serial has not moved", used ? "; " : "");
}

static struct js *row_report(const struct visible *v, const struct visible_row *row)
{
	static const char *const protos[] = { "-", "udp", "tcp", "u+t" };
	struct js *r = js_object();
	char text[ADDR_TEXT], note[400];
	bool silent = row->seen.verdict == VERDICT_SILENT && row->answers == 0;

	js_put_str(r, "name", row->server->name);
	js_put_str(r, "address", addr_port(&row->server->addr) == 53 ? addr_format_ip(&row->server->addr, text) : addr_format(&row->server->addr, text));
	js_put_str(r, "proto", silent ? "u+t" : protos[row->by_udp + 2 * row->by_tcp]);
	js_put_int(r, "seen", row->answers);
	if (row->answers > 0)
		js_put_real(r, "rtt_ms", (double)row->rtt_us / 1000);
	if (row->seen.answered) {
		js_put_str(r, "rcode", dns_rcode_name(row->seen.rcode));
		js_put_bool(r, "aa", row->seen.aa);
	}
	if (row->has_serial)
		js_put_int(r, "serial", row->serial);
	js_put_str(r, "verdict", verdict_name(row->seen.verdict));
	if (row->since_ms)
		js_put_int(r, "since_ms", row->since_ms - v->began_ms);
	if (row->next_ms)
		js_put_int(r, "next_ms", row->next_ms - v->began_ms);
	say_note(v, row, note, sizeof(note));
	js_put_str(r, "note", note);
	return r;
}

static void put_decision(const struct visible *v, struct js *r)
{
	static const char *const phases[] = {
		[PHASE_WAIT] = "wait", [PHASE_CONFIRM] = "confirm", [PHASE_SETTLE] = "settle", [PHASE_VISIBLE] = "visible", [PHASE_FAILED] = "failed",
	};
	char why[160];

	visible_quorum(v, why);
	js_put_str(r, "decision", phases[v->phase]);
	js_put_str(r, "why", why);
}

static struct js *make_notes(const struct visible *v)
{
	const struct js *notes = js_arr(v->o.zone->report, "notes");
	struct js *list = js_array();
	char line[120];

	for (size_t i = 0; i < js_len(notes); i++)
		js_add_str(list, js_str_at(notes, i));
	if (v->wild)
		js_add_str(list, "the values are there by a wildcard");
	if (v->flips > 0) {
		snprintf(line, sizeof(line), "an address showed the values and then did not, %u time%s: several machines are behind it", v->flips,
			v->flips == 1 ? "" : "s");
		js_add_str(list, line);
	}
	return list;
}

struct js *visible_report(const struct visible *v)
{
	struct js *r = js_object(), *values = js_array(), *servers = js_array();
	uint32_t serial = 0;

	for (size_t i = 0; i < v->o.nvalues; i++)
		js_add_str(values, v->values[i]);
	for (size_t i = 0; i < v->nrows; i++)
		js_add(servers, row_report(v, &v->row[i]));
	js_put_str(r, "name", v->o.zone->owner);
	js_put(r, "values", values);
	js_put_str(r, "zone", v->o.zone->apex);
	js_put_int(r, "serial_before", v->o.zone->serial);
	if (newest_serial(v, &serial))
		js_put_int(r, "serial", serial);
	js_put_int(r, "negative_ttl", v->o.zone->negative_ttl);
	put_decision(v, r);
	js_put_int(r, "questions", v->questions);
	js_put_int(r, "elapsed_ms", clock_mono_ms() - v->began_ms);
	js_put(r, "servers", servers);
	js_put(r, "notes", make_notes(v));
	return r;
}

/* --- why not -------------------------------------------------------------------------------------------------------------------- */

/* The order in which verdicts stand in the way; of stale ones, first one that still says so. */
static const struct visible_row *first_obstacle(const struct visible *v)
{
	static const struct {
		enum verdict verdict;
		unsigned failures;
	} order[] = {
		{ VERDICT_STALE, 0 }, { VERDICT_STALE, UINT_MAX }, { VERDICT_NONE, UINT_MAX }, { VERDICT_SICK, UINT_MAX }, { VERDICT_LAME, UINT_MAX },
		{ VERDICT_SILENT, UINT_MAX }, { VERDICT_NOROUTE, UINT_MAX },
	};

	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
		for (size_t i = 0; i < v->nrows; i++)
			if (v->row[i].seen.verdict == order[k].verdict && v->row[i].failures <= order[k].failures)
				return &v->row[i];
	return NULL;
}

static bool is_closed(const struct visible *v)
{
	for (size_t i = 0; i < v->nrows; i++)
		if (is_good(v->row[i].seen.verdict) || (v->row[i].seen.verdict != VERDICT_SILENT && v->row[i].seen.verdict != VERDICT_NOROUTE))
			return false;
	return true;
}

void visible_explain(const struct visible *v, struct err *err)
{
	const struct visible_row *row = first_obstacle(v);
	char why[160], note[200], text[ADDR_TEXT];

	visible_quorum(v, why);
	if (!row) {
		err_set(err, ERR_TEMP, "propagation", "%.120s is not visible yet after %lld s: %s", v->o.zone->owner,
			(long long)((clock_mono_ms() - v->began_ms) / 1000), why);
		return;
	}
	say_note(v, row, note, sizeof(note));
	err_set(err, ERR_TEMP, "propagation", "%.120s is not visible yet after %lld s: %.80s%s%s%s: %s%s%s%s", v->o.zone->owner,
		(long long)((clock_mono_ms() - v->began_ms) / 1000), row->server->name, *row->server->name ? " (" : "",
		addr_format_ip(&row->server->addr, text), *row->server->name ? ")" : "", row->seen.verdict == VERDICT_NONE ? "no answer yet" :
		verdict_name(row->seen.verdict), *note ? ", " : "", note, is_closed(v) ? " (port 53 may be closed on the way from here)" : "");
}
