/* SPDX-License-Identifier: ISC */
/* Answers of Alibaba Cloud's gateway: the first byte is the status ('2': 200, else 400 and what it says) and the object a success is read as. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "ca/cas_answer.h"
#include "ca/cas_object.h"
#include "fuzz.h"

static void check_error(const struct err *err)
{
	check(err->kind != ERR_NONE && err->type[0] && memchr(err->detail, '\0', sizeof err->detail));
	check(text_is_utf8(err->detail, strlen(err->detail)));
	check((err->kind == ERR_LIMIT) == (err->not_before > 0));
	check((cas_answer_retry(err) == CAS_RETRY_WAIT) == (err->kind == ERR_LIMIT));
}

static void check_instance(const struct cas_instance *i)
{
	check(i->id && i->id[0]);
	check(i->names >= -1 && i->wildcards >= -1 && i->wait_s >= -1 && i->end >= 0);
	for (size_t k = 0; k < i->ncontacts; k++)
		check(i->contacts[k] && i->contacts[k][0]);
	for (size_t k = 0; k < i->nproofs; k++)
		check(!i->proofs[k].type.known || i->proofs[k].type.text);
}

static void parse_object(struct arena *a, const struct js *v, struct err *err)
{
	struct cas_instance instance;
	struct cas_contact contact;
	struct cas_company company;
	struct cas_summary summary;
	struct cas_task task;
	struct cas_page page;

	if (cas_instance_parse(a, v, &instance, err))
		check_instance(&instance);
	if (cas_contact_parse(a, v, &contact, err))
		check(contact.id && contact.id[0]);
	if (cas_company_parse(a, v, &company, err))
		check(company.id && company.id[0]);
	if (cas_summary_parse(a, v, &summary, err))
		check(summary.left >= -1 && summary.total >= -1);
	if (cas_task_parse(a, v, &task, err))
		check(!task.status.known || task.status.text);
	if (!cas_page_parse(v, "InstanceList", &page, err))
		return;
	check(js_len(page.items) <= CAS_PAGE_MAX && page.total >= -1);
	for (size_t i = 0; i < js_len(page.items); i++)
		if (cas_instance_parse(a, js_at(page.items, i), &instance, err))
			check_instance(&instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *none[] = {NULL};
	struct http_answer answer = {.headers = none};
	struct arena *a;
	struct err err = {0};
	struct js *v;
	char *text;

	if (size < 1)
		return 0;
	text = mem_strndup((const char *)data + 1, size - 1); /* bytes behind a NUL are cut, as strndup does: len says how many there are */
	answer.status = data[0] == '2' ? 200 : 300 + data[0];
	answer.body = text;
	answer.len = strlen(text);
	if (!cas_answer_read(&answer, "Fuzz", &v, &err)) {
		check_error(&err);
		free(text);
		return 0;
	}
	a = arena_new();
	parse_object(a, v, &err);
	arena_free(a);
	js_free(v);
	free(text);
	return 0;
}
