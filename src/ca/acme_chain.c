/* SPDX-License-Identifier: ISC */
#include "ca/acme_chain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "crypto/x509.h"

struct acme_chain {
	struct acme_client *client;
	struct arena *arena;
	struct acme_chain_request request;
	struct acme_post *post;
	char *alternate[ACME_ALTERNATES_MAX];
	size_t n, next;
	struct x509_chain *first; /* the default chain; NULL: not there yet */
	const char *pem;
	size_t len;
	acme_chain_done *done;
	void *arg;
};

static void chain_free(struct acme_chain *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->alternate[i]);
	x509_free(f->first);
	arena_free(f->arena);
	free(f);
}

static void chain_end(struct acme_chain *f, const char *pem, size_t len, const struct err *err)
{
	f->done(f->arg, pem, len, err);
	chain_free(f);
}

static void chain_send(struct acme_chain *f, const char *url, acme_client_done *got)
{
	struct acme_request q = {.kind = ACME_CERTIFICATE, .url = url, .payload = "", .kid = f->request.kid};

	f->post = acme_client_post(f->client, &q, got, f);
}

static bool is_preferred(const struct acme_chain *f, const struct x509_chain *chain)
{
	return strcasecmp(x509_leaf(chain)->root, f->request.preferred) == 0;
}

static void alternate_next(struct acme_chain *f);

/* Whatever is wrong with an alternate only means that it is not chosen. */
static void alternate_got(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct acme_chain *f = arg;
	struct err why;
	struct x509_chain *chain = r ? x509_parse(r->body, r->len, &why) : NULL;
	bool chosen = chain && x509_same_leaf(chain, f->first) && is_preferred(f, chain);

	f->post = NULL;
	if (!chain)
		log_warning("alternate chain not usable", "ca", f->request.name, "url", f->alternate[f->next - 1], "error", log_err(err ? err : &why),
			NULL);
	x509_free(chain);
	if (chosen)
		chain_end(f, r->body, r->len, NULL);
	else
		alternate_next(f);
}

static void alternate_next(struct acme_chain *f)
{
	if (f->next < f->n) {
		chain_send(f, f->alternate[f->next++], alternate_got);
		return;
	}
	log_warning("no chain ends at the preferred root: the default chain is taken", "ca", f->request.name, "preferred", f->request.preferred,
		"root", x509_leaf(f->first)->root, NULL);
	chain_end(f, f->pem, f->len, NULL);
}

static void default_got(void *arg, const struct acme_reply *r, const struct err *err)
{
	struct acme_chain *f = arg;
	struct err why;

	f->post = NULL;
	if (!r || !f->request.preferred) {
		chain_end(f, r ? r->body : NULL, r ? r->len : 0, err);
	} else if (!(f->first = x509_parse(r->body, r->len, &why))) {
		chain_end(f, NULL, 0, &why);
	} else if (is_preferred(f, f->first)) {
		chain_end(f, r->body, r->len, NULL);
	} else {
		f->pem = arena_strndup(f->arena, r->body, r->len);
		f->len = r->len;
		f->n = http_links(r->http, "alternate", f->alternate, ACME_ALTERNATES_MAX);
		alternate_next(f);
	}
}

struct acme_chain *acme_chain_fetch(struct acme_client *client, const struct acme_chain_request *request, acme_chain_done *done, void *arg)
{
	struct acme_chain *f = mem_alloc(sizeof *f);

	f->client = client;
	f->arena = arena_new();
	f->request.name = arena_strdup(f->arena, request->name);
	f->request.kid = arena_strdup(f->arena, request->kid);
	f->request.preferred = arena_strdup(f->arena, request->preferred);
	f->done = done;
	f->arg = arg;
	chain_send(f, request->url, default_got);
	return f;
}

void acme_chain_cancel(struct acme_chain *f)
{
	if (!f)
		return;
	acme_client_cancel(f->post);
	chain_free(f);
}
