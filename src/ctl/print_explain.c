/* SPDX-License-Identifier: ISC */
/* The text of explain: why a certificate stands where it stands, proof by proof, and what to do. */
#include "ctl/print_explain.h"

#include <string.h>

#include "ctl/print.h"

static const struct js *order_of(const struct js *cert)
{
	return js_obj(cert, "order") ? js_obj(cert, "order") : js_obj(cert, "last_order");
}

static void print_state(struct print *p, const struct js *cert)
{
	const struct js *running = js_obj(cert, "order"), *failure = js_obj(cert, "last_error");
	const struct js *since = running ? running : failure;
	const char *key = running ? "begun" : "at";

	cells_label(p, "state");
	cells_state(p, cert, 0);
	if (js_str(since, key))
		fprintf(p->out, ", since %s", cells_moment(p, since, key));
	fputc('\n', p->out);
}

/* Of an order under way, its own line tells the step. */
static void print_next(struct print *p, const struct js *cert)
{
	if (js_obj(cert, "order") || (!js_str(cert, "next_step") && !js_str(cert, "next_at")))
		return;
	cells_label(p, "next step");
	fprintf(p->out, "%s", cells_text(p, cert, "next_step"));
	if (cells_is_due(cert))
		fputs(" now", p->out);
	else if (js_str(cert, "next_at"))
		fprintf(p->out, " at %s", cells_moment(p, cert, "next_at"));
	fputc('\n', p->out);
}

static void print_advice(struct print *p, const struct js *failure)
{
	cells_label(p, "what to do");
	fputs(advice_find(failure), p->out);
	if (js_str(failure, "not_before"))
		fprintf(p->out, strcmp(cells_text(p, failure, "kind"), "limit") == 0 ? " The CA takes no attempt before %s." :
			" Until %s the CA may keep the answer that it had.", cells_moment(p, failure, "not_before"));
	fputc('\n', p->out);
}

static void print_trouble(struct print *p, const struct js *failure)
{
	if (!failure)
		return;
	cells_label(p, "last error");
	cells_failure(p, failure);
	print_advice(p, failure);
}

/* Those that do not serve what is installed. */
static void print_targets(struct print *p, const struct js *targets)
{
	for (size_t i = 0; i < js_len(targets); i++) {
		if (js_bool(js_at(targets, i), "ok", false))
			continue;
		cells_label(p, "served");
		fprintf(p->out, "%s\n", cells_target(p, js_at(targets, i)));
	}
}

static void print_order(struct print *p, const struct js *cert)
{
	const struct js *order = order_of(cert);

	cells_label(p, js_obj(cert, "order") ? "order" : "last order");
	if (!order) {
		fputs("none so far\n", p->out);
		return;
	}
	fprintf(p->out, "%s at %s, begun %s", cells_text(p, order, "step"), cells_text(p, order, "ca"), cells_moment(p, order, "begun"));
	if (js_str(order, "proved"))
		fprintf(p->out, ", proofs over %s", cells_moment(p, order, "proved"));
	if (js_str(order, "proved") && !js_len(js_arr(order, "proofs")))
		fputs(": the CA asked for none, it remembered earlier ones", p->out);
	fputc('\n', p->out);
}

/* What was told already is not told twice: the error beside the review, the advice at the head. */
static void print_proof_error(struct print *p, const struct js *error, bool reviewed, const struct js *told)
{
	if (!error)
		return;
	if (!reviewed) {
		cells_label(p, "error");
		cells_failure(p, error);
	}
	if (!told || advice_find(error) != advice_find(told))
		print_advice(p, error);
}

static void print_proof(struct print *p, const struct js *proof, const struct js *told)
{
	const struct js *look = js_obj(proof, "seen"), *error = js_obj(proof, "error");

	fputc('\n', p->out);
	cells_paint(p, BOLD, "%s", cells_proof(p, proof));
	fputs(": ", p->out);
	cells_paint(p, error ? RED : CYAN, "%s", cells_text(p, proof, "step"));
	fputc('\n', p->out);
	look_print(p, look);
	look_review(p, look);
	print_proof_error(p, error, js_obj(look, "review") != NULL, told);
}

void print_explain(struct print *p, const struct js *reply, bool last)
{
	const struct js *cert = js_obj(reply, "certificate"), *proofs = js_arr(order_of(cert), "proofs");

	(void)last;
	cells_paint(p, BOLD, "%s", cells_text(p, cert, "name"));
	fputc('\n', p->out);
	print_state(p, cert);
	print_next(p, cert);
	print_trouble(p, js_obj(cert, "last_error"));
	print_targets(p, js_arr(cert, "targets"));
	cells_standing(p, cert, "dnssec");
	cells_standing(p, cert, "caa");
	print_order(p, cert);
	for (size_t i = 0; i < js_len(proofs); i++)
		print_proof(p, js_at(proofs, i), js_obj(cert, "last_error"));
	cells_end(p);
}
