/* SPDX-License-Identifier: ISC */
/* What an account has at a CA that sells certificates by the piece: a table each. */
#include <string.h>

#include "ctl/print.h"
#include "ctl/print_cells.h"

enum { COLUMNS = 8 };

typedef const char *cell_of(struct print *p, const struct js *row);

struct column {
	const char *title;
	cell_of *cell; /* NULL: the text member `key` */
	const char *key;
};

static const char *cell(struct print *p, const struct column *c, const struct js *row)
{
	return c->cell ? c->cell(p, row) : cells_text(p, row, c->key);
}

/* Columns are as wide as their widest cell; the last one is not filled up. */
static void print_table(struct print *p, const struct js *rows, const struct column *column, size_t n, const char *none)
{
	int width[COLUMNS];

	if (js_len(rows) == 0)
		fprintf(p->out, "%s\n", none);
	for (size_t k = 0; k < n; k++) {
		width[k] = (int)strlen(column[k].title);
		for (size_t i = 0; i < js_len(rows); i++) {
			int len = (int)strlen(cell(p, &column[k], js_at(rows, i)));

			width[k] = len > width[k] ? len : width[k];
		}
	}
	for (size_t k = 0; k < n && js_len(rows) > 0; k++)
		cells_paint(p, DIM, "%-*s%s", k + 1 < n ? width[k] : 0, column[k].title, k + 1 < n ? "  " : "\n");
	for (size_t i = 0; i < js_len(rows); i++)
		for (size_t k = 0; k < n; k++)
			fprintf(p->out, "%-*s%s", k + 1 < n ? width[k] : 0, cell(p, &column[k], js_at(rows, i)), k + 1 < n ? "  " : "\n");
	cells_end(p);
}

/* "2 and 1 wildcard": how many names it is good for. */
static const char *room(struct print *p, const struct js *row)
{
	int64_t single = js_int(row, "single", 0), wild = js_int(row, "wildcards", 0);

	if (single > 0 && wild > 0)
		return arena_printf(p->arena, "%s, %s", cells_count(p, single, "name"), cells_count(p, wild, "wildcard"));
	return single > 0 ? cells_count(p, single, "name") : wild > 0 ? cells_count(p, wild, "wildcard") : "-";
}

static const char *state(struct print *p, const struct js *row)
{
	if (!js_str(row, "certificate_state"))
		return cells_text(p, row, "state");
	return arena_printf(p->arena, "%s, %s", cells_text(p, row, "state"), cells_text(p, row, "certificate_state"));
}

static const char *names(struct print *p, const struct js *row)
{
	const struct js *all = js_arr(row, "names");
	const char *first = js_len(all) ? js_str_at(all, 0) : NULL;

	if (!first)
		return "-";
	return js_len(all) == 1 ? cells_safe(p, first) : arena_printf(p->arena, "%s and %zu more", cells_safe(p, first), js_len(all) - 1);
}

static const char *ends(struct print *p, const struct js *row)
{
	return js_str(row, "ends") ? cells_distance(p, js_str(row, "ends")) : "-";
}

static const char *verified(struct print *p, const struct js *row)
{
	bool email = js_bool(row, "email_verified", false), mobile = js_bool(row, "mobile_verified", false);

	(void)p;
	return email && mobile ? "e-mail and mobile" : email ? "e-mail" : mobile ? "mobile" : "nothing";
}

#define N(columns) (sizeof(columns) / sizeof(columns[0]))

void print_instances(struct print *p, const struct js *reply, bool last)
{
	static const struct column columns[] = {
		{"INSTANCE", NULL, "id"}, {"TYPE", NULL, "certificate"}, {"BRAND", NULL, "brand"}, {"GOOD FOR", room, NULL}, {"STATE", state, NULL},
		{"NAMES", names, NULL}, {"ENDS", ends, NULL},
	};

	(void)last;
	print_table(p, js_arr(reply, "instances"), columns, N(columns), "no instances: buy one at the CA, or look whether the site is the right one");
}

void print_contacts(struct print *p, const struct js *reply, bool last)
{
	static const struct column columns[] = {
		{"CONTACT", NULL, "id"}, {"NAME", NULL, "name"}, {"E-MAIL", NULL, "email"}, {"VERIFIED", verified, NULL},
	};

	(void)last;
	print_table(p, js_arr(reply, "contacts"), columns, N(columns), "no contacts");
}

void print_companies(struct print *p, const struct js *reply, bool last)
{
	static const struct column columns[] = {
		{"COMPANY", NULL, "id"}, {"NAME", NULL, "name"}, {"CITY", NULL, "city"}, {"COUNTRY", NULL, "country"},
	};

	(void)last;
	print_table(p, js_arr(reply, "companies"), columns, N(columns), "no companies");
}
