/* SPDX-License-Identifier: ISC */
/* Provider and engine say of a failed login as little as of a key that is not there, or nothing, and some try a PIN more than once. A token locks itself
 * after a few wrong ones, so the login is done here, where the module's own word is heard; theirs finds that it is done (CKR_USER_ALREADY_LOGGED_IN).
 * Of PKCS#11 v2.40 only what that takes; packed as on every system but Windows. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/token_inner.h"
#include "crypto/token_uri.h"

typedef unsigned long ck;
enum { SLOTS = 256 };
enum { CKF_SERIAL_SESSION = 4, CKF_LOGIN_REQUIRED = 4, CKF_TOKEN_INITIALIZED = 0x400, CKF_OS_LOCKING_OK = 2, CKU_USER = 1 };
enum {
	CKR_OK = 0, CKR_PIN_INCORRECT = 0xa0, CKR_PIN_INVALID = 0xa1, CKR_PIN_LEN_RANGE = 0xa2, CKR_PIN_EXPIRED = 0xa3, CKR_PIN_LOCKED = 0xa4,
	CKR_USER_ALREADY_LOGGED_IN = 0x100, CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191,
};

struct ck_token_info {
	char label[32], manufacturer[32], model[16], serial[16];
	ck flags, counts[10];
	unsigned char versions[4];
	char time[16];
};

struct ck_initialize_args {
	void *mutex[4];
	ck flags;
	void *reserved;
};

typedef void ck_unused(void);
struct ck_functions {
	unsigned char version[2];
	ck (*initialize)(struct ck_initialize_args *args);
	ck_unused *to_slot_list[3];
	ck (*slot_list)(unsigned char with_token, ck *slots, ck *n);
	ck_unused *slot_info;
	ck (*token_info)(ck slot, struct ck_token_info *info);
	ck_unused *to_open_session[5];
	ck (*open_session)(ck slot, ck flags, void *arg, void *notify, ck *session);
	ck_unused *to_login[5];
	ck (*login)(ck session, ck user, const unsigned char *pin, ck len);
};

static bool fail(struct err *err, const char *what, ck code)
{
	return err_set(err, ERR_LOCAL, "token", "%s (PKCS#11 error 0x%lx)", what, code);
}

static const struct ck_functions *load_module(const char *path, struct err *err)
{
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck (*list)(const struct ck_functions **out) = NULL;
	struct ck_initialize_args args = { .flags = CKF_OS_LOCKING_OK };
	const struct ck_functions *f = NULL;
	const char *why = module ? NULL : dlerror();
	char text[256];
	ck code;

	if (module)
		*(void **)&list = dlsym(module, "C_GetFunctionList");
	if (!list || list(&f) != CKR_OK || !f) {
		text_escape(why ? why : "", why ? strlen(why) : 0, text, sizeof(text));
		err_set(err, ERR_LOCAL, "token", "the PKCS#11 module %s cannot be loaded%s%s", path, why ? ": " : "", text);
		return NULL;
	}
	code = f->initialize(&args);
	if (code == CKR_OK || code == CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return f;
	fail(err, "the PKCS#11 module does not start", code);
	return NULL;
}

/* Fields are padded with blanks. */
static bool fits(const char *uri, const char *attribute, const char *field, size_t size)
{
	char wanted[TOKEN_VALUE];
	size_t len = size;

	while (len && (field[len - 1] == ' ' || field[len - 1] == '\0'))
		len--;
	return !token_uri_find(uri, attribute, wanted) || (strlen(wanted) == len && memcmp(wanted, field, len) == 0);
}

static bool is_wanted(const char *uri, const struct ck_token_info *t)
{
	return t->flags & CKF_TOKEN_INITIALIZED && fits(uri, "token", t->label, sizeof(t->label)) && fits(uri, "serial", t->serial, sizeof(t->serial)) &&
		fits(uri, "manufacturer", t->manufacturer, sizeof(t->manufacturer)) && fits(uri, "model", t->model, sizeof(t->model));
}

/* One that is more than asked for would be told a PIN that may be another one's. */
static bool find_slot(const struct ck_functions *f, const char *uri, ck *slot, bool *locked, struct err *err)
{
	ck slots[SLOTS], n = SLOTS, code = f->slot_list(1, slots, &n);
	struct ck_token_info info;
	size_t found = 0;

	if (code != CKR_OK)
		return fail(err, "the PKCS#11 module does not list its tokens", code);
	for (ck i = 0; i < n && i < SLOTS; i++) {
		memset(&info, 0, sizeof(info));
		if (f->token_info(slots[i], &info) != CKR_OK || !is_wanted(uri, &info))
			continue;
		*slot = slots[i];
		*locked = info.flags & CKF_LOGIN_REQUIRED;
		found++;
	}
	if (found > 1)
		return err_set(err, ERR_LOCAL, "token", "%zu tokens fit: say which one by its serial", found);
	return found == 1 || err_set(err, ERR_LOCAL, "token", "no such token is there");
}

static bool judge(ck code, struct err *err)
{
	static const struct {
		ck code;
		const char *why;
	} rows[] = {
		{ CKR_PIN_INCORRECT, "the token refused the PIN" }, { CKR_PIN_INVALID, "the token refused the PIN" },
		{ CKR_PIN_LEN_RANGE, "the PIN is shorter or longer than the token takes" }, { CKR_PIN_EXPIRED, "the PIN has expired" },
		{ CKR_PIN_LOCKED, "the PIN is locked, after too many wrong ones" },
	};

	if (code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN)
		return true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return err_set(err, ERR_LOCAL, TOKEN_PIN_REFUSED, "%s", rows[i].why);
	return fail(err, "the token does not let us in", code);
}

bool token_login(const struct token_access *a, struct err *err)
{
	const struct ck_functions *f = load_module(a->module, err);
	ck slot = 0, session, code;
	bool locked = false;

	if (!f || !find_slot(f, a->uri, &slot, &locked, err))
		return false;
	code = f->open_session(slot, CKF_SERIAL_SESSION, NULL, NULL, &session);
	if (code != CKR_OK)
		return fail(err, "the token gives no session", code);
	if (!locked)
		return true;
	if (!a->pin)
		return err_set(err, ERR_LOCAL, "token", "the token wants a PIN: pkcs11_pin = \"credential:NAME\"");
	return judge(f->login(session, CKU_USER, (const unsigned char *)a->pin, strlen(a->pin)), err);
}
