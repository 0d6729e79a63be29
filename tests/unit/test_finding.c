/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "prove/finding.h"

#include <stdlib.h>
#include <string.h>

static void add(struct js *list, enum finding verdict, const char *what, const char *name, const char *text, const char *state)
{
	js_put_str(finding_add(list, verdict, what, name, "%s", text), "state", state);
}

static void expect(struct js *v, const char *wanted)
{
	char *text = js_dump(v);

	assert_string_equal(text, wanted);
	free(text);
	js_free(v);
}

static void words_and_the_worst(void **state)
{
	struct js *list = js_array();

	(void)state;
	for (int v = FINDING_OK; v <= FINDING_FAIL; v++)
		assert_int_equal(finding_find(finding_word((enum finding)v)), v);
	assert_int_equal(finding_find("dreadful"), FINDING_UNTESTED);
	assert_int_equal(finding_find(NULL), FINDING_UNTESTED);
	assert_null(finding_worst(list));
	add(list, FINDING_OK, "zone", "a", "x", NULL);
	add(list, FINDING_WARN, "zone", "b", "x\n", NULL);
	add(list, FINDING_WARN, "zone", "c", "x", NULL);
	assert_string_equal(js_str(finding_worst(list), "name"), "b");
	expect(list, "[{\"what\":\"zone\",\"verdict\":\"ok\",\"name\":\"a\",\"text\":\"x\"},{\"what\":\"zone\",\"verdict\":\"warn\",\"name\":\"b\",\"text\":\"x\\\\x0a\"},"
		"{\"what\":\"zone\",\"verdict\":\"warn\",\"name\":\"c\",\"text\":\"x\"}]");
}

static void gathered_alike_ones_together(void **state)
{
	struct js *list = js_array();

	(void)state;
	expect(finding_gather(list, "caa", 8), "[]");
	expect(finding_gather(NULL, "caa", 8), "[]");
	add(list, FINDING_OK, "caa", "a", "none", "none");
	add(list, FINDING_OK, "dnssec", "a", "none", "secure");
	add(list, FINDING_OK, "caa", "b", "none", "none");
	add(list, FINDING_FAIL, "caa", "c", "none", "none"); /* differs in the verdict, */
	add(list, FINDING_OK, "caa", "d", "none", "allowed"); /* in the state */
	add(list, FINDING_OK, "caa", "e", "some", "none"); /* and in the text */
	add(list, FINDING_OK, "caa", "f", "none", NULL);
	add(list, FINDING_OK, "caa", "g", "none", "none");
	js_add(list, js_object());
	expect(finding_gather(list, "caa", 4), "[{\"what\":\"caa\",\"verdict\":\"fail\",\"name\":\"c\",\"text\":\"none\",\"state\":\"none\"},"
		"{\"what\":\"caa\",\"verdict\":\"ok\",\"name\":\"a\",\"text\":\"none\",\"state\":\"none\",\"more\":2},"
		"{\"what\":\"caa\",\"verdict\":\"ok\",\"name\":\"d\",\"text\":\"none\",\"state\":\"allowed\"},"
		"{\"what\":\"caa\",\"verdict\":\"ok\",\"name\":\"e\",\"text\":\"some\",\"state\":\"none\"}]");
	assert_false(js_has(js_at(list, 0), "more")); /* what was found stays as it is */
	js_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_the_worst),
		cmocka_unit_test(gathered_alike_ones_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
