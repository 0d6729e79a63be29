/* SPDX-License-Identifier: ISC */
/* Apart from systemd.c, so that only dovad-run is linked with libsystemd. */
#include "config.h"

#include "io/systemd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/mem.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_IFACE MANAGER ".Manager"
#define UNIT_IFACE MANAGER ".Unit"
#define SERVICE_IFACE MANAGER ".Service"

/* One reload or start: what the manager said so far. */
struct work {
	sd_bus *bus;
	const char *unit;
	const char *verb;  /* "reload", "start": of errors, and their type */
	char *path;        /* of the unit on the bus */
	int64_t deadline;  /* clock_mono_ms */
	char *job;         /* of ours */
	char *result;      /* of the job, once it is gone */
	sd_bus_error error;
};

static bool fail(struct work *r, int errnum, const char *doing, struct err *err)
{
	const char *why = r->error.message ? r->error.message : strerror(-errnum);

	if (errnum == -ETIMEDOUT || errnum == -ETIME)
		why = "no answer from the service manager in time";
	err_set(err, ERR_LOCAL, r->verb, "%s: cannot %s: %s", r->unit, doing, why);
	if (err)
		err->errnum = -errnum;
	return false;
}

static int64_t left_us(const struct work *r)
{
	int64_t ms = r->deadline - clock_mono_ms();

	return ms > 0 ? ms * 1000 : 0;
}

/* Fresh error and the time that is left, before each call. */
static void prepare(struct work *r)
{
	int64_t us = left_us(r);

	sd_bus_error_free(&r->error);
	sd_bus_set_method_call_timeout(r->bus, (uint64_t)(us > 0 ? us : 1)); /* 0 would mean the default */
}

/* Call the manager with the unit's name (and a mode); its answer, an object path, is for the caller to free. */
static int call_path(struct work *r, const char *method, const char *mode, char **out)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int result;

	prepare(r);
	result = sd_bus_call_method(r->bus, MANAGER, MANAGER_PATH, MANAGER_IFACE, method, &r->error, &reply,
		mode ? "ss" : "s", r->unit, mode);
	if (result >= 0)
		result = sd_bus_message_read(reply, "o", &path);
	if (result >= 0)
		*out = mem_strdup(path);
	sd_bus_message_unref(reply);
	return result;
}

static int read_word(struct work *r, const char *iface, const char *property, char out[static 32])
{
	char *word = NULL;
	int result;

	prepare(r);
	result = sd_bus_get_property_string(r->bus, MANAGER, r->path, iface, property, &r->error, &word);
	snprintf(out, 32, "%s", word ? word : "unknown");
	free(word);
	return result;
}

/* 0: none, also for units that are no services. */
static uint32_t main_pid(struct work *r)
{
	uint32_t pid = 0;

	prepare(r);
	if (sd_bus_get_property_trivial(r->bus, MANAGER, r->path, SERVICE_IFACE, "MainPID", &r->error, 'u', &pid) < 0)
		return 0;
	return pid;
}

static int job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct work *r = arg;
	const char *job, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	if (r->job && !r->result && strcmp(job, r->job) == 0)
		r->result = mem_strdup(result);
	return 0;
}

static bool await_job(struct work *r, struct err *err)
{
	while (!r->result) {
		int result = sd_bus_process(r->bus, NULL);
		int64_t us = left_us(r);

		if (result == 0)
			result = us > 0 ? sd_bus_wait(r->bus, (uint64_t)us) : -ETIMEDOUT;
		if (result < 0 && result != -EINTR)
			return fail(r, result, "await the end of its job", err);
	}
	return true;
}

/* What the unit is after its job; a service whose reload killed it may have ended with the job "done". */
static bool judge(struct work *r, uint32_t pid_before, struct err *err)
{
	char active[32], sub[32], outcome[32];
	int result = read_word(r, UNIT_IFACE, "ActiveState", active);
	uint32_t pid_after = main_pid(r);

	if (result < 0)
		return fail(r, result, "read its state afterwards", err);
	(void)read_word(r, UNIT_IFACE, "SubState", sub);
	(void)read_word(r, SERVICE_IFACE, "Result", outcome);
	if (strcmp(r->result, "done") != 0)
		return err_set(err, ERR_LOCAL, r->verb, "%s: %s ended with \"%s\"; unit is %s (%s), result %s",
			r->unit, r->verb, r->result, active, sub, outcome);
	if (strcmp(active, "active") != 0 && strcmp(active, "reloading") != 0 && strcmp(active, "refreshing") != 0)
		return err_set(err, ERR_LOCAL, r->verb, "%s: %s (%s) after the %s, result %s", r->unit, active,
			sub, r->verb, outcome);
	if (pid_before != 0 && pid_after == 0)
		return err_set(err, ERR_LOCAL, "reload",
			"%s: lost its main process %u in the reload; unit is %s (%s), result %s", r->unit, pid_before,
			active, sub, outcome);
	return true;
}

static bool run_job(struct work *r, const char *method, struct err *err)
{
	uint32_t pid = main_pid(r);
	int result;

	/* Listening comes before asking, or a quick job would be missed. */
	prepare(r);
	result = sd_bus_match_signal(r->bus, NULL, MANAGER, MANAGER_PATH, MANAGER_IFACE, "JobRemoved", job_removed, r);
	if (result >= 0)
		result = sd_bus_call_method(r->bus, MANAGER, MANAGER_PATH, MANAGER_IFACE, "Subscribe", &r->error, NULL,
			NULL);
	if (result < 0)
		return fail(r, result, "subscribe to the service manager", err);
	result = call_path(r, method, "replace", &r->job);
	if (result < 0)
		return fail(r, result, r->verb, err);
	return await_job(r, err) && judge(r, pid, err);
}

/* *active: it runs, or is about to. */
static bool find_unit(struct work *r, bool *active, struct err *err)
{
	static const char *const at_rest[] = { "inactive", "failed", "deactivating" };
	char state[32];
	int result = sd_bus_open_system(&r->bus);

	if (result < 0)
		return fail(r, result, "connect to the system bus", err);
	result = call_path(r, "LoadUnit", NULL, &r->path);
	if (result >= 0)
		result = read_word(r, UNIT_IFACE, "LoadState", state);
	if (result >= 0 && strcmp(state, "not-found") == 0)
		return err_set(err, ERR_LOCAL, r->verb, "%s: there is no such unit", r->unit);
	if (result >= 0)
		result = read_word(r, UNIT_IFACE, "ActiveState", state);
	if (result < 0)
		return fail(r, result, "read its state", err);
	*active = true;
	for (size_t i = 0; i < sizeof(at_rest) / sizeof(*at_rest); i++)
		*active &= strcmp(state, at_rest[i]) != 0;
	return true;
}

/* A unit that failed too often is not started any more until that is forgotten. */
static bool start_unit(struct work *r, struct err *err)
{
	r->verb = "start";
	prepare(r);
	(void)sd_bus_call_method(r->bus, MANAGER, MANAGER_PATH, MANAGER_IFACE, "ResetFailedUnit", &r->error, NULL, "s", r->unit);
	return run_job(r, "StartUnit", err);
}

static bool work_on(const char *unit, int64_t timeout_ms, bool start, bool *was_active, struct err *err)
{
	struct work r = { .unit = unit, .verb = "reload", .deadline = clock_mono_ms() + timeout_ms, .error = SD_BUS_ERROR_NULL };
	bool ok;

	*was_active = false;
	ok = find_unit(&r, was_active, err);
	if (ok && *was_active)
		ok = run_job(&r, "ReloadUnit", err);
	else if (ok && start)
		ok = start_unit(&r, err);
	sd_bus_error_free(&r.error);
	sd_bus_flush_close_unref(r.bus);
	free(r.path);
	free(r.job);
	free(r.result);
	return ok;
}

#else

static bool work_on(const char *unit, int64_t timeout_ms, bool start, bool *was_active, struct err *err)
{
	(void)timeout_ms, (void)start;
	*was_active = false;
	return err_set(err, ERR_LOCAL, "reload", "%s: built without libsystemd, units cannot be reloaded", unit);
}

#endif

bool systemd_reload_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err)
{
	return work_on(unit, timeout_ms, false, was_active, err);
}

bool systemd_restore_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err)
{
	return work_on(unit, timeout_ms, true, was_active, err);
}

const char *systemd_library(void)
{
#ifdef HAVE_LIBSYSTEMD
	return "libsystemd";
#else
	return NULL;
#endif
}
