/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static char seen[8192];
static enum log_level seen_level;
static int seen_count;

static void sink(void *arg, enum log_level level, const char *line)
{
	assert_ptr_equal(arg, seen);
	snprintf(seen, sizeof seen, "%s", line);
	seen_level = level;
	seen_count++;
}

static int setup(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_open("dovad", LOG_LEVEL_DEBUG);
	log_set_sink(sink, seen);
	seen[0] = '\0';
	seen_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	clock_thaw();
	return 0;
}

static void test_pairs_and_quoting(void **state)
{
	(void)state;
	log_notice("certificate installed", "name", "web", "none", NULL, "empty", "", "said", "a \"b\" c", "path",
		   "a\\b", "eq", "x=y", "n", log_num(-42), NULL);
	assert_string_equal(seen, "certificate installed name=web empty=\"\" said=\"a \\\"b\\\" c\" path=\"a\\\\b\" "
				  "eq=\"x=y\" n=-42");
	assert_int_equal(seen_level, LOG_LEVEL_NOTICE);
	log_error("alone", NULL);
	assert_string_equal(seen, "alone");
	assert_int_equal(seen_level, LOG_LEVEL_ERROR);
}

static void test_hostile_values_stay_on_one_line(void **state)
{
	(void)state;
	log_warning("refused", "detail", "x\n2026-11-22T16:43:48Z dovad error fake \033[2J\x7f \xff \xe2\x80\xae",
		    NULL);
	assert_string_equal(seen, "refused detail=\"x\\x0a2026-11-22T16:43:48Z dovad error fake \\x1b[2J\\x7f \\xff "
				  "\\u{202e}\"");
}

static void test_long_values_are_cut(void **state)
{
	char value[20000];
	char quotes[20000];

	(void)state;
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	memset(quotes, '"', sizeof quotes - 1);
	quotes[sizeof quotes - 1] = '\0';
	log_info("m", "a", value, NULL);
	assert_true(strlen(seen) < 2000);
	log_info("m", "a", value, "b", quotes, "c", value, "d", quotes, "e", value, "f", "tail", NULL);
	assert_true(strlen(seen) < 4096);
	assert_non_null(strstr(seen, " f=tail"));
	memset(value, '\n', sizeof value - 1);
	log_info("m", "a", value, "b", value, "c", value, "d", value, NULL);
	assert_true(strlen(seen) < 4096);
	assert_null(strchr(seen, '\n'));
	log_info(value, NULL);
	assert_true(strlen(seen) < 4096);
}

static void test_levels(void **state)
{
	static const enum log_level levels[] = { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO,
						 LOG_LEVEL_DEBUG };

	(void)state;
	for (int i = 0; i < 5; i++) {
		seen_count = 0;
		log_set_level(levels[i]);
		log_error("e", NULL);
		log_warning("w", NULL);
		log_notice("n", NULL);
		log_info("i", NULL);
		log_debug("d", NULL);
		assert_int_equal(seen_count, i + 1);
		assert_int_equal(seen_level, levels[i]);
	}
}

static void test_numbers_and_times(void **state)
{
	const char *kept[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		kept[i] = i % 2 ? log_num(i) : log_time(i);
	assert_string_equal(kept[0], "1970-01-01T00:00:00Z");
	assert_string_equal(kept[1], "1");
	assert_string_equal(kept[14], "1970-01-01T00:00:14Z");
	assert_string_equal(kept[15], "15");
	assert_string_equal(log_num(INT64_MIN), "-9223372036854775808");
	assert_string_equal(log_time(1795365828), "2026-11-22T16:43:48Z");
}

static void test_err_in_one_value(void **state)
{
	struct err err;

	(void)state;
	err_set(&err, ERR_DENIED, "unauthorized", "no such account");
	assert_string_equal(log_err(&err), "no such account (unauthorized)");
	err.http_status = 403;
	strcpy(err.during, "create order");
	assert_string_equal(log_err(&err), "create order: no such account (unauthorized, HTTP 403)");
	err.type[0] = '\0';
	assert_string_equal(log_err(&err), "create order: no such account (HTTP 403)");
	memset(err.detail, 'd', sizeof err.detail - 1);
	memset(err.type, 't', sizeof err.type - 1);
	memset(err.during, 'w', sizeof err.during - 1);
	err.http_status = -2147483647 - 1;
	assert_non_null(strstr(log_err(&err), "HTTP -2147483648)"));
}

/* stderr replaced by a pipe until captured() gives its text back. */
static int saved_stderr, pipe_end;

static void capture(void)
{
	int fds[2];

	log_set_sink(NULL, NULL);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	pipe_end = fds[0];
}

static const char *captured(void)
{
	static char text[8192];
	ssize_t n;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	n = read(pipe_end, text, sizeof text - 1);
	close(pipe_end);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_terminal_form(void **state)
{
	(void)state;
	clock_freeze(1795365828);
	capture();
	log_open("dovad-keeper", LOG_LEVEL_NOTICE);
	log_notice("key made", "name", "web", "note", "two words", NULL);
	log_info("not shown", NULL);
	assert_string_equal(captured(),
			    "2026-11-22T16:43:48Z dovad-keeper notice key made name=web note=\"two words\"\n");
}

static void test_journal_form(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	capture();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("dovad", LOG_LEVEL_DEBUG);
	log_notice("key made", "name", "web", NULL);
	log_error("broken", NULL);
	log_debug("sent", NULL);
	assert_string_equal(captured(), "<5>key made name=web\n<3>broken\n<7>sent\n");
}

static void test_other_journal_stream_is_a_terminal(void **state)
{
	(void)state;
	clock_freeze(0);
	capture();
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open("dovad", LOG_LEVEL_DEBUG);
	log_error("x", NULL);
	assert_string_equal(captured(), "1970-01-01T00:00:00Z dovad error x\n");
}

static void test_full_stderr_drops_and_counts(void **state)
{
	static char junk[65536];
	const char *text;
	int64_t before;

	(void)state;
	capture();
	log_open("dovad", LOG_LEVEL_DEBUG);
	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	while (write(STDERR_FILENO, junk, sizeof junk) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, 0);
	before = clock_mono_ms();
	for (int i = 0; i < 200; i++)
		log_error("lost", NULL);
	assert_true(clock_mono_ms() - before < 2000);
	fcntl(pipe_end, F_SETFL, O_NONBLOCK);
	while (read(pipe_end, junk, sizeof junk) > 0)
		;
	log_error("again", NULL);
	log_error("and on", NULL);
	text = captured();
	assert_non_null(strstr(text, "again lines_lost=200\n"));
	assert_non_null(strstr(text, "and on\n"));
}

static void test_hung_up_stderr_does_not_kill(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		capture();
		close(pipe_end);
		log_error("nobody listens", NULL);
		log_error("nobody listens", NULL);
		_exit(7);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_closed_stderr_is_not_taken_by_a_file(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		log_set_sink(NULL, NULL);
		close(STDIN_FILENO);
		close(STDERR_FILENO);
		log_open("dovad", LOG_LEVEL_DEBUG);
		log_error("into nothing", NULL);
		_exit(open("/dev/null", O_RDONLY | O_CLOEXEC) > STDERR_FILENO ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pairs_and_quoting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_values_stay_on_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_values_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_and_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_err_in_one_value, setup, teardown),
		cmocka_unit_test_setup_teardown(test_terminal_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_journal_form, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_journal_stream_is_a_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_stderr_drops_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hung_up_stderr_does_not_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_stderr_is_not_taken_by_a_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
