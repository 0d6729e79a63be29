/* SPDX-License-Identifier: ISC */
#include "ca/cas_xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MEMBERS_MAX = 16, MEMBER_BYTES = 4096, DEPTH_MAX = 32 };

struct reader {
	XML_Parser parser;
	int depth;
	struct js *members;
	struct buf text; /* of the member that is open */
};

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;

	(void)attributes;
	if (++r->depth > DEPTH_MAX || (r->depth == 1 && strcasecmp(name, "Error") != 0))
		XML_StopParser(r->parser, XML_FALSE);
	if (r->depth == 2)
		buf_reset(&r->text);
}

static void on_text(void *arg, const char *text, int len)
{
	struct reader *r = arg;
	size_t room = MEMBER_BYTES - r->text.len;

	if (r->depth == 2)
		(void)!buf_add(&r->text, text, (size_t)len < room ? (size_t)len : room);
}

static void on_end(void *arg, const char *name)
{
	struct reader *r = arg;

	if (r->depth-- == 2 && js_len(r->members) < MEMBERS_MAX)
		js_put_str(r->members, name, r->text.data ? r->text.data : "");
}

/* Nothing of what one can do is wanted: entities, outside or multiplying. */
static void on_doctype(void *arg, const char *name, const char *system, const char *public, int has_subset)
{
	struct reader *r = arg;

	(void)name;
	(void)system;
	(void)public;
	(void)has_subset;
	XML_StopParser(r->parser, XML_FALSE);
}

struct js *cas_xml_read(const char *text, size_t len)
{
	static const XML_Memory_Handling_Suite memory = {mem_bytes, mem_resize_bytes, free};
	struct reader r = {.members = js_object()};
	bool good;

	if (len > INT_MAX)
		len = INT_MAX; /* no whole document any more */
	buf_init(&r.text, MEMBER_BYTES);
	r.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	good = XML_Parse(r.parser, text, (int)len, XML_TRUE) == XML_STATUS_OK;
	XML_ParserFree(r.parser);
	buf_free(&r.text);
	if (good)
		return r.members;
	js_free(r.members);
	return NULL;
}
