/* SPDX-License-Identifier: ISC */
/* libcurl's multi interface on our loop. Only for io/http. */
#ifndef DOVAD_IO_HTTP_CURL_H
#define DOVAD_IO_HTTP_CURL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "io/loop.h"

/* A transfer ended. It is called outside of libcurl, so the handle may be removed. */
typedef void multi_ended(CURL *easy, CURLcode code);

struct multi {
	CURLM *curl;
	struct timer timer;
	LIST_HEAD(, sock) socks;
	multi_ended *ended;
};

#define MULTI_LARGE_BODY "the answer is larger than we accept"
#define MULTI_LARGE_HEAD "the headers of the answer are larger than we accept"
/* Which of the types of error that http_done names an end is; *why stays what libcurl said, where that is good enough. */
const char *multi_explain(CURLcode code, const char **why);

bool multi_open(struct multi *m, long connections_per_host, multi_ended *ended) __attribute__((warn_unused_result));
void multi_close(struct multi *m); /* after all handles were removed; also after a failed multi_open */
/* Path of the trusted CAs: the configured file, else the system's. NULL when it cannot be read or holds no certificate. Caller owns. */
char *multi_bundle(const char *configured, struct err *err) __attribute__((warn_unused_result));

#endif
