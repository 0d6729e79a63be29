/* SPDX-License-Identifier: ISC */
/* The table against itself: a wrong row would be a wrong manual, a wrong default or a write beside the struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "core/conf_draft.h"
#include "crypto/key.h"

static void each_group(const struct schema_group *g, void (*check)(const struct schema_group *, const struct schema_option *))
{
	for (const struct schema_option *o = g->options; o->name; o++) {
		check(g, o);
		if (o->group)
			each_group(o->group, check);
	}
}

static void everywhere(void (*check)(const struct schema_group *, const struct schema_option *))
{
	each_group(&schema_settings, check);
	each_group(&schema_top, check);
}

static void check_row(const struct schema_group *g, const struct schema_option *o)
{
	assert_ptr_equal(schema_find(g, o->name), o); /* so no name twice */
	assert_true(text_is_name(o->name));
	assert_non_null(o->help);
	assert_in_range(strlen(o->help), 10, 120);
	assert_int_not_equal(o->help[strlen(o->help) - 1], '.');
	assert_true(o->help[0] >= 'A' && o->help[0] <= 'Z');
	assert_true(o->min <= o->max || o->max == 0);
	if (o->at_start) /* compared as texts */
		assert_true(g == &schema_settings && (o->type == SCHEMA_PATH || o->type == SCHEMA_USER));
	if (g->size)
		assert_in_range(o->offset, 0, g->size - 1);
}

static void check_type(const struct schema_group *g, const struct schema_option *o)
{
	bool group = o->type == SCHEMA_GROUP || o->type == SCHEMA_GROUPS;

	assert_int_equal(group, o->group != NULL);
	if (o->type == SCHEMA_WORD)
		assert_non_null(o->words);
	if (o->type == SCHEMA_GROUPS) {
		assert_true(o->group->size > 0 && o->group->line > 0 && o->max > 0);
		assert_in_range(o->group->line, sizeof(char *), o->group->size - sizeof(int));
		assert_string_equal(o->group->name, o->name);
	}
	if (o->type == SCHEMA_INT || o->type == SCHEMA_DURATION)
		assert_true(o->max > 0);
	if (o->type != SCHEMA_LATER)
		assert_non_null(conf_value_kind(o->type)->wants);
	if (o->when)
		assert_non_null(schema_find(g, "type"));
	if (o->not_with)
		assert_non_null(schema_find(g, o->not_with));
	if (o->only_with)
		assert_non_null(schema_find(g, o->only_with));
	if (o->type == SCHEMA_AMOUNT)
		assert_true(o->words && o->max > 0);
	assert_false(o->required && o->fallback);
}

/* Every default is one that an admin could have written. */
static void check_fallback(const struct schema_group *g, const struct schema_option *o)
{
	struct conf_value v = {.arena = arena_new(), .folder = "/etc/dovad"};
	int64_t field[4] = {0};

	(void)g;
	if (o->fallback && !conf_value_put(&v, o, o->fallback, field))
		fail_msg("%s = %s: %s", o->name, o->fallback, v.why);
	arena_free(v.arena);
}

static void rows_are_sound(void **state)
{
	(void)state;
	everywhere(check_row);
	everywhere(check_type);
	everywhere(check_fallback);
}

static void settings_and_top_do_not_overlap(void **state)
{
	(void)state;
	for (const struct schema_option *o = schema_settings.options; o->name; o++)
		assert_null(schema_find(&schema_top, o->name));
}

static void key_words_are_those_of_the_keys(void **state)
{
	const struct schema_option *o = schema_find(schema_find(&schema_top, "certificate")->group, "key");

	(void)state;
	for (int i = 0; i < KEY_TYPES; i++)
		assert_string_equal(o->words[i], key_type_name((enum key_type)i));
	assert_null(o->words[KEY_TYPES]);
	assert_ptr_equal(schema_find(schema_find(&schema_top, "ca")->group, "account_key")->words, o->words);
}

static void defaults_are_those_of_a_certificate(void **state)
{
	const struct schema_group *certificate = schema_find(&schema_top, "certificate")->group;
	const struct schema_group *defaults = schema_find(&schema_top, "defaults")->group;

	(void)state;
	assert_null(schema_find(defaults, "name"));
	assert_null(schema_find(defaults, "names"));
	for (const struct schema_option *o = certificate->options; o->name; o++)
		if (strcmp(o->name, "name") != 0 && strcmp(o->name, "names") != 0)
			assert_ptr_equal(schema_find(defaults, o->name), o);
	/* A certificate starts as a copy of them, so they are read before. */
	assert_true(schema_find(&schema_top, "defaults") < schema_find(&schema_top, "certificate"));
}

static void later_ones_are_known(void **state)
{
	static const char *const top[] = {"notify"}, *const settings[] = {"web", "providers"};

	(void)state;
	for (size_t i = 0; i < sizeof top / sizeof top[0]; i++)
		assert_int_equal(schema_find(&schema_top, top[i])->type, SCHEMA_LATER);
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		assert_int_equal(schema_find(&schema_settings, settings[i])->type, SCHEMA_LATER);
	assert_null(schema_find(&schema_top, "nothing"));
	assert_null(schema_find(&schema_top, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_sound),
		cmocka_unit_test(settings_and_top_do_not_overlap),
		cmocka_unit_test(key_words_are_those_of_the_keys),
		cmocka_unit_test(defaults_are_those_of_a_certificate),
		cmocka_unit_test(later_ones_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
