/* SPDX-License-Identifier: ISC */
#include "ca/acme_envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ca/acme_problem.h"

/* The terms that a CA wants agreed stand in a header of the refusal, not in its text. */
static void add_terms(const struct http_answer *a, struct err *err)
{
	size_t len = strlen(err->detail);
	char *terms = NULL;
	char safe[256];

	if (strcmp(err->type, "userActionRequired") != 0 || http_links(a, "terms-of-service", &terms, 1) == 0)
		return;
	snprintf(err->detail + len, sizeof err->detail - len, " (terms: %s)", text_escape(terms, strlen(terms), safe, sizeof safe));
	free(terms);
}

bool acme_envelope_read(const struct http_answer *a, const char *what, struct acme_reply *r, struct err *err)
{
	const char *nonce = http_header(a, "Replay-Nonce", NULL);
	struct acme_refusal refusal;

	*r = (struct acme_reply){
		.status = a->status,
		.nonce = nonce && text_is_token(nonce) ? nonce : NULL,
		.location = http_header(a, "Location", NULL),
		.retry_after = http_retry_after(a),
		.body = a->body,
		.len = a->len,
		.http = a,
	};
	if (r->status >= 200 && r->status < 300)
		return true;
	if (r->status >= 300 && r->status < 400) {
		err_set(err, ERR_TEMP, "redirect", "%s was answered with a redirect (HTTP %d)", what, r->status);
		err->http_status = r->status;
		return false;
	}
	refusal = (struct acme_refusal){.status = r->status, .body = r->body, .len = r->len, .retry_after = r->retry_after};
	acme_problem_read(&refusal, err);
	add_terms(a, err);
	return false;
}
