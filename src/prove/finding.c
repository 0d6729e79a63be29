/* SPDX-License-Identifier: ISC */
#include "prove/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const words[] = {
	[FINDING_OK] = "ok", [FINDING_UNTESTED] = "untested", [FINDING_WARN] = "warn", [FINDING_FAIL] = "fail",
};

const char *finding_word(enum finding verdict)
{
	return words[verdict];
}

enum finding finding_find(const char *word)
{
	for (size_t i = 0; word && i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(words[i], word) == 0)
			return (enum finding)i;
	return FINDING_UNTESTED;
}

void finding_add(struct js *list, enum finding verdict, const char *what, const char *name, const char *fmt, ...)
{
	struct js *one = js_object();
	char text[640], shown[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	js_put_str(one, "what", what);
	js_put_str(one, "verdict", words[verdict]);
	js_put_str(one, "name", name);
	js_put_str(one, "text", text_escape(text, strlen(text), shown, sizeof(shown)));
	js_add(list, one);
}

enum finding finding_verdict(const struct js *one)
{
	return finding_find(js_str(one, "verdict"));
}

const struct js *finding_worst(const struct js *list)
{
	const struct js *worst = NULL;

	for (size_t i = 0; i < js_len(list); i++)
		if (!worst || finding_verdict(js_at(list, i)) > finding_verdict(worst))
			worst = js_at(list, i);
	return worst;
}
