/* SPDX-License-Identifier: ISC */
/* Peers for tests of the io folder: a scripted HTTP(S) server in a child process, and a name server on our own loop. Loopback and ephemeral ports
 * only. */
#ifndef DOVAD_TESTS_TESTSERVER_H
#define DOVAD_TESTS_TESTSERVER_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "io/addr.h"

/* --- certificates --- */

enum { TESTCERT_GOOD, TESTCERT_EXPIRED, TESTCERT_STRANGER /* of a CA nobody trusts */ };

struct testcert {
	EVP_PKEY *key;
	X509 *leaf;
	STACK_OF(X509) *chain; /* behind the leaf */
};
/* A key (ECDSA or RSA) and a certificate for dns (and 127.0.0.1, ::1) under the test CA. */
struct testcert *testcert_new(const char *dns, bool rsa, int kind);
void testcert_free(struct testcert *c);
const char *testtrust_file(void); /* PEM bundle with the test CA; removed by testtrust_end */
void testtrust_end(void);

/* --- HTTP server --- */

struct testpeer { /* one accepted connection, inside the child */
	int fd;
	SSL *ssl;
	struct testserver *server;
};
typedef void testserver_serve(struct testpeer *p);

struct testserver {
	pid_t pid;
	int fd;
	uint16_t port;
	struct addr addr;
	testserver_serve *serve;
	SSL_CTX *ctx;
	struct testnotes { /* shared with the child */
		atomic_uint connections;
		atomic_uint requests;
		char last[16384]; /* the latest request as it came */
		char sni[256];    /* of the latest TLS connection */
	} *notes;
};

/* Of servers started from now on: */
extern int testserver_newest_tls;      /* TLS1_1_VERSION, ...; 0: no limit */
extern bool testserver_wants_our_cert; /* and ends the connection without */
extern testserver_serve *testserver_before_tls; /* what is said in plain text before the handshake; NULL: nothing */
/* ip: "127.0.0.1", "::1", or with a port ("[::1]:8080"). certs: NULL-terminated, or NULL for plain TCP. serve is called in a process of its own per
 * connection. */
void testserver_start(struct testserver *s, const char *ip, struct testcert *const *certs, testserver_serve *serve);
void testserver_stop(struct testserver *s);
/* Read one request (head, and body by Content-Length) into notes->last; false at the end of the connection. */
bool testpeer_request(struct testpeer *p);
void testpeer_write(struct testpeer *p, const char *data, size_t len); /* ends the process when the peer is gone */
void testpeer_puts(struct testpeer *p, const char *text);
void testpeer_hang(struct testpeer *p); /* until the peer closes */
/* A listening socket with a full queue: connecting to it never ends. Two descriptors to close. */
void testserver_black_hole(int fds[2], struct addr *addr);

/* --- name server, on the loop of this process --- */

struct testdns;
enum { TESTDNS_SILENT = -1 }; /* as rcode */
struct testdns *testdns_open(void);
void testdns_close(struct testdns *d);
const char *testdns_address(const struct testdns *d); /* "127.0.0.1:port" */
/* What to answer for a name: rcode and addresses (comma-separated, "" for none). Unknown names: NXDOMAIN. */
void testdns_set(struct testdns *d, const char *name, int rcode, const char *addresses);
unsigned testdns_questions(const struct testdns *d);

#endif
