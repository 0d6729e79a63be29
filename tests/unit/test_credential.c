/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper/credential.h"
#include "keeper_fixture.h"

#define SITE FIXTURE_CONF "certificate = { name = \"site\"; names = [ \"example.org\" ]; prove = [ \"http:www\" ]; };\n"

static void secret_is(const struct fixture *f, const char *name, const char *text)
{
	struct buf out;
	struct err err = { 0 };
	bool ok;

	buf_init(&out, 0);
	ok = credential_read(f->conf->settings.credentials, name, &out, &err);
	assert_int_equal(ok, text != NULL);
	if (text)
		assert_string_equal(out.data, text);
	else
		assert_null(strstr(err.detail, "hush")); /* and never told in the message */
	buf_wipe(&out);
}

static void secrets(void **state)
{
	struct fixture *f = *state;
	char *path;

	fixture_configure(f, SITE);
	path = fixture_path(f, "credentials");
	secret_is(f, "eab", NULL);
	assert_int_equal(mkdir(path, 0700), 0);
	fixture_write(f, "credentials/eab", "hush\r\n", 0600);
	secret_is(f, "eab", "hush");
	fixture_write(f, "credentials/eab", "hush", 0640);
	secret_is(f, "eab", NULL);
	fixture_write(f, "credentials/eab", "hush", 0604);
	secret_is(f, "eab", NULL);
	fixture_write(f, "credentials/eab", "\n", 0600);
	secret_is(f, "eab", NULL);
	fixture_write(f, "outside", "hush", 0600);
	secret_is(f, "../outside", NULL);
	secret_is(f, ".", NULL);
	secret_is(f, "", NULL);
	free(path);
	path = fixture_path(f, "credentials/link");
	assert_int_equal(symlink("../outside", path), 0);
	secret_is(f, "link", NULL);
	free(path);
	/* The service manager's come first; how it guards them is its business. */
	path = fixture_path(f, "manager");
	assert_int_equal(mkdir(path, 0700), 0);
	fixture_write(f, "manager/eab", "from the manager", 0644);
	fixture_write(f, "credentials/eab", "hush", 0600);
	fixture_write(f, "credentials/other", "hush", 0600);
	setenv("CREDENTIALS_DIRECTORY", path, 1);
	secret_is(f, "eab", "from the manager");
	secret_is(f, "other", "hush");
	unsetenv("CREDENTIALS_DIRECTORY");
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(secrets, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
