/* SPDX-License-Identifier: ISC */
#include "ca/cas.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "ca/cas_client.h"
#include "ca/cas_object.h"

struct issuer_call {
	TAILQ_ENTRY(issuer_call) link;
	struct cas *cas;
	enum issuer_list what;
	struct cas_list *list;
	bool over;
	issuer_done *done;
	void *arg;
};

struct cas {
	struct issuer issuer; /* first */
	char *name, *access_key;
	struct cas_client *client;
	TAILQ_HEAD(, issuer_call) calls;
};

/* --- what the account has --- */

static struct js *split_names(const char *domain)
{
	struct js *names = js_array();

	while (*domain) {
		size_t len = strcspn(domain, ",");
		char *name = mem_strndup(domain, len);

		if (len)
			js_add_str(names, name);
		free(name);
		domain += len + (domain[len] == ',');
	}
	return names;
}

static void put_count(struct js *o, const char *key, int64_t n)
{
	if (n >= 0)
		js_put_int(o, key, n);
}

/* What we do not know is told as it is written, and in the log: it may matter. */
static struct js *instance_of(struct cas *cas, struct arena *a, const struct js *item, struct err *err)
{
	struct cas_instance i;
	struct js *o;

	if (!cas_instance_parse(a, item, &i, err))
		return NULL;
	if (i.strange)
		log_warning("an instance has a word that this version does not know", "ca", cas->name, "instance", i.id, "word", i.strange, NULL);
	o = js_object();
	js_put_str(o, "id", i.id);
	js_put_str(o, "certificate", i.certificate_type.text);
	js_put_str(o, "brand", i.brand);
	js_put_str(o, "spec", i.spec);
	js_put_str(o, "source", i.type.text);
	js_put_str(o, "state", i.status.text);
	js_put_str(o, "certificate_state", i.certificate_status.text);
	if (i.domain)
		js_put(o, "names", split_names(i.domain));
	put_count(o, "single", i.names);
	put_count(o, "wildcards", i.wildcards);
	if (i.end)
		js_put_time(o, "ends", i.end);
	return o;
}

static struct js *contact_of(struct cas *cas, struct arena *a, const struct js *item, struct err *err)
{
	struct cas_contact c;
	struct js *o;

	(void)cas;
	if (!cas_contact_parse(a, item, &c, err))
		return NULL;
	o = js_object();
	js_put_str(o, "id", c.id);
	js_put_str(o, "name", c.name);
	js_put_str(o, "email", c.email);
	js_put_bool(o, "email_verified", c.email_verified);
	js_put_bool(o, "mobile_verified", c.mobile_verified);
	return o;
}

static struct js *company_of(struct cas *cas, struct arena *a, const struct js *item, struct err *err)
{
	struct cas_company c;
	struct js *o;

	(void)cas;
	if (!cas_company_parse(a, item, &c, err))
		return NULL;
	o = js_object();
	js_put_str(o, "id", c.id);
	js_put_str(o, "name", c.name);
	js_put_str(o, "city", c.city);
	js_put_str(o, "country", c.country);
	return o;
}

static const struct {
	const char *action, *member, *show; /* show: items of a page, the most it gives */
	struct js *(*of)(struct cas *cas, struct arena *a, const struct js *item, struct err *err);
} lists[ISSUER_LISTS] = {
	[ISSUER_INSTANCES] = {"ListInstances", "InstanceList", "100", instance_of},
	[ISSUER_CONTACTS] = {"ListContact", "ContactList", "20", contact_of},
	[ISSUER_COMPANIES] = {"ListCompanies", "CompanyList", "20", company_of},
};

/* The last thing done on the way of an answer: the caller may free the issuer. */
static void call_end(struct issuer_call *c, const struct issuer_answer *answer, const struct err *err)
{
	TAILQ_REMOVE(&c->cas->calls, c, link);
	c->over = true;
	c->done(c->arg, answer, err);
	free(c);
}

static struct js *convert(const struct issuer_call *c, const struct js *items, struct err *err)
{
	struct js *all = js_array();

	for (size_t i = 0; i < js_len(items); i++) {
		struct arena *a = arena_new();
		struct js *one = lists[c->what].of(c->cas, a, js_at(items, i), err);

		arena_free(a);
		if (!one) {
			js_free(all);
			return NULL;
		}
		js_add(all, one);
	}
	return all;
}

static void listed(void *arg, const struct js *items, const struct err *err)
{
	struct issuer_call *c = arg;
	struct issuer_answer answer = {.list = NULL};
	struct js *all = NULL;
	struct err why;

	c->list = NULL;
	if (!err && !(all = convert(c, items, &why)))
		err = &why;
	answer.list = all;
	call_end(c, err ? NULL : &answer, err);
	js_free(all);
}

static struct issuer_call *cas_issuer_list(struct issuer *is, enum issuer_list what, issuer_done *done, void *arg)
{
	struct cas *cas = (struct cas *)is;
	const struct cas_param params[] = {{"ShowSize", lists[what].show}, {NULL, NULL}};
	const struct cas_request request = {.action = lists[what].action, .params = params, .read = true};
	struct issuer_call *c = mem_alloc(sizeof(*c));

	*c = (struct issuer_call){.cas = cas, .what = what, .done = done, .arg = arg};
	TAILQ_INSERT_TAIL(&cas->calls, c, link);
	c->list = cas_client_list(cas->client, &request, lists[what].member, listed, c);
	return c;
}

static void cas_cancel(struct issuer_call *c)
{
	if (!c || c->over)
		return;
	cas_client_list_cancel(c->list);
	TAILQ_REMOVE(&c->cas->calls, c, link);
	free(c);
}

/* --- itself --- */

static struct js *cas_status(struct issuer *is)
{
	const struct cas *cas = (const struct cas *)is;
	struct js *status = js_object(), *account = js_object();

	js_put_str(account, "url", cas->access_key);
	js_put(status, "account", account);
	cas_client_status(cas->client, status);
	js_put_str(status, "directory", js_str(status, "endpoint"));
	return status;
}

/* Each action has a time of its own, and none is an order's yet. */
static int64_t cas_not_before(const struct issuer *is)
{
	(void)is;
	return 0;
}

static void cas_free(struct issuer *is)
{
	struct cas *cas = (struct cas *)is;
	struct issuer_call *c;

	while ((c = TAILQ_FIRST(&cas->calls)))
		cas_cancel(c);
	cas_client_free(cas->client);
	free(cas->name);
	free(cas->access_key);
	free(cas);
}

struct issuer *cas_new(const struct cas_options *options, struct err *err)
{
	static const struct issuer_ops ops = {
		.cancel = cas_cancel, .status = cas_status, .free = cas_free, .list = cas_issuer_list, .not_before = cas_not_before};
	char *endpoint = mem_printf("https://%s", options->address);
	struct cas_client_options client = {.name = options->name, .endpoint = endpoint, .ca_file = options->ca_file,
		.allow_private = options->allow_private, .dns = options->dns, .keeper = options->keeper};
	struct cas *cas = mem_alloc(sizeof(*cas));

	TAILQ_INIT(&cas->calls);
	cas->name = mem_strdup(options->name);
	cas->access_key = mem_strdup(options->access_key);
	cas->issuer = (struct issuer){.ops = &ops, .name = cas->name};
	cas->client = cas_client_new(&client, err);
	free(endpoint);
	if (cas->client)
		return &cas->issuer;
	cas_free(&cas->issuer);
	return NULL;
}
