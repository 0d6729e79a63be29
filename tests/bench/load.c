/* SPDX-License-Identifier: ISC */
/* A bare ACME client for one purpose: how many certificates a second does this CA give to one account? 32 orders at once over one HTTP/2 connection, one
 * name each, proven by http-01; nothing is checked, kept or tried again, and the first surprise ends it. It knows nothing of dovad, so that it can be
 * dovad's yardstick.
 *
 *   load DIRECTORY CA_FILE HTTP_PORT COUNT      prints one line: {"certificates": ..., "seconds": ..., ...} */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PARALLEL = 32,
	POLL_FIRST_MS = 1,
	POLL_CAP_MS = 100,
	NONCES = 4 * PARALLEL,
};

struct text {
	char *data;
	size_t len;
};

struct exchange { /* one request and its answer */
	CURL *easy;
	struct text answer;
	char *body, *location;
	void (*ended)(struct exchange *x, json_t *answer);
};

static struct {
	const char *directory, *ca_file;
	CURLM *multi;
	struct curl_slist *jose_type;
	json_t *urls;
	EVP_PKEY *account;
	char jwk[256], thumbprint[64], *kid;
	char *nonce[NONCES];
	int nnonces;
	long requests, connects;
	int wanted, started, done;
} load;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static char *copy(const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (!c)
		die("something is missing in an answer");
	return c;
}

static char *print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *print(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		die("no memory");
	va_end(ap);
	return text;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* --- JWS ----------------------------------------------------------------------------------------------------------------- */

static char *base64url(const void *data, size_t len)
{
	char *out = malloc(len * 4 / 3 + 8);
	int n = EVP_EncodeBlock((unsigned char *)out, data, (int)len);

	while (n > 0 && out[n - 1] == '=')
		out[--n] = '\0';
	for (char *c = out; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	return out;
}

static void make_account_key(void)
{
	unsigned char point[65], sum[32];
	char *x, *y, *thumbprint;
	size_t len;

	load.account = EVP_EC_gen("P-256");
	if (!load.account || !EVP_PKEY_get_octet_string_param(load.account, "pub", point, sizeof(point), &len) || len != sizeof(point))
		die("cannot make an account key");
	x = base64url(point + 1, 32);
	y = base64url(point + 33, 32);
	snprintf(load.jwk, sizeof(load.jwk), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
	EVP_Digest(load.jwk, strlen(load.jwk), sum, NULL, EVP_sha256(), NULL);
	thumbprint = base64url(sum, sizeof(sum));
	snprintf(load.thumbprint, sizeof(load.thumbprint), "%s", thumbprint);
	free(x);
	free(y);
	free(thumbprint);
}

/* r and s side by side, as JWS wants them. */
static char *sign(const char *text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[80], raw[64];
	const unsigned char *p = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, load.account) != 1 ||
		EVP_DigestSign(ctx, der, &len, (const unsigned char *)text, strlen(text)) != 1)
		die("cannot sign");
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	return base64url(raw, sizeof(raw));
}

static char *jws(const char *url, const char *payload)
{
	char *nonce = load.nnonces ? load.nonce[--load.nnonces] : NULL;
	char *header = load.kid ? print("{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\",\"kid\":\"%s\"}", nonce, url, load.kid) :
				  print("{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\",\"jwk\":%s}", nonce, url, load.jwk);
	char *protected = base64url(header, strlen(header)), *body = base64url(payload, strlen(payload));
	char *input = print("%s.%s", protected, body), *signature = sign(input);
	char *whole = print("{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", protected, body, signature);

	if (!nonce)
		die("no nonce left");
	free(nonce);
	free(header);
	free(protected);
	free(body);
	free(input);
	free(signature);
	return whole;
}

/* --- requests ------------------------------------------------------------------------------------------------------------- */

static size_t on_content(char *data, size_t one, size_t len, void *arg)
{
	struct text *t = arg;

	(void)one;
	t->data = realloc(t->data, t->len + len + 1);
	memcpy(t->data + t->len, data, len);
	t->len += len;
	t->data[t->len] = '\0';
	return len;
}

static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0)
		return NULL;
	for (line += n, len -= n; len && (line[len - 1] == '\r' || line[len - 1] == '\n'); len--)
		;
	for (; len && *line == ' '; line++, len--)
		;
	return strndup(line, len);
}

static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
	struct exchange *x = arg;
	char *value;

	(void)one;
	if (load.nnonces < NONCES && (value = header_value(line, len, "replay-nonce:")))
		load.nonce[load.nnonces++] = value;
	else if ((value = header_value(line, len, "location:")))
		x->location = value;
	return len;
}

static void set_up(struct exchange *x)
{
	x->easy = curl_easy_init();
	curl_easy_setopt(x->easy, CURLOPT_CAINFO, load.ca_file);
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(x->easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_content);
	curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, &x->answer);
	curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
}

static void request(struct exchange *x, const char *url, void (*ended)(struct exchange *x, json_t *answer))
{
	x->ended = ended;
	x->answer.len = 0;
	free(x->location);
	x->location = NULL;
	curl_easy_setopt(x->easy, CURLOPT_URL, url);
	if (curl_multi_add_handle(load.multi, x->easy) != CURLM_OK)
		die("cannot send a request");
	load.requests++;
}

/* payload "" reads. */
static void post(struct exchange *x, const char *url, const char *payload, void (*ended)(struct exchange *x, json_t *answer))
{
	free(x->body);
	x->body = jws(url, payload);
	curl_easy_setopt(x->easy, CURLOPT_NOBODY, 0L);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, x->body);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, load.jose_type);
	request(x, url, ended);
}

static void finish(CURLMsg *message)
{
	struct exchange *x;
	json_t *answer = NULL;
	long status = 0, connects = 0;

	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&x);
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &connects);
	load.connects += connects;
	if (message->data.result != CURLE_OK || status >= 300)
		die("a request failed: %s, status %ld, %.*s", curl_easy_strerror(message->data.result), status, (int)x->answer.len,
			x->answer.len ? x->answer.data : "");
	curl_multi_remove_handle(load.multi, x->easy);
	if (x->answer.len && x->answer.data[0] == '{')
		answer = json_loadb(x->answer.data, x->answer.len, 0, NULL);
	x->ended(x, answer);
	json_decref(answer);
}

static void work(void)
{
	CURLMsg *message;
	int n;

	if (curl_multi_perform(load.multi, &n) != CURLM_OK)
		die("libcurl gave up");
	while ((message = curl_multi_info_read(load.multi, &n)))
		if (message->msg == CURLMSG_DONE)
			finish(message);
}

static void rest(int64_t ms)
{
	if (curl_multi_poll(load.multi, NULL, 0, (int)ms, NULL) != CURLM_OK)
		die("libcurl gave up");
}

/* --- one certificate ------------------------------------------------------------------------------------------------------- */

struct job {
	struct exchange x;
	char name[64];
	char *order, *authz, *finalize;
	int wait_ms;
	int64_t poll_at; /* 0: a request is under way */
	void (*poll)(struct job *j);
};

static void begin(struct job *j);

static const char *member(json_t *answer, const char *key)
{
	return json_string_value(json_object_get(answer, key));
}

static void poll_later(struct job *j, void (*poll)(struct job *j))
{
	j->wait_ms = j->poll != poll ? POLL_FIRST_MS : j->wait_ms * 2 < POLL_CAP_MS ? j->wait_ms * 2 : POLL_CAP_MS;
	j->poll = poll;
	j->poll_at = now_us() + j->wait_ms * 1000;
}

static void got_certificate(struct exchange *x, json_t *answer)
{
	struct job *j = (struct job *)x;

	(void)answer;
	if (!x->answer.len || !strstr(x->answer.data, "END CERTIFICATE"))
		die("%s: no certificate in the answer", j->name);
	load.done++;
	begin(j);
}

static void read_order(struct job *j);

static void got_order(struct exchange *x, json_t *answer)
{
	struct job *j = (struct job *)x;
	const char *status = member(answer, "status");

	if (status && strcmp(status, "valid") == 0)
		post(x, member(answer, "certificate"), "", got_certificate);
	else if (status && strcmp(status, "processing") == 0)
		poll_later(j, read_order);
	else
		die("%s: the order is %s", j->name, status);
}

static void read_order(struct job *j)
{
	post(&j->x, j->order, "", got_order);
}

static char *make_request(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
	char *san = print("DNS:%s", name), *text;
	unsigned char *der = NULL;
	int len;

	sk_X509_EXTENSION_push(all, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san));
	X509_REQ_set_version(req, 0);
	X509_REQ_set_pubkey(req, key);
	X509_REQ_add_extensions(req, all);
	X509_REQ_sign(req, key, EVP_sha256());
	len = i2d_X509_REQ(req, &der);
	if (len <= 0)
		die("cannot make a signing request");
	text = base64url(der, (size_t)len);
	OPENSSL_free(der);
	free(san);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return text;
}

static void finalize(struct job *j)
{
	char *csr = make_request(j->name), *payload = print("{\"csr\":\"%s\"}", csr);

	post(&j->x, j->finalize, payload, got_order);
	free(csr);
	free(payload);
}

static void read_authz(struct job *j);

static void got_proven(struct exchange *x, json_t *answer)
{
	struct job *j = (struct job *)x;
	const char *status = member(answer, "status");

	if (status && strcmp(status, "valid") == 0)
		finalize(j);
	else if (status && strcmp(status, "pending") == 0)
		poll_later(j, read_authz);
	else
		die("%s: the authorization is %s", j->name, status);
}

static void read_authz(struct job *j)
{
	post(&j->x, j->authz, "", got_proven);
}

static void got_announced(struct exchange *x, json_t *answer)
{
	(void)answer;
	poll_later((struct job *)x, read_authz);
}

static void got_authz(struct exchange *x, json_t *answer)
{
	json_t *challenge;
	size_t i;

	json_array_foreach(json_object_get(answer, "challenges"), i, challenge)
		if (strcmp(member(challenge, "type"), "http-01") == 0) {
			post(x, member(challenge, "url"), "{}", got_announced);
			return;
		}
	die("the CA offers no http-01");
}

static void got_new_order(struct exchange *x, json_t *answer)
{
	struct job *j = (struct job *)x;

	j->order = copy(x->location);
	j->finalize = copy(member(answer, "finalize"));
	j->authz = copy(json_string_value(json_array_get(json_object_get(answer, "authorizations"), 0)));
	post(x, j->authz, "", got_authz);
}

static void begin(struct job *j)
{
	char *payload;

	free(j->order);
	free(j->authz);
	free(j->finalize);
	j->order = j->authz = j->finalize = NULL;
	j->poll = NULL;
	if (load.started == load.wanted)
		return;
	snprintf(j->name, sizeof(j->name), "load-%d.example.org", load.started++);
	payload = print("{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}", j->name);
	post(&j->x, member(load.urls, "newOrder"), payload, got_new_order);
	free(payload);
}

/* When the next poll is due; those that are due leave. */
static int64_t poll_due(struct job *jobs, int n)
{
	int64_t now = now_us(), next = 1000000;

	for (int i = 0; i < n; i++) {
		if (!jobs[i].poll_at)
			continue;
		if (jobs[i].poll_at <= now) {
			jobs[i].poll_at = 0;
			jobs[i].poll(&jobs[i]);
			next = 0;
		} else if (jobs[i].poll_at - now < next) {
			next = jobs[i].poll_at - now;
		}
	}
	return (next + 999) / 1000;
}

/* --- answering challenges ----------------------------------------------------------------------------------------------------- */

static void answer_challenge(int fd)
{
	static const char mark[] = "/.well-known/acme-challenge/";
	char question[4096], answer[512], *token;
	ssize_t n = recv(fd, question, sizeof(question) - 1, 0);
	size_t len;

	question[n > 0 ? n : 0] = '\0';
	token = strstr(question, mark);
	if (token) {
		token += strlen(mark);
		len = strcspn(token, " ");
		snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%.*s.%s",
			len + 1 + strlen(load.thumbprint), (int)len, token, load.thumbprint);
		n = send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	}
	close(fd);
}

static void *answer_challenges(void *arg)
{
	int listener = *(int *)arg;
	struct timeval patience = { .tv_sec = 5 };

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			die("the listener broke");
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		answer_challenge(fd);
	}
}

static void listen_for_challenges(int port)
{
	static int fd;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;
	pthread_t thread;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 1024) != 0 || pthread_create(&thread, NULL, answer_challenges, &fd) != 0)
		die("cannot listen on port %d", port);
}

/* --- the run ------------------------------------------------------------------------------------------------------------------ */

static bool arrived;

static void got_directory(struct exchange *x, json_t *answer)
{
	(void)x;
	load.urls = json_incref(answer);
	arrived = true;
}

static void got_nonce(struct exchange *x, json_t *answer)
{
	(void)x, (void)answer;
	arrived = true;
}

static void got_account(struct exchange *x, json_t *answer)
{
	(void)answer;
	load.kid = copy(x->location);
	arrived = true;
}

static void await(void)
{
	for (work(); !arrived; work())
		rest(1000);
	arrived = false;
}

static void meet(void)
{
	struct exchange x = { 0 };

	set_up(&x);
	request(&x, load.directory, got_directory);
	await();
	curl_easy_setopt(x.easy, CURLOPT_NOBODY, 1L);
	for (int i = 0; i < PARALLEL; i++) {
		request(&x, member(load.urls, "newNonce"), got_nonce);
		await();
	}
	post(&x, member(load.urls, "newAccount"), "{\"termsOfServiceAgreed\":true}", got_account);
	await();
	curl_easy_cleanup(x.easy);
}

static void report(int64_t us)
{
	struct rusage u;
	double cpu_ms;

	getrusage(RUSAGE_SELF, &u);
	cpu_ms = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
	printf("{\"certificates\": %d, \"seconds\": %.3f, \"rate\": %.1f, \"requests\": %.2f, \"connections\": %ld, \"cpu_ms\": %.2f}\n", load.done,
		(double)us / 1e6, load.done * 1e6 / (double)us, (double)load.requests / load.done, load.connects, cpu_ms / load.done);
}

int main(int argc, char **argv)
{
	static struct job jobs[PARALLEL];
	int64_t start = now_us();

	if (argc != 5 || (load.wanted = atoi(argv[4])) <= 0) {
		fputs("usage: load DIRECTORY CA_FILE HTTP_PORT COUNT\n", stderr);
		return 2;
	}
	load.directory = argv[1];
	load.ca_file = argv[2];
	curl_global_init(CURL_GLOBAL_DEFAULT);
	load.multi = curl_multi_init();
	curl_multi_setopt(load.multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
	load.jose_type = curl_slist_append(NULL, "Content-Type: application/jose+json");
	make_account_key();
	listen_for_challenges(atoi(argv[3]));
	meet();
	for (int i = 0; i < PARALLEL; i++) {
		set_up(&jobs[i].x);
		begin(&jobs[i]);
	}
	for (work(); load.done < load.wanted; work())
		rest(poll_due(jobs, PARALLEL));
	report(now_us() - start);
	return 0;
}
