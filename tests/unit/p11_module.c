/* SPDX-License-Identifier: ISC */
/* A PKCS#11 module for tests: SoftHSM, seen through a hole. In the folder $P11_TEST_DIR it adds a line to "log" for each start and login, and does what "fault"
 * says: "hang start", "hang sign", "crash sign", "absent" (the token was pulled out), "linger" (a process is left behind at each start). Compiled into a
 * shared object by the Makefile. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INITIALIZE = 0, SLOT_LIST = 4, LOGIN = 18, SIGN = 43, FUNCTIONS = 68 }; /* of PKCS#11 v2.40 */

struct functions {
	unsigned char version[2];
	void *f[FUNCTIONS];
};

static struct functions own;
static const struct functions *real;

static FILE *open_file(const char *name, const char *mode)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("P11_TEST_DIR"), name);
	return fopen(path, mode);
}

static void note(const char *what)
{
	FILE *log = open_file("log", "a");

	if (log) {
		fprintf(log, "%s\n", what);
		fclose(log);
	}
}

static int fault(const char *name)
{
	FILE *file = open_file("fault", "r");
	char line[64] = "";

	if (file) {
		if (fgets(line, sizeof(line), file))
			line[strcspn(line, "\n")] = '\0';
		fclose(file);
	}
	return strcmp(line, name) == 0;
}

static void hang(void)
{
	for (;;)
		pause();
}

static unsigned long initialize(void *args)
{
	note("start");
	if (fault("hang start"))
		hang();
	if (fault("linger") && fork() == 0)
		hang();
	return ((unsigned long (*)(void *))real->f[INITIALIZE])(args);
}

static unsigned long slot_list(unsigned char with_token, unsigned long *slots, unsigned long *n)
{
	if (fault("absent") && with_token) {
		*n = 0;
		return 0;
	}
	return ((unsigned long (*)(unsigned char, unsigned long *, unsigned long *))real->f[SLOT_LIST])(with_token, slots, n);
}

static unsigned long login(unsigned long session, unsigned long user, unsigned char *pin, unsigned long len)
{
	unsigned long code = ((unsigned long (*)(unsigned long, unsigned long, unsigned char *, unsigned long))real->f[LOGIN])(session, user, pin, len);

	note(code == 0xa0 ? "refused" : "login");
	return code;
}

static unsigned long sign(unsigned long session, unsigned char *data, unsigned long len, unsigned char *sig, unsigned long *n)
{
	if (fault("hang sign"))
		hang();
	if (fault("crash sign"))
		abort();
	return ((unsigned long (*)(unsigned long, unsigned char *, unsigned long, unsigned char *, unsigned long *))real->f[SIGN])(session, data, len, sig, n);
}

unsigned long C_GetFunctionList(const struct functions **list);

unsigned long C_GetFunctionList(const struct functions **list)
{
	void *module = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
	unsigned long (*get)(const struct functions **) = NULL;

	if (module)
		*(void **)&get = dlsym(module, "C_GetFunctionList");
	if (!get || get(&real) != 0)
		return 5; /* CKR_GENERAL_ERROR */
	own = *real;
	own.f[INITIALIZE] = (void *)initialize;
	own.f[SLOT_LIST] = (void *)slot_list;
	own.f[LOGIN] = (void *)login;
	own.f[SIGN] = (void *)sign;
	*list = &own;
	return 0;
}
