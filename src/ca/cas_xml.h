/* SPDX-License-Identifier: ISC */
/* Alibaba Cloud's error envelope as XML, which its gateway sends where it did not come as far as reading that JSON is wanted: <Error> with members of
 * text. Made into what the same envelope is in JSON, so that one reader does for both. */
#ifndef DOVAD_CA_CAS_XML_H
#define DOVAD_CA_CAS_XML_H

#include <stddef.h>

#include "base/json.h"

/* An object with the members of the root that are text, at most 16 of 4 KiB each (what is longer is cut, deeper levels are left out). NULL for anything
 * that is not a whole document with a root named Error (whatever the case), or has a document type declaration. Caller owns. */
struct js *cas_xml_read(const char *text, size_t len) __attribute__((warn_unused_result));

#endif
