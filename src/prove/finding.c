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

struct js *finding_add(struct js *list, enum finding verdict, const char *what, const char *name, const char *fmt, ...)
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
	return one;
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

static bool same_text(const struct js *a, const struct js *b, const char *key)
{
	const char *one = js_str(a, key), *other = js_str(b, key);

	return one && other ? strcmp(one, other) == 0 : one == other;
}

static struct js *copy(const struct js *one)
{
	struct js *v = js_object();

	for (void *i = js_first(one); i; i = js_next(one, i))
		js_put(v, js_key(i), js_ref(js_value(i)));
	return v;
}

static void gather(struct js *groups, const struct js *one, size_t most)
{
	for (size_t i = 0; i < js_len(groups); i++) {
		struct js *group = js_at(groups, i);

		if (same_text(group, one, "verdict") && same_text(group, one, "state") && same_text(group, one, "text")) {
			js_put_int(group, "more", js_int(group, "more", 0) + 1);
			return;
		}
	}
	if (js_len(groups) < most)
		js_add(groups, copy(one));
}

struct js *finding_gather(const struct js *list, const char *what, size_t most)
{
	struct js *groups = js_array();

	for (int verdict = FINDING_FAIL; verdict >= FINDING_OK; verdict--)
		for (size_t i = 0; i < js_len(list); i++) {
			const char *about = js_str(js_at(list, i), "what");

			if (about && strcmp(about, what) == 0 && finding_verdict(js_at(list, i)) == (enum finding)verdict)
				gather(groups, js_at(list, i), most);
		}
	return groups;
}
