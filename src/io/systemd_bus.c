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

/* One reload: what the manager said so far. */
struct reload {
	sd_bus *bus;
	const char *unit;
	char *path;        /* of the unit on the bus */
	int64_t deadline;  /* clock_mono_ms */
	char *job;         /* of ours */
	char *result;      /* of the job, once it is gone */
	sd_bus_error error;
};

static bool fail(struct reload *r, int errnum, const char *doing, struct err *err)
{
	const char *why = r->error.message ? r->error.message : strerror(-errnum);

	if (errnum == -ETIMEDOUT || errnum == -ETIME)
		why = "no answer from the service manager in time";
	err_set(err, ERR_LOCAL, "reload", "%s: cannot %s: %s", r->unit, doing, why);
	if (err)
		err->errnum = -errnum;
	return false;
}

static int64_t left_us(const struct reload *r)
{
	int64_t ms = r->deadline - clock_mono_ms();

	return ms > 0 ? ms * 1000 : 0;
}

/* Fresh error and the time that is left, before each call. */
static void prepare(struct reload *r)
{
	int64_t us = left_us(r);

	sd_bus_error_free(&r->error);
	sd_bus_set_method_call_timeout(r->bus, (uint64_t)(us > 0 ? us : 1)); /* 0 would mean the default */
}

/* Call the manager with the unit's name (and a mode); its answer, an object path, is for the caller to free. */
static int call_path(struct reload *r, const char *method, const char *mode, char **out)
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

static int read_word(struct reload *r, const char *iface, const char *property, char out[static 32])
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
static uint32_t main_pid(struct reload *r)
{
	uint32_t pid = 0;

	prepare(r);
	if (sd_bus_get_property_trivial(r->bus, MANAGER, r->path, SERVICE_IFACE, "MainPID", &r->error, 'u', &pid) < 0)
		return 0;
	return pid;
}

static int job_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct reload *r = arg;
	const char *job, *unit, *result;
	uint32_t id;

	(void)error;
	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	if (r->job && !r->result && strcmp(job, r->job) == 0)
		r->result = mem_strdup(result);
	return 0;
}

static bool await_job(struct reload *r, struct err *err)
{
	while (!r->result) {
		int result = sd_bus_process(r->bus, NULL);
		int64_t us = left_us(r);

		if (result == 0)
			result = us > 0 ? sd_bus_wait(r->bus, (uint64_t)us) : -ETIMEDOUT;
		if (result < 0 && result != -EINTR)
			return fail(r, result, "await the end of the reload", err);
	}
	return true;
}

/* What the unit is after its job; a service whose reload killed it may have ended with the job "done". */
static bool judge(struct reload *r, uint32_t pid_before, struct err *err)
{
	char active[32], sub[32], outcome[32];
	int result = read_word(r, UNIT_IFACE, "ActiveState", active);
	uint32_t pid_after = main_pid(r);

	if (result < 0)
		return fail(r, result, "read its state after the reload", err);
	(void)read_word(r, UNIT_IFACE, "SubState", sub);
	(void)read_word(r, SERVICE_IFACE, "Result", outcome);
	if (strcmp(r->result, "done") != 0)
		return err_set(err, ERR_LOCAL, "reload", "%s: reload ended with \"%s\"; unit is %s (%s), result %s",
			r->unit, r->result, active, sub, outcome);
	if (strcmp(active, "active") != 0 && strcmp(active, "reloading") != 0 && strcmp(active, "refreshing") != 0)
		return err_set(err, ERR_LOCAL, "reload", "%s: %s (%s) after the reload, result %s", r->unit, active,
			sub, outcome);
	if (pid_before != 0 && pid_after == 0)
		return err_set(err, ERR_LOCAL, "reload",
			"%s: lost its main process %u in the reload; unit is %s (%s), result %s", r->unit, pid_before,
			active, sub, outcome);
	return true;
}

static bool reload_job(struct reload *r, struct err *err)
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
	result = call_path(r, "ReloadUnit", "replace", &r->job);
	if (result < 0)
		return fail(r, result, "reload", err);
	return await_job(r, err) && judge(r, pid, err);
}

static bool reload_unit(struct reload *r, bool *was_active, struct err *err)
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
		return err_set(err, ERR_LOCAL, "reload", "%s: there is no such unit", r->unit);
	if (result >= 0)
		result = read_word(r, UNIT_IFACE, "ActiveState", state);
	if (result < 0)
		return fail(r, result, "read its state", err);
	for (size_t i = 0; i < sizeof(at_rest) / sizeof(*at_rest); i++)
		if (strcmp(state, at_rest[i]) == 0)
			return true;
	*was_active = true;
	return reload_job(r, err);
}

bool systemd_reload_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err)
{
	struct reload r = { .unit = unit, .deadline = clock_mono_ms() + timeout_ms, .error = SD_BUS_ERROR_NULL };
	bool ok;

	*was_active = false;
	ok = reload_unit(&r, was_active, err);
	sd_bus_error_free(&r.error);
	sd_bus_flush_close_unref(r.bus);
	free(r.path);
	free(r.job);
	free(r.result);
	return ok;
}

#else

bool systemd_reload_unit(const char *unit, int64_t timeout_ms, bool *was_active, struct err *err)
{
	(void)timeout_ms;
	*was_active = false;
	return err_set(err, ERR_LOCAL, "reload", "%s: built without libsystemd, units cannot be reloaded", unit);
}

#endif

const char *systemd_library(void)
{
#ifdef HAVE_LIBSYSTEMD
	return "libsystemd";
#else
	return NULL;
#endif
}
