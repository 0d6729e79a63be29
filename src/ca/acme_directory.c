/* SPDX-License-Identifier: ISC */
/* Reading the directory of a CA: the one request that may be redirected, and the one that all others wait for. */
#include "ca/acme_client_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { HOPS_MAX = 5 };

static void directory_got(void *arg, const struct http_answer *a, const struct err *err);

static void directory_end(struct acme_client *c, const struct err *err)
{
	free(c->reading_url);
	c->reading_url = NULL;
	acme_client_directory_read(c, err);
}

static bool directory_adopt(struct acme_client *c, const struct acme_reply *r, struct err *err)
{
	struct js *document = acme_object_read("directory", r->body, r->len, err);
	struct acme_directory d;

	if (!document)
		return false;
	if (!acme_directory_parse(document, &c->origin, &d, err)) {
		js_free(document);
		return false;
	}
	js_free(c->document);
	c->document = document;
	c->directory = d;
	c->read_at = clock_boot_ms();
	c->stale = false;
	acme_nonce_clear(&c->nonces);
	return true;
}

static void directory_send(struct acme_client *c, char *url)
{
	free(c->reading_url);
	c->reading_url = url;
	c->reading = acme_client_send(c, ACME_DIRECTORY, "GET", url, NULL, directory_got, c);
}

/* Reading the directory is the one request that may be sent elsewhere, and "elsewhere" is still this CA's host. */
static bool directory_follow(struct acme_client *c, const struct acme_reply *r, struct err *err)
{
	const char *to = r->location;
	char *url;

	if (!to)
		return err_set(err, ERR_TEMP, "redirect", "the directory's redirect (HTTP %d) says not where to", r->status);
	if (++c->hops > HOPS_MAX)
		return err_set(err, ERR_TEMP, "redirect", "the directory was redirected more than %d times", HOPS_MAX);
	if (to[0] == '/' && to[1] != '/') {
		size_t scheme = strlen("https://");

		url = mem_printf("%.*s%s", (int)(scheme + strcspn(c->directory_url + scheme, "/?")), c->directory_url, to);
	} else {
		url = mem_strdup(to);
	}
	if (!acme_url_check(&c->origin, "redirect of the directory", url, err)) {
		free(url);
		return false;
	}
	directory_send(c, url);
	return true;
}

static void directory_got(void *arg, const struct http_answer *a, const struct err *err)
{
	struct acme_client *c = arg;
	struct acme_reply r;
	struct err why;
	bool good;

	c->reading = NULL;
	if (!a) {
		directory_end(c, err);
		return;
	}
	good = acme_client_answer(c, ACME_DIRECTORY, NULL, a, &r, &why);
	if (r.status >= 300 && r.status < 400) {
		if (directory_follow(c, &r, &why))
			return;
	} else if (good) {
		good = directory_adopt(c, &r, &why);
	}
	acme_nonce_put(&c->nonces, r.nonce);
	directory_end(c, good ? NULL : &why);
}

bool acme_directory_is_fresh(const struct acme_client *c, int64_t age_ms)
{
	return c->document && !c->stale && clock_boot_ms() - c->read_at < age_ms;
}

void acme_directory_read(struct acme_client *c)
{
	if (c->reading)
		return;
	c->hops = 0;
	directory_send(c, mem_strdup(c->directory_url));
}
