/* SPDX-License-Identifier: ISC */
/* What comes before libconfig: bytes and syntax. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf_made.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool precheck(const char *text, size_t len, struct conf_problem *p, struct arena *arena)
{
	char *copy = mem_array(len ? len : 1, 1); /* no NUL behind it */
	struct conf_source s = {.path = "x.conf", .text = copy, .len = len};
	bool ok;

	memcpy(copy, text, len);
	ok = conf_precheck(&s, arena, p);
	free(copy);
	return ok;
}

static void check_good(const char *text)
{
	struct arena *arena = arena_new();
	struct conf_problem p;

	if (!precheck(text, strlen(text), &p, arena))
		fail_msg("\"%s\": %d: %s", text, p.line, p.text);
	assert_null(p.text);
	arena_free(arena);
}

static void check_bad_bytes(const char *text, size_t len, int line, const char *why)
{
	struct arena *arena = arena_new();
	struct conf_problem p;

	if (precheck(text, len, &p, arena))
		fail_msg("\"%.60s\" passed", text);
	assert_string_equal(p.file, "x.conf");
	if (p.line != line || !strstr(p.text, why))
		fail_msg("\"%.60s\": line %d \"%s\" instead of line %d \"%s\"", text, p.line, p.text, line, why);
	arena_free(arena);
}

static void check_bad(const char *text, int line, const char *why)
{
	check_bad_bytes(text, strlen(text), line, why);
}

static void good_texts_pass(void **state)
{
	static const char *const rows[] = {
		"",
		"\n",
		"# only a comment, without an end of line",
		"// the same",
		"/* a\nb */",
		"a = 1",
		"a = 1;",
		"a = 1,",
		"a : 1 b = 2",
		"a = -2147483648; b = +2147483647; c = 0;",
		"a = true; b = FALSE; c = False;",
		"a = \"\"; b = \"x \\\" \\\\ y\";",
		"a = [ ]; b = ( ); c = { };",
		"a = [ 1, 2 ]; b = ( 1, \"x\", [ true ], ( { a = 1; } ) );",
		"a = { a = { a = 1; }; };",
		"a = ( { a = 1; }, { a = 1; } );",
		("\xef\xbb\xbf"
		 "a = 1;"),		    /* byte order mark */
		"a = \"x\";\r\nb = 1;\r\n", /* CRLF */
		"a = \"b\xc3\xbc\xe2\x82\xac\xf0\x9f\x8e\x89\";",
		"a-b_c*9 = 1;",
		"# @include \"x\"\n/*\n@include \"x\"\n*/a = \"@include\";",
		"a = \"# no comment /* at all */ // here\";",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_good(rows[i]);
}

static void bytes_are_refused(void **state)
{
	(void)state;
	check_bad_bytes("a = 1;\n\0b = 2;", 14, 2, "NUL");
	check_bad_bytes("a = \"x\0y\";", 10, 1, "NUL");
	check_bad_bytes("\0", 1, 1, "NUL");
	check_bad("a = \"\xff\";", 1, "UTF-8");
	check_bad("\n\n# \xc3", 3, "UTF-8");		/* cut */
	check_bad("a = \"\xc0\xaf\";", 1, "UTF-8");	/* overlong */
	check_bad("a = \"\xed\xa0\x80\";", 1, "UTF-8"); /* surrogate */
	check_bad("a = \"\xf5\x80\x80\x80\";", 1, "UTF-8");
	check_bad("# \xe2\x80\xae gpj.exe", 1, "direction"); /* bidi, in a comment too */
	check_bad("a = \"\xe2\x81\xa6\";", 1, "direction");
	check_bad("a = \"\xc2\x85\";", 1, "control");
	check_bad("a = \"\x1b[2J\";", 1, "control");
	check_bad("a = 1;\x7f", 1, "control");
	check_bad("a = 1;\f", 1, "control");
	check_bad("a = 1;\rb = 2;", 1, "carriage return");
	check_bad("a = 1;\r", 1, "carriage return");
	check_bad("a = 1;\n\xef\xbb\xbf", 2, "control"); /* a mark that is not in front */
}

static void syntax_is_explained(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *why;
	} rows[] = {
		{"a = [ 1, 2, ];", 1, "trailing comma"},
		{"a = (\n { b = 1; },\n);", 3, "trailing comma"},
		{"a = [ 1 2 ];", 1, "expected a comma"},
		{"a = [ \"x\" \"y\" ];", 1, "comma is missing"},
		{"a = ( { } { } );", 1, "comma is missing"},
		{"a = \"x\" \"y\";", 1, "side by side"},
		{"a = [ { } ];", 1, "not in [ ]"},
		{"a = [ ( ) ];", 1, "not in [ ]"},
		{"a = [ 1, \"x\" ];", 1, "of one kind"},
		{"a = ( b = 1 );", 1, "{ }"},
		{"a = x;", 1, "quotes"},
		{"a = 'x';", 1, "double quotes"},
		{"a = [ x ];", 1, "quotes"},
		{"a { b = 1; }", 1, "expected ="},
		{"a 1;", 1, "expected ="},
		{"a = ;", 1, "expected a value"},
		{"a = ", 1, "expected a value"},
		{"a", 1, "expected ="},
		{"= 1;", 1, "expected the name"},
		{"1 = 1;", 1, "expected the name"},
		{"a = 1;;", 1, "a ; too many"},
		{"a = 1;,", 1, "a comma too many"},
		{"a = 1; }", 1, "a } too many"},
		{"a = (\n{ b = 1;\n);", 3, "the { of line 2 is closed by )"},
		{"a = {\nb = 1;", 2, "the { of line 1 is not closed"},
		{"a = [ 1", 1, "the [ of line 1 is not closed"},
		{"a = [ 1;", 1, "separated by commas"},
		{"a = \"x\nb = \"y\";", 1, "not closed before the end of its line"},
		{"\na = \"x", 2, "not closed before the end of the file"},
		{"a = \"x\\", 1, "not closed before the end of the file"},
		{"a = \"x\ty\";", 1, "tab"},
		{"a = \"\\x00\";", 1, "backslash"},
		{"a = \"\\n\";", 1, "backslash"},
		{"a = 1;\n/* b\n\n", 2, "never closed"},
		{"a = 1; /", 1, "no meaning"},
		{"a = $b;", 1, "no meaning"},
		{"a = \xc3\xbc;", 1, "no meaning"},
		{"\n@include \"/etc/shadow\"\n", 2, "@include"},
		{"  \t@include \"x.conf\"", 1, "@include"},
		{"a = 1; @include \"x.conf\"", 1, "@include"},
		{"a = { @include \"x.conf\" };", 1, "@include"},
		{"/* */ @include \"x.conf\"", 1, "@include"},
		{"a = 1;\nb = 1;\na = 2;", 3, "a stands twice"},
		{"a = { b = 1;\nb = 2; };", 2, "b stands twice"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_bad(rows[i].text, rows[i].line, rows[i].why);
}

static void numbers_are_checked(void **state)
{
	static const char *const far[] = {"4294967297", "2147483648", "-2147483649", "99999999999999999999", "4294967297999999999999999999999999"};
	static const char *const odd[] = {"1e400", "1.5", ".5", "0x1f", "1L", "12abc", "1-2", "-", "+", ".", "--1", "0b1", "0o7"};
	static const char *const octal[] = {"010", "0640", "00", "-01"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(far); i++) {
		snprintf(text, sizeof text, "\nkeep = %s;", far[i]);
		check_bad(text, 2, "keep: a number out of range");
	}
	for (size_t i = 0; i < COUNT(odd); i++) {
		snprintf(text, sizeof text, "keep = [ %s ];", odd[i]);
		check_bad(text, 1, "keep: not a plain whole number");
	}
	for (size_t i = 0; i < COUNT(octal); i++) {
		snprintf(text, sizeof text, "mode = %s;", octal[i]);
		check_bad(text, 1, "mode: a leading zero");
	}
}

/* `n` times `piece`, between the others; the caller frees. */
static char *repeat(const char *before, const char *piece, size_t n, const char *after)
{
	char *text = mem_array(strlen(before) + n * strlen(piece) + strlen(after) + 1, 1), *s = stpcpy(text, before);

	for (size_t i = 0; i < n; i++)
		s = stpcpy(s, piece);
	strcpy(s, after);
	return text;
}

static void check_repeated(const char *before, const char *piece, size_t n, const char *after, const char *why)
{
	char *text = repeat(before, piece, n, after);

	if (why)
		check_bad(text, 1, why);
	else
		check_good(text);
	free(text);
}

static void sizes_are_limited(void **state)
{
	char *text = repeat("a = \"", "x", CONF_FILE_MAX, "\";");

	(void)state;
	check_bad(text, 0, "larger than 1048576 bytes");
	free(text);
	check_repeated("a = \"", "x", 4094, "\";", NULL);
	check_repeated("a = \"", "x", 4095, "\";", "more than 4096 bytes");
	check_repeated("a = ", "(", 32, "", "not closed");
	check_repeated("a = ", "(", 33, "", "nested more than 32");
	check_repeated("a = ", "(", 5000, "", "nested more than 32");
	check_repeated("", "a = { ", 33, "", "nested more than 32");
	check_repeated("a = ( 1", ",1", 79998, ");", NULL);
	check_repeated("a = ( 1", ",1", 79999, ");", "more than 80000 values");
	check_repeated("", "b", 63, " = 1;", NULL);
	check_repeated("", "b", 64, " = 1;", "more than 63 characters");
}

static void options_of_a_group_are_limited(void **state)
{
	char *text = mem_array(129, 16), *s = text;

	(void)state;
	for (int i = 0; i < 128; i++)
		s += sprintf(s, "a%d = 1; ", i);
	check_good(text);
	strcpy(s, "b = 1;");
	check_bad(text, 1, "more than 128 options");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts_pass),
		cmocka_unit_test(bytes_are_refused),
		cmocka_unit_test(syntax_is_explained),
		cmocka_unit_test(numbers_are_checked),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(options_of_a_group_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
