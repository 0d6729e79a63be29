/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-bus.h>
#endif

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "io/systemd.h"

static unsigned warnings;

static void count_warning(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)line;
	warnings += level == LOG_LEVEL_WARNING;
}

static int clean_env(void **state)
{
	static const char *const names[] = {
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
	warnings = 0;
	log_set_sink(count_warning, NULL);
	return 0;
}

static void notify_through(struct sockaddr_un *sun, socklen_t len, const char *name)
{
	char text[128];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ssize_t n;

	assert_int_equal(bind(fd, (struct sockaddr *)sun, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	systemd_notify("READY=1\nSTATUS=here");
	systemd_notify("WATCHDOG=1");
	n = recv(fd, text, sizeof(text), 0);
	assert_int_equal(n, strlen("READY=1\nSTATUS=here"));
	assert_memory_equal(text, "READY=1\nSTATUS=here", (size_t)n);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 10);
	assert_int_equal(warnings, 0);
	close(fd);
}

static void test_notify(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/dovad-notify-XXXXXX", name[64];
	int n;

	(void)state;
	systemd_notify("READY=1"); /* nobody to tell: nothing happens */
	assert_int_equal(warnings, 0);
	n = snprintf(name, sizeof(name), "@dovad-notify-%d", (int)getpid());
	memcpy(sun.sun_path + 1, name + 1, (size_t)n - 1);
	notify_through(&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n), name);
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/s", dir);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", name);
	notify_through(&sun, sizeof(sun), name);
	systemd_notify("READY=1"); /* nobody listens any more */
	assert_int_equal(warnings, 1);
	assert_true(file_remove_tree(AT_FDCWD, dir, NULL));
}

static void test_notify_bad_addresses(void **state)
{
	static const char *const rows[] = { "relative", "@", "/", "vsock:2:1" };
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setenv("NOTIFY_SOCKET", rows[i], 1);
		systemd_notify("READY=1");
		assert_int_equal(warnings, i + 1);
	}
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	systemd_notify("READY=1");
	assert_int_equal(warnings, 5);
}

static void test_watchdog(void **state)
{
	char pid[16];

	(void)state;
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(systemd_watchdog_ms(), 30000);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(systemd_watchdog_ms(), 30000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_PID", "x", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "-5", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "99999999999999999999", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "20s", 1);
	assert_int_equal(systemd_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "5", 1);
	assert_int_equal(systemd_watchdog_ms(), 1);
}

/* In a process of its own: descriptors 3 to 5 are made to be what is wanted. */
static int check_listen_fds(void)
{
	char pid[16];
	int fds[4] = { -1, -1, -1, -1 };

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (int fd = 3; fd < 6; fd++)
		if (dup2(0, fd) < 0)
			return 1;
	close(6);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_PID", "1", 1);
	if (systemd_listen_fds(NULL, fds, 4) != 0)
		return 2;
	setenv("LISTEN_PID", pid, 1);
	if (systemd_listen_fds("varlink", fds, 4) != 0) /* no names given */
		return 3;
	if (systemd_listen_fds(NULL, fds, 2) != 2 || fds[0] != 3 || fds[1] != 4 || fds[2] != -1)
		return 4;
	if (fcntl(3, F_GETFD) != FD_CLOEXEC || fcntl(4, F_GETFD) != FD_CLOEXEC || fcntl(5, F_GETFD) != 0)
		return 5;
	setenv("LISTEN_FDNAMES", "http:varlink:http", 1);
	if (systemd_listen_fds("http", fds, 4) != 2 || fds[0] != 3 || fds[1] != 5)
		return 6;
	if (systemd_listen_fds("varlink", fds, 4) != 1 || fds[0] != 4)
		return 7;
	if (systemd_listen_fds("var", fds, 4) != 0 || systemd_listen_fds("", fds, 4) != 0)
		return 8;
	setenv("LISTEN_FDNAMES", "http", 1); /* fewer names than descriptors */
	if (systemd_listen_fds("http", fds, 4) != 1)
		return 9;
	setenv("LISTEN_FDS", "4", 1); /* one of them is not there */
	if (systemd_listen_fds(NULL, fds, 4) != 3)
		return 10;
	setenv("LISTEN_FDS", "99999999999", 1);
	if (systemd_listen_fds(NULL, fds, 4) != 0)
		return 11;
	setenv("LISTEN_FDS", "-1", 1);
	return systemd_listen_fds(NULL, fds, 4) == 0 ? 0 : 12;
}

static void test_listen_fds(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(check_listen_fds());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_is_running(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(systemd_is_running(), lstat("/run/systemd/system", &st) == 0);
}

#ifdef HAVE_LIBSYSTEMD

#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define JOB "/org/freedesktop/systemd1/job/7"

/* A service manager for the test: how each of its units behaves. */
static const struct unit {
	const char *name;
	const char *load, *before, *after; /* LoadState; ActiveState before and after a reload */
	uint32_t pid_before, pid_after;
	const char *job; /* its result; NULL: it never ends */
	/* What is to come of it. */
	bool was_active;
	const char *failure; /* part of the text; NULL: success */
} units[] = {
	{ "good.service", "loaded", "active", "active", 10, 10, "done", true, NULL },
	{ "forked.service", "loaded", "active", "active", 10, 11, "done", true, NULL },
	{ "good.target", "loaded", "active", "active", 0, 0, "done", true, NULL },
	{ "still.service", "loaded", "inactive", "inactive", 0, 0, "done", false, NULL },
	{ "broken.service", "loaded", "failed", "failed", 0, 0, "done", false, NULL },
	{ "hopeless.service", "loaded", "failed", "failed", 0, 0, "failed", false, NULL },
	{ "absent.service", "not-found", "inactive", "inactive", 0, 0, "done", false, "no such unit" },
	{ "fails.service", "loaded", "active", "active", 10, 10, "failed", true, "reload ended with \"failed\"" },
	{ "cancelled.service", "loaded", "active", "active", 10, 10, "canceled", true,
		"\"canceled\"; unit is active (sub)" },
	{ "dies.service", "loaded", "active", "failed", 10, 0, "done", true,
		"failed (sub) after the reload, result exit-code" },
	{ "lost.service", "loaded", "active", "active", 10, 0, "done", true, "lost its main process 10" },
	{ "hangs.service", "loaded", "active", "active", 10, 10, NULL, true, "in time" },
	{ "refuses.service", "loaded", "active", "active", 10, 10, "refuse", true, "Job type reload is not" },
	{ "mute.service", "loaded", "active", "active", 10, 10, "done", false, "in time" },
};

static bool reloaded, started, forgotten; /* the unit asked for last */

static const struct unit *find_unit(const char *name)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

static int load_unit(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const char *name;
	char *path;
	int result;

	(void)arg;
	(void)error;
	reloaded = started = forgotten = false;
	result = sd_bus_message_read(m, "s", &name);
	if (result < 0 || strcmp(name, "mute.service") == 0)
		return 1; /* no answer, ever */
	result = sd_bus_path_encode(UNIT_PREFIX, name, &path);
	if (result >= 0)
		result = sd_bus_reply_method_return(m, "o", path);
	free(path);
	return result;
}

static int subscribe(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	(void)arg;
	(void)error;
	return sd_bus_reply_method_return(m, NULL);
}

static void job_ended(sd_bus *bus, const char *job, const char *unit, const char *result)
{
	sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss",
		(uint32_t)7, job, unit, result);
}

/* The end of the job is told before the answer that names the job, and somebody else's failure before both. */
static int reload_unit(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	sd_bus *bus = sd_bus_message_get_bus(m);
	const struct unit *u;
	const char *name, *mode;

	(void)arg;
	(void)error;
	if (sd_bus_message_read(m, "ss", &name, &mode) < 0 || strcmp(mode, "replace") != 0)
		return -EINVAL;
	u = find_unit(name);
	if (u->job && strcmp(u->job, "refuse") == 0)
		return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.JobTypeNotApplicable",
			"Job type reload is not applicable for unit %s.", name);
	reloaded = true;
	job_ended(bus, "/org/freedesktop/systemd1/job/6", "other.service", "failed");
	if (u->job)
		job_ended(bus, JOB, name, u->job);
	return sd_bus_reply_method_return(m, "o", JOB);
}

static bool start_helps(const struct unit *u)
{
	return strcmp(u->name, "hopeless.service") != 0;
}

static int reset_failed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	(void)arg;
	(void)error;
	forgotten = true;
	return sd_bus_reply_method_return(m, NULL);
}

/* As a manager does with one that failed too often: only once that is forgotten. */
static int start_unit(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	const struct unit *u;
	const char *name, *mode;

	(void)arg;
	(void)error;
	if (sd_bus_message_read(m, "ss", &name, &mode) < 0 || strcmp(mode, "replace") != 0)
		return -EINVAL;
	u = find_unit(name);
	started = start_helps(u) && forgotten;
	job_ended(sd_bus_message_get_bus(m), JOB, name, started ? "done" : "failed");
	return sd_bus_reply_method_return(m, "o", JOB);
}

static int get_state(sd_bus *bus, const char *path, const char *iface, const char *property, sd_bus_message *reply,
	void *arg, sd_bus_error *error)
{
	const struct unit *u;
	char *name;

	(void)bus;
	(void)iface;
	(void)arg;
	(void)error;
	if (sd_bus_path_decode(path, UNIT_PREFIX, &name) <= 0)
		return -ENOENT;
	u = find_unit(name);
	free(name);
	if (started && strcmp(property, "ActiveState") == 0)
		return sd_bus_message_append(reply, "s", "active");
	if (strcmp(property, "MainPID") == 0)
		return sd_bus_message_append(reply, "u", reloaded ? u->pid_after : u->pid_before);
	return sd_bus_message_append(reply, "s", strcmp(property, "LoadState") == 0 ? u->load :
		strcmp(property, "SubState") == 0 ? "sub" : strcmp(property, "Result") == 0 ? "exit-code" :
		reloaded ? u->after : u->before);
}

static const sd_bus_vtable manager_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("LoadUnit", "s", "o", load_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Subscribe", NULL, NULL, subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ReloadUnit", "ss", "o", reload_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ResetFailedUnit", "s", NULL, reset_failed, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("StartUnit", "ss", "o", start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
	SD_BUS_VTABLE_END,
};
static const sd_bus_vtable unit_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("LoadState", "s", get_state, 0, 0),
	SD_BUS_PROPERTY("ActiveState", "s", get_state, 0, 0),
	SD_BUS_PROPERTY("SubState", "s", get_state, 0, 0),
	SD_BUS_VTABLE_END,
};
static const sd_bus_vtable service_table[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("MainPID", "u", get_state, 0, 0),
	SD_BUS_PROPERTY("Result", "s", get_state, 0, 0),
	SD_BUS_VTABLE_END,
};

static int find_object(sd_bus *bus, const char *path, const char *iface, void *arg, void **found, sd_bus_error *error)
{
	(void)bus;
	(void)iface;
	(void)arg;
	(void)error;
	*found = (void *)path;
	return 1;
}

static _Noreturn void be_manager(int ready)
{
	sd_bus *bus = NULL;

	if (sd_bus_open_system(&bus) < 0 ||
		sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
			manager_table, NULL) < 0 ||
		sd_bus_add_fallback_vtable(
			bus, NULL, UNIT_PREFIX, "org.freedesktop.systemd1.Unit", unit_table, find_object, NULL) < 0 ||
		sd_bus_add_fallback_vtable(bus, NULL, UNIT_PREFIX, "org.freedesktop.systemd1.Service", service_table,
			find_object, NULL) < 0 ||
		sd_bus_request_name(bus, "org.freedesktop.systemd1", 0) < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	while (sd_bus_process(bus, NULL) > 0 || sd_bus_wait(bus, UINT64_MAX) >= 0)
		;
	_exit(0);
}

struct bus {
	char dir[32];
	pid_t daemon;
	pid_t manager;
};

static const char bus_config[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
	"\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">"
	"<busconfig><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth><policy context=\"default\">"
	"<allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>"
	"</policy></busconfig>";

static bool await_byte(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1;
}

static pid_t start_daemon(const char *dir)
{
	char text[1024], path[64], option[96];
	struct err err;
	int fds[2], n = snprintf(text, sizeof(text), bus_config, dir);
	pid_t pid;
	bool ok;

	snprintf(path, sizeof(path), "%s/config", dir);
	assert_true(file_create(AT_FDCWD, path, text, (size_t)n, 0644, &err));
	assert_int_equal(pipe(fds), 0);
	snprintf(option, sizeof(option), "--print-address=%d", fds[1]);
	snprintf(text, sizeof(text), "--config-file=%s", path);
	pid = fork();
	if (pid == 0) {
		execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", text, option, NULL);
		_exit(127);
	}
	close(fds[1]);
	ok = await_byte(fds[0]); /* it prints its address when it listens */
	close(fds[0]);
	if (ok)
		return pid;
	waitpid(pid, NULL, 0);
	return -1;
}

static int open_bus(void **state)
{
	struct bus *b = calloc(1, sizeof(*b));
	char address[64];
	int fds[2];

	*state = b;
	strcpy(b->dir, "/tmp/dovad-bus-XXXXXX");
	if (!mkdtemp(b->dir))
		return -1;
	b->daemon = start_daemon(b->dir);
	if (b->daemon < 0)
		return 0; /* no dbus-daemon here: skipped */
	snprintf(address, sizeof(address), "unix:path=%s/bus", b->dir);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	if (pipe(fds) != 0)
		return -1;
	b->manager = fork();
	if (b->manager == 0)
		be_manager(fds[1]);
	close(fds[1]);
	if (!await_byte(fds[0]))
		return -1;
	close(fds[0]);
	return 0;
}

static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int close_bus(void **state)
{
	struct bus *b = *state;
	bool removed = file_remove_tree(AT_FDCWD, b->dir, NULL);

	end_process(b->manager);
	end_process(b->daemon);
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
	free(b);
	return removed ? 0 : -1;
}

static void test_reload_unit(void **state)
{
	struct bus *b = *state;

	if (b->daemon < 0)
		skip();
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		const struct unit *u = &units[i];
		int64_t before = clock_mono_ms();
		bool was_active = !u->was_active, ok;
		bool slow = !u->job || strcmp(u->name, "mute.service") == 0;
		struct err err = { 0 };

		ok = systemd_reload_unit(u->name, slow ? 1000 : 20000, &was_active, &err);
		if (ok != (u->failure == NULL) || was_active != u->was_active ||
			(u->failure && !strstr(err.detail, u->failure)))
			fail_msg("%s: ok %d, was active %d, error \"%s\"", u->name, ok, was_active, err.detail);
		if (!ok) {
			assert_int_equal(err.kind, ERR_LOCAL);
			assert_ptr_equal(strstr(err.detail, u->name), err.detail);
		}
		assert_true(clock_mono_ms() - before < 10000);
	}
}

/* What runs is reloaded, what does not is started, and nothing else. */
static void test_restore_unit(void **state)
{
	struct bus *b = *state;

	if (b->daemon < 0)
		skip();
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		const struct unit *u = &units[i];
		bool at_rest = !u->was_active && !u->failure, good = at_rest ? start_helps(u) : !u->failure, was_active, ok;
		struct err err = { 0 };

		if (!u->job || strcmp(u->name, "mute.service") == 0)
			continue;
		ok = systemd_restore_unit(u->name, 20000, &was_active, &err);
		if (ok != good || was_active != u->was_active)
			fail_msg("%s: ok %d, was active %d, error \"%s\"", u->name, ok, was_active, err.detail);
		if (at_rest && !good)
			assert_non_null(strstr(err.detail, "start ended with \"failed\"; unit is failed"));
	}
}

static void test_reload_unit_without_manager(void **state)
{
	struct bus *b = *state;
	bool was_active;
	struct err err;

	if (b->daemon < 0)
		skip();
	end_process(b->manager);
	b->manager = 0;
	assert_false(systemd_reload_unit("good.service", 5000, &was_active, &err));
	assert_int_equal(err.kind, ERR_LOCAL);
	end_process(b->daemon);
	b->daemon = 0;
	assert_false(systemd_reload_unit("good.service", 5000, &was_active, &err));
	assert_non_null(strstr(err.detail, "connect to the system bus"));
	assert_false(was_active);
}

#define RELOAD_TESTS \
	cmocka_unit_test_setup_teardown(test_reload_unit, open_bus, close_bus), \
	cmocka_unit_test_setup_teardown(test_restore_unit, open_bus, close_bus), \
	cmocka_unit_test_setup_teardown(test_reload_unit_without_manager, open_bus, close_bus),

#else

static void test_reload_unit_is_not_built_in(void **state)
{
	bool was_active = true;
	struct err err;

	(void)state;
	assert_false(systemd_reload_unit("good.service", 5000, &was_active, &err));
	assert_false(was_active);
	assert_non_null(strstr(err.detail, "libsystemd"));
}

#define RELOAD_TESTS cmocka_unit_test(test_reload_unit_is_not_built_in),

#endif

#define TEST(name) cmocka_unit_test_setup(name, clean_env)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_notify),
		TEST(test_notify_bad_addresses),
		TEST(test_watchdog),
		TEST(test_listen_fds),
		TEST(test_is_running),
		RELOAD_TESTS
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
